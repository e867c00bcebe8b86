"""Every hour the ends of all chains are signed and written to the second place; also at a start that comes late."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from freehold.core.errors import FreeholdError
from freehold.web.record import anchored
from freehold.web.state import State

log = logging.getLogger(__name__)

EVERY: Final = timedelta(hours=1)
LOOK_SECONDS: Final = 30.0


async def keep_anchored(state: State) -> None:
    """Look twice a minute whether the last anchor is an hour old, and make one then; for as long as web lives."""
    while True:
        try:
            await anchor_if_due(state)
        except FreeholdError as error:
            log.warning("The ends of the record could not be signed: %s It is tried again.", error.message)
        except Exception:
            log.exception("Signing the ends of the record broke; it is tried again.")
        await state.clock.sleep(LOOK_SECONDS)


async def anchor_if_due(state: State) -> bool:
    """Make an anchor if the last one is an hour old, and return whether one was made."""
    last = (await state.gateway.audit_known())["at"]
    if last is not None and datetime.fromtimestamp(last / 1000, tz=UTC) + EVERY > state.clock.now():
        return False
    made = await anchored(state)
    if made["faults"]:
        log.error("The record is not what was signed before: run `freehold audit verify`.")
    return True
