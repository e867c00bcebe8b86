"""
What a model call is made of, and what the gateway asks of those who know a provider.

A driver is a format: it spells a request, and reads what comes back. It opens no socket (`upstream` does), keeps no
state between calls and knows no money. What a caller sent is passed on byte for byte wherever the provider speaks
the caller's own format; a driver that must translate says so by `adapted`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection as Tx

from freehold.core.errors import Denied
from freehold.gateway.asked import Api, Asked, Behalf, Units, Whom
from freehold.gateway.outward.exchange import Answer, Sent
from freehold.gateway.ports import Credential

__all__ = ["Answer", "Api", "Asked", "Caller", "Inward", "ModelDriver", "Reading", "Sent", "Units", "Whom"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, as its listener knows it."""

    whom: Whom
    models: frozenset[str] | None = None
    """Levels and CONNECTION/MODEL it may name; none: whatever its tenant may."""
    still: Callable[[Tx], None] | None = None
    """Raises what keeps the caller from calling now; asked in the transaction that writes the call down."""

    def require(self, model: str) -> None:
        """Raise `Denied` (`model_not_granted`) where the caller may not call `model`."""
        if self.models is not None and model not in self.models:
            raise Denied(
                f"You may not call the model {model[:80]!r}.",
                code="model_not_granted",
                remedy=f"Use one of: {', '.join(sorted(self.models)) or 'none is granted'}.",
            )


class Reading(Protocol):
    """
    One answer on its way from the provider to the caller: counts it, and translates it where formats differ.

    Of a stream only whole events leave it, each as soon as it is whole. What the caller did not ask for and only we
    wanted (a usage chunk) does not leave it. What makes no sense raises `Unavailable` (`provider_malformed`), an error
    that a provider reports inside a stream `Unavailable` (`provider_cut`).
    """

    units: Units | None
    """What the provider said the call used, the newest word; none so far."""
    said: int
    """Bytes of output that came so far: text, arguments of calls, reasoning."""
    events: int
    """Events of a stream that carried output."""
    finished: bool
    """Whether the answer came to its proper end."""

    def feed(self, chunk: bytes) -> bytes:
        """Take what came, and return what may go to the caller now."""
        ...

    def end(self) -> bytes:
        """Say that nothing more comes, and return what is left for the caller."""
        ...

    def broken(self, code: str, message: str) -> bytes:
        """Return the event that tells a caller in the middle of its stream that it is over; empty where there is none."""
        ...


class Inward(Protocol):
    """Translates what a caller sends in one format into a chat completion, and the answer back."""

    def request(self, asked: Asked) -> Asked:
        """Return the chat completion that `asked` means; raise `Invalid` (`not_supported`) for what it cannot say."""
        ...

    def reading(self, inner: Reading, asked: Asked) -> Reading:
        """Return what turns the chat completion that `inner` reads into the answer to `asked`."""
        ...


class ModelDriver(Protocol):
    """Knows one format of model providers."""

    kind: str
    native: frozenset[Api]
    """What the format takes as the caller wrote it."""
    adapted: frozenset[Api]
    """What it takes after translation."""

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Raise `Invalid` if a connection with this configuration could never work."""
        ...

    def check(self, model: str) -> None:
        """Raise `Invalid` with code `unknown_model` if this driver can tell that there is no such model."""
        ...

    def request(
        self, asked: Asked, *, model: str, config: Mapping[str, Any], credential: Credential, limit: int | None = None
    ) -> Sent:
        """
        Return the request to send: the caller's, for `model` as the provider calls it, with our credential.

        `limit` is the most tokens the answer may have where money says so; it replaces what the caller wrote.
        Raises `Invalid` (`not_supported`) for what the format cannot express.
        """
        ...

    def reading(self, asked: Asked, answer: Answer) -> Reading:
        """Return what reads this answer; `answer.status` is 200."""
        ...

    async def send(self, sent: Sent, behalf: Behalf, on_sent: Callable[[], None]) -> Answer:
        """
        Send a request and return its answer once the head is there; `on_sent` is called when it has left.

        Raises `Denied` (`address_refused`) where nobody may go for `behalf`, `NotSent` where the provider could not be
        reached, else another `Unavailable`.
        """
        ...
