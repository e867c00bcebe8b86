"""What can be turned on the rehearsal model, in its name: `rehearsal?delay=2&pieces=20`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from freehold.core.errors import Invalid

NAME: Final = "rehearsal"
MAX_DELAY: Final = 600.0
MAX_PIECES: Final = 1_000
FAULTS: Final = ("timeout", "cut", "malformed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """How the rehearsal model behaves."""

    delay: float = 0.0
    """Seconds until it has answered; spread over its pieces."""
    pieces: int = 1
    """Into how many pieces its text is cut."""
    fail: str = ""
    """The HTTP status, or the fault, that a provider would show."""
    times: int = 0
    """How many calls of a run fail before one succeeds; 0: all."""
    usage: tuple[int, int] | None = None
    """Tokens in and out that it reports instead of counting."""


def knobs(model: str) -> Knobs:
    """Return the knobs in a model's name; raise `Invalid` (`unknown_model`) for one that does not exist."""
    name, _, query = model.partition("?")
    values: dict[str, Any] = {}
    for pair in filter(None, query.split("&")):
        knob, _, value = pair.partition("=")
        try:
            values |= _READERS[knob](value)
        except (KeyError, ValueError) as error:
            raise _unknown(model) from error
    if name != NAME:
        raise _unknown(model)
    return Knobs(**values)


def _delay(value: str) -> dict[str, Any]:
    return {"delay": _within(float(value), MAX_DELAY)}


def _pieces(value: str) -> dict[str, Any]:
    return {"pieces": max(1, _within(int(value), MAX_PIECES))}


def _fail(value: str) -> dict[str, Any]:
    fault, _, times = value.partition("x")
    if fault not in FAULTS and not 400 <= int(fault) < 600:  # noqa: PLR2004
        raise ValueError(fault)
    return {"fail": fault, "times": _within(int(times or 0), MAX_PIECES)}


def _usage(value: str) -> dict[str, Any]:
    tokens_in, tokens_out = (_within(int(part), 10**9) for part in value.split(","))
    return {"usage": (tokens_in, tokens_out)}


def _within(number: Any, most: float) -> Any:
    if not 0 <= number <= most:
        raise ValueError(number)
    return number


_READERS: Final[Mapping[str, Callable[[str], dict[str, Any]]]] = MappingProxyType(
    {
        "delay": _delay,
        "pieces": _pieces,
        "fail": _fail,
        "usage": _usage,
    }
)
KNOBS: Final = tuple(_READERS)


def _unknown(model: str) -> Invalid:
    return Invalid(
        f"The rehearsal model cannot be turned like this: {model[:120]!r}.",
        code="unknown_model",
        remedy=f"Use knobs out of {', '.join(KNOBS)}, such as rehearsal?delay=2&fail=429&pieces=20&usage=100,50.",
    )
