"""
Scrubbing: what a provider says may hold the credential it was sent; nothing of that goes further than here.

An answer becomes a prompt, a reply, a command in a sandbox, and is kept. A provider can spell what it knows in ways
that nobody can look for; this is against one that repeats what it got, as proxies and error pages do.
"""

from dataclasses import replace
from typing import final

from freehold.gateway.ports import Call, Credential, ModelReply, Pieces
from freehold.gateway.requesting.scrubbing import Blot


@final
class Scrubbed:
    """Passes on pieces of text without the credential, wherever the pieces are cut."""

    def __init__(self, credential: Credential, say: Pieces) -> None:
        """Pass on to `say`."""
        self._blot, self._say = Blot(credential), say

    def say(self, piece: str) -> None:
        """Pass on what cannot be the beginning of the credential any more."""
        self._pass_on(self._blot.feed(piece.encode("utf-8", "surrogatepass")))

    def finish(self) -> None:
        """Pass on the rest: nothing more comes that could make it the credential."""
        self._pass_on(self._blot.end())

    def _pass_on(self, said: bytes) -> None:
        if said:  # no sign is cut in two: what is held back begins where a spelling does
            self._say(said.decode("utf-8", "surrogatepass"))


def scrubbed(reply: ModelReply, credential: Credential) -> ModelReply:
    """Return the reply without the credential."""
    if not credential:
        return reply
    blot = Blot(credential)
    return replace(
        reply,
        text=blot.whole(reply.text),
        calls=tuple(_call(call, blot) for call in reply.calls),
        finish=blot.whole(reply.finish),
        model=blot.whole(reply.model),
    )


def _call(call: Call, blot: Blot) -> Call:
    return Call(id=blot.whole(call.id), name=blot.whole(call.name), arguments=blot.within(call.arguments))
