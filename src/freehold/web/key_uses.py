"""The duty behind the requests: to write down when keys were last used."""

import logging
from typing import Final

from freehold.store.threads import in_thread
from freehold.web.state import State

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 5.0


async def keep_uses(state: State) -> None:
    """Write down, every few seconds, which keys were used; for as long as web lives."""
    while True:
        await state.clock.sleep(EVERY_SECONDS)
        try:
            if state.known.uses:
                await in_thread(state.known.uses.write, state.store)
        except Exception:
            log.exception("The use of keys could not be written down; the next one will be.")
