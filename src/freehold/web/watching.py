"""
What web looks for at the gateway, in one question every few seconds.

Whom it holds, whether it began anew and has to be told what tenants may spend, and which limits were neared. Every few
minutes also which accounts of connections ran out.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from freehold.core.errors import FreeholdError
from freehold.store.looking import Look
from freehold.web.account_warning import warn_of_accounts
from freehold.web.holding import hold_all
from freehold.web.limiting import limit_all
from freehold.web.state import State
from freehold.web.warning import since, warn

log = logging.getLogger(__name__)

EVERY: Final = 2.0
"""Seconds between two looks, while something is committed here."""
QUIET: Final = 5.0
"""Seconds between two looks where nothing is: the gateway may have begun anew, or a limit may have been neared."""
ANYWAY: Final = timedelta(minutes=10)
"""How often all limits are compared though nothing began anew: a tier ends by itself."""
ACCOUNTS: Final = timedelta(minutes=2)
"""How often it is asked which accounts ran out: whoever uses one notices at once anyway."""


@dataclass(slots=True)
class Seen:
    """What an earlier look saw."""

    began: str = ""
    """Which process of the gateway answered."""
    compared: datetime | None = None
    """When it was told last what all may spend."""
    warned: str | None = None
    """The newest warning that people were told of; none: nobody looked yet."""
    accounts: datetime | None = None
    """When it was asked last which accounts ran out."""


async def keep_watch(state: State) -> None:
    """Look, for as long as web lives."""
    seen, due = Seen(), Look(state.store.database, state.clock, seconds=QUIET)
    while True:
        try:
            if due.due():
                await look(state, seen)
        except FreeholdError as error:
            log.debug("The gateway could not be looked at: %s", error.message)
            due.again()
        except Exception:
            log.exception("Looking at the gateway broke; it is tried again.")
            due.again()
        await asyncio.sleep(EVERY)


async def look(state: State, seen: Seen) -> None:
    """Look once, and do what is to be done about it."""
    told, now = await state.gateway.look(), state.clock.now()
    if told["began"] != seen.began or seen.compared is None or now - seen.compared >= ANYWAY:
        await limit_all(state)
        seen.began, seen.compared = told["began"], now
    await hold_all(state, known=set(told["held"]))
    last = since(now) if seen.warned is None else seen.warned
    seen.warned = await warn(state, after=last) if told["warned"] > last else last
    if seen.accounts is None or now - seen.accounts >= ACCOUNTS:
        await warn_of_accounts(state)
        seen.accounts = now
