"""
What has run out stays out, even if the clock is set back later.

A session or a code that is over counts for nothing by itself. But whether it is over is a matter of the clock, so it
is also written down soon after.
"""

import asyncio
import logging
from typing import Final

from freehold.core.errors import FreeholdError
from freehold.store.logins import Logins
from freehold.store.threads import in_thread
from freehold.tenants.codes import KEPT
from freehold.tenants.sessions import IDLE
from freehold.web.state import State

log = logging.getLogger(__name__)

EVERY: Final = 30.0
"""Seconds between two looks."""


async def keep_lapsed(state: State) -> None:
    """Write down what has run out, until cancelled."""
    while True:
        await asyncio.sleep(EVERY)
        try:
            await in_thread(lapse, state)
        except FreeholdError as error:
            log.warning("What has run out cannot be written down: %s", error.message)
        except Exception:
            log.exception("Writing down what has run out broke; it goes on.")


def lapse(state: State) -> None:
    """Put codes and sessions that have run out by now out of force for good."""
    at = state.clock.now()
    with state.store.read() as platform:
        if not (Logins(platform.connection).lapsed(at) or platform.sessions.lapsed(at, idle_since=at - IDLE)):
            return
    with state.store.write() as platform:
        logins = Logins(platform.connection)
        logins.lapse(at)
        logins.forget(at - KEPT)
        platform.sessions.lapse(at, idle_since=at - IDLE)
