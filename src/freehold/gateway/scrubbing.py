"""
Scrubbing: what a provider says may hold the credential it was sent; nothing of that goes further than here.

An answer becomes a prompt, a reply, a command in a sandbox, and is kept. A provider can spell what it knows in ways
that nobody can look for; this is against one that repeats what it got, as proxies and error pages do.
"""

from dataclasses import replace
from typing import Any, final

from freehold.gateway.ports import Call, Credential, ModelReply, Pieces, without


@final
class Scrubbed:
    """Passes on pieces of text without the credential, wherever the pieces are cut."""

    def __init__(self, credential: Credential, say: Pieces) -> None:
        """Pass on to `say`."""
        self._spellings, self._say = credential.spellings, say
        self._held = ""

    def say(self, piece: str) -> None:
        """Pass on what cannot be the beginning of the credential any more."""
        text = without(self._held + piece, self._spellings)
        keep = max((_beginning(text, spelling) for spelling in self._spellings), default=0)
        self._held = text[len(text) - keep :]
        if text[: len(text) - keep]:
            self._say(text[: len(text) - keep])

    def finish(self) -> None:
        """Pass on the rest: nothing more comes that could make it the credential."""
        rest, self._held = self._held, ""
        if rest:
            self._say(rest)


def scrubbed(reply: ModelReply, credential: Credential) -> ModelReply:
    """Return the reply without the credential."""
    if not credential:
        return reply
    return replace(
        reply,
        text=credential.scrub(reply.text),
        calls=tuple(_call(call, credential) for call in reply.calls),
        finish=credential.scrub(reply.finish),
        model=credential.scrub(reply.model),
    )


def _call(call: Call, credential: Credential) -> Call:
    arguments = _value(call.arguments, credential)
    return Call(id=credential.scrub(call.id), name=credential.scrub(call.name), arguments=arguments)


def _value(value: Any, credential: Credential) -> Any:
    if isinstance(value, str):
        return credential.scrub(value)
    if isinstance(value, dict):
        return {credential.scrub(name): _value(one, credential) for name, one in value.items()}
    return [_value(one, credential) for one in value] if isinstance(value, list) else value


def _beginning(text: str, spelling: str) -> int:
    """Return how many characters at the end of `text` may be the beginning of `spelling`."""
    at = text.find(spelling[0], max(0, len(text) - len(spelling) + 1))
    while at >= 0 and not spelling.startswith(text[at:]):
        at = text.find(spelling[0], at + 1)
    return len(text) - at if at >= 0 else 0
