"""Where what a program asks at its box goes: to models, out by a connection, or on to a host that was granted."""

from typing import final

from freehold.gateway.asgi import App, Receive, Scope, Send
from freehold.gateway.calls.knocking import TARGET
from freehold.gateway.calls.room import Room
from freehold.gateway.calls.speaking import Serve, Speaker, models_of
from freehold.gateway.egress.plain import Plain
from freehold.gateway.egress.relay import PREFIX, Relay


@final
class BoxRoutes:
    """Makes what answers a box."""

    def __init__(self, models: Serve, relay: Relay, plain: Plain) -> None:
        """Answer calls of models by `models`, requests by a connection by `relay`, all that is for a proxy by `plain`."""
        self._models, self._relay, self._plain = models, relay, plain

    def __call__(self, speaker: Speaker, box: str, room: Room) -> App:
        """Return what answers the box of `speaker`; what is passed on as it comes takes no room."""
        models = models_of(speaker, self._models)
        out, plain = self._relay.of(speaker, box), self._plain.of(speaker, box)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if TARGET in scope:
                await plain(scope, receive, send)
            elif str(scope["path"]).startswith(PREFIX):
                await out(scope, receive, send)
            else:
                await room.answer(models, scope, receive, send)

        return answer
