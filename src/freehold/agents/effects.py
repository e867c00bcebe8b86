"""What a tool's call becomes: an effect that the gateway judges, and the result that its outcome is."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from freehold.agents.patience import LONGEST_PAUSE, OURS, pause, while_away
from freehold.agents.ports import Gateway
from freehold.agents.sources import Call, Result, asked, failed
from freehold.core.approvals import OUTCOME_UNKNOWN
from freehold.core.effects import SANDBOX, Effect, EffectState, Outcome
from freehold.core.errors import Conflict, Exhausted, FreeholdError, Unavailable
from freehold.runs.segment import Segment

ATTEMPTS: Final = 3
"""How often an effect is put to a counterpart that is away, before the model is told."""
UNKNOWN: Final = {
    "code": OUTCOME_UNKNOWN,
    "message": "It may have happened, or it may not; nobody knows.",
    "remedy": "Do not repeat it: a person has to look first.",
}
_REFUSED: Final = {"code": "refused", "message": "This is not allowed."}


async def submit(
    gateway: Gateway, segment: Segment, call: Call, *, connection: str, operation: str, arguments: dict[str, Any]
) -> tuple[Outcome | None, Result]:
    """
    Put the effect of `call` to the gateway.

    Returns the outcome where it is open for the worker to carry out, else nothing and the result of the call.
    """
    effect = Effect(key=call.key, connection=connection, operation=operation, arguments=arguments)

    async def ask() -> Outcome:
        return await gateway.submit(segment.work(), effect)

    try:
        outcome = await _insistently(segment, lambda: while_away(segment.clock, ask))
    except FreeholdError as error:
        if ours(error):
            raise
        return None, told(error)
    if outcome.state is EffectState.OPEN and connection == SANDBOX:
        return outcome, {}
    return None, result_of(outcome, effect)


async def _insistently(segment: Segment, ask: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """Ask again while the counterpart is away: under its key an effect happens once, under the next it would not."""
    for failures in range(1, ATTEMPTS):
        try:
            return await ask()
        except Unavailable as error:
            seconds = pause(failures, error.after)
            if ours(error) or seconds > LONGEST_PAUSE:
                raise
            await segment.clock.sleep(seconds)
    return await ask()


def ours(error: FreeholdError) -> bool:
    """Return whether `error` is about us and not about the call: gateway away, effects paused, disk full, or another's run now."""
    away = isinstance(error, Unavailable) and error.code in OURS
    full = isinstance(error, Exhausted) and error.code == "disk_full"
    return away or full or (isinstance(error, Conflict) and error.code == "stale_epoch")


def told(error: FreeholdError) -> Result:
    """Return `error` as the result of a call."""
    return failed(error.code, error.message, error.remedy)


def result_of(outcome: Outcome, effect: Effect) -> Result:  # noqa: PLR0911 - one per state
    """Return the result that a model is told for an outcome that is not open."""
    if outcome.state is EffectState.ASKED or broken_off(outcome, effect):
        return asked(outcome, connection=effect.connection, operation=effect.operation, arguments=effect.arguments)
    if outcome.state is EffectState.DONE:
        stored = outcome.result or {}
        return stored if effect.connection == SANDBOX else {"value": stored}
    if outcome.state is EffectState.FAILED:
        return {"error": outcome.error or {"code": "failed", "message": "It failed."}}
    if outcome.state in {EffectState.REFUSED, EffectState.EXPIRED}:
        return {"refused": outcome.error or _REFUSED}
    return {"error": UNKNOWN}


def broken_off(outcome: Outcome, effect: Effect) -> bool:
    """Return whether a person has to say if the effect is done once more; the sandbox marks what it begins itself."""
    return outcome.state is EffectState.UNKNOWN and effect.connection != SANDBOX


def read(arguments: dict[str, Any] | str, kind: type[Any]) -> Any:
    """Return the arguments of a call as a `kind`; raise `msgspec.ValidationError` where they are none."""
    if isinstance(arguments, str):
        raise msgspec.ValidationError("The arguments are no JSON object.")
    return msgspec.convert(arguments, kind)


def schema(kind: type[Any]) -> dict[str, Any]:
    """Return the JSON Schema of a kind of arguments, flat, as models like it."""
    _, parts = msgspec.json.schema_components([kind])
    described = dict(parts[kind.__name__])
    described.pop("title", None)
    described.pop("description", None)
    return described
