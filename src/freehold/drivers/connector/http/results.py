"""
What an answer becomes for a model: status, the headers that matter, and the body as JSON, text or base64.

Everything is looked through for the credential after it was decoded, so that no way of writing it hides it.
"""

import base64
import json
import math
from typing import Any, Final, final

from freehold.core.errors import Unavailable
from freehold.gateway.outward.exchange import Answer
from freehold.gateway.ports import Credential
from freehold.gateway.requesting import answers
from freehold.gateway.requesting.charsets import known
from freehold.gateway.requesting.scrubbing import Blot
from freehold.gateway.requesting.unpacking import Unpacked

MOST: Final = 1 << 20
"""Bytes of a body that are told."""
DEEPEST: Final = 64
"""Lists and objects within each other; what is deeper, not everybody who is told can read."""
_EXACT: Final = 1 << 53
_TOLD: Final = frozenset(
    {
        "content-type", "content-range", "location", "link", "etag", "last-modified", "retry-after", "allow",
        "www-authenticate", "deprecation", "sunset", "warning",
    }
)  # fmt: skip
_TOLD_WITH: Final = ("ratelimit", "rate-limit", "request-id", "total", "page", "next", "count", "cursor")
_TEXTS: Final = ("text/", "application/xml", "application/x-www-form-urlencoded", "application/javascript")
_TEXT_ENDS: Final = ("+xml", "yaml", "graphql", "x-ndjson", "jsonl", "javascript")


@final
class Body:
    """A body as it comes: unpacked, without the credential, and no more of it than is told."""

    def __init__(self, answer: Answer, blotted: tuple[Credential, ...]) -> None:
        """Take in what `answer` says."""
        self._answer, self._blot = answer, Blot(*blotted)
        self.unreadable, self.truncated = False, False
        self._found: list[bytes] = []

    async def read(self, *, whole: bool) -> None:
        """
        Read it, as far as it is told.

        One that breaks off is an error where it must be `whole`, because asking again is safe; else what came counts.
        """
        try:
            await self._read(Unpacked(self._answer.headers.get("content-encoding", ""), MOST, cut=True))
        except Unavailable as error:
            self.unreadable, self.truncated = error.code == "unreadable_answer", True
            if whole and not self.unreadable:
                raise

    async def _read(self, unpacked: Unpacked) -> None:
        async for chunk in self._answer.chunks:
            self._found.append(self._blot.feed(unpacked.feed(chunk)))
            if unpacked.full:
                self.truncated = True
                return  # and what may be the beginning of a credential stays where it is
        self._found.append(self._blot.end())

    @property
    def size(self) -> int:
        """How many bytes of it are told."""
        return sum(map(len, self._found))

    def told(self, base: str) -> dict[str, Any]:
        """Return the whole answer as it is told."""
        headers = answers.headers(self._answer.headers, self._blot, base=base, prefix="")
        result: dict[str, Any] = {
            "status": self._answer.status,
            "headers": {name: value for name, value in headers.items() if _matters(name)},
        }
        if self.unreadable:
            return result | {"unreadable": "The server packed its answer in a way that is not understood here."}
        said = b"".join(self._found)
        body = self._decoded(said, headers.get("content-type", "")) if said else {}
        return result | body | ({"truncated": True} if self.truncated else {})

    def _decoded(self, said: bytes, kind: str) -> dict[str, Any]:
        name, _, rest = kind.lower().partition(";")
        name = name.strip()
        if name.endswith(("/json", "+json")) and not self.truncated:
            try:
                return {"json": _shallow(self._clean(said), DEEPEST)}
            except (ValueError, RecursionError):
                return {"text": self._text(said, "")}
        if name.startswith(_TEXTS) or name.endswith((*_TEXT_ENDS, "/json", "+json")) or not name:
            return {"text": self._text(said, rest)}
        return {"base64": base64.b64encode(said).decode()}

    def _text(self, said: bytes, rest: str) -> str:
        stated = dict(part.strip().partition("=")[::2] for part in rest.split(";"))
        text = said.decode(known(stated.get("charset", "").strip("\"'") or "utf-8"), "replace")
        return self._blot.whole(text)

    def _clean(self, said: bytes) -> Any:
        value = json.loads(said, parse_int=_whole, parse_float=_fraction, parse_constant=str)
        if b"\\" not in said and b"\0" not in said:
            return value  # what the bytes said is what they mean, and those were looked through
        spelt = json.dumps(value, ensure_ascii=False)
        return value if self._blot.whole(spelt) == spelt else self._blot.within(value)


def _matters(name: str) -> bool:
    return name in _TOLD or any(word in name for word in _TOLD_WITH)


def _whole(spelt: str) -> int | str:
    """Return a number that every reader of JSON reads alike; as text where it is too large for that."""
    return int(spelt) if len(spelt) < len(str(_EXACT)) or abs(int(spelt[:20])) < _EXACT else spelt


def _fraction(spelt: str) -> float | str:
    return float(spelt) if math.isfinite(float(spelt)) else spelt


def _shallow(value: Any, left: int) -> Any:
    """Return `value`; raise `ValueError` if it is deeper than `left`."""
    if not left:
        raise ValueError
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(one, (dict, list)):
            _shallow(one, left - 1)
    return value
