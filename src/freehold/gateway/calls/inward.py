"""Which formats of callers are translated into chat completions, for providers that take nothing else."""

from typing import Final

from freehold.gateway.calls.messages_in import MessagesIn
from freehold.gateway.calls.responses_in import ResponsesIn
from freehold.gateway.formats import Api, Asked, Inward, ModelDriver

_INWARD: Final[dict[Api, Inward]] = {Api.MESSAGES: MessagesIn(), Api.RESPONSES: ResponsesIn()}


def inward(asked: Asked, driver: ModelDriver) -> Inward | None:
    """Return what translates `asked` for `driver`; none where it is taken as it is, or not at all."""
    if asked.api in driver.native or asked.api in driver.adapted:
        return None
    return _INWARD.get(asked.api) if Api.CHAT in driver.native | driver.adapted else None
