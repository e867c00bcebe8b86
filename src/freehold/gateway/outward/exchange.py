"""One request to a server and its answer, as they go over the wire."""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request as it goes to a server, spelt out."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    pieces: AsyncIterable[bytes] | None = None
    """The body as it comes, instead of a whole one."""
    stream: bool = False


@dataclass(slots=True, kw_only=True)
class Answer:
    """The answer from its head on; the body comes as it is read."""

    status: int
    headers: Mapping[str, str]
    """In lower case; of one that was said more than once, all that was said."""
    pairs: Sequence[tuple[bytes, bytes]] = ()
    """The same as they came, those that were said more than once too."""
    chunks: AsyncGenerator[bytes, None]
    address: str = ""
    """Of the machine that answered; empty where there was no network."""
    release: Callable[[], None] = lambda: None
    """Lets go of the connection."""

    async def aclose(self) -> None:
        """End it here, whether anybody read it or not: what was never begun to be read ends by nothing else."""
        await self.chunks.aclose()
        self.release()
