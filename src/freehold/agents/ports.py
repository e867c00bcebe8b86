"""What agents need of the gateway and of the sandboxes: the part of each that they use."""

from typing import Any, Protocol

from freehold.core.effects import Effect, EffectState, Outcome
from freehold.gateway.client import ChatReply, OnText, Work
from freehold.sandboxes.runtime import Guest


class Gateway(Protocol):
    """The way out, as `freehold.gateway.client.WorkerGateway` gives it."""

    async def chat(
        self, work: Work, *, key: str, model: str, body: dict[str, Any], on_text: OnText | None = None
    ) -> ChatReply:
        """Return the model's reply to `body`."""
        ...

    async def submit(self, work: Work, effect: Effect) -> Outcome:
        """Propose an effect and return what became of it."""
        ...

    async def settle(
        self,
        work: Work,
        *,
        key: str,
        state: EffectState,
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        """Report what became of an effect the worker carried out."""
        ...


class Hands(Protocol):
    """The way to a run's sandbox, as `freehold.sandboxes.waking.Sandboxes` gives it."""

    async def awake(self, work: Work, uid: int) -> Guest:
        """Return the guest of the run's sandbox, waking it if it sleeps; `uid` is its tenant's number."""
        ...

    async def rest(self, run: str) -> None:
        """Put the run's sandbox to sleep; without one, do nothing."""
        ...
