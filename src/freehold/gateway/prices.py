"""
What a token costs, in whole nano-USD, compiled from published price lists outside the hot path.

The list (genai-prices, the snapshot that was installed) is loaded at the first question about a provider, in a
thread, and each answer is kept. A model nobody knows a price for costs nothing here and says `unknown`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version
from typing import Any, Final, final

UNKNOWN: Final = "unknown"
_NANO: Final = Decimal(10) ** 9
_MANY: Final = 1_000_000
_SAMPLE: Final = 1_000
"""Tokens asked about: few enough to stay below every long-context tier, enough to survive rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of one model, per million tokens in nano-USD."""

    id: str
    """Which list and which model of it; stored with every usage row."""
    nano_in: int = 0
    nano_out: int = 0

    def cost(self, tokens_in: int, tokens_out: int) -> int:
        """Return what a call costs, rounded up to whole nano-USD."""
        return -(-(tokens_in * self.nano_in + tokens_out * self.nano_out) // _MANY)


REHEARSAL: Final = Price(id="rehearsal", nano_in=1_000 * _MANY, nano_out=4_000 * _MANY)
FREE: Final = Price(id=UNKNOWN)


@final
class Prices:
    """Prices as they were asked for since the start."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Price] = {}

    def known(self, kind: str, config: Mapping[str, Any], model: str) -> Price | None:
        """Return the price if it takes no looking up."""
        return REHEARSAL if kind == "rehearsal" else self._known.get((str(config.get("base_url", "")), model))

    def look_up(self, config: Mapping[str, Any], model: str, *, at: datetime) -> Price:
        """Return the price of `model` at its provider; slow the first time, so call it in a thread."""
        base_url = str(config.get("base_url", ""))
        price = self._known[base_url, model] = _listed(base_url, model, at)
        return price


def _listed(base_url: str, model: str, at: datetime) -> Price:
    from genai_prices import Usage, calc_price  # noqa: PLC0415 - 40 MB and 0.3 s that a rehearsal does without

    def asked(usage: Usage) -> tuple[int, str]:
        priced = calc_price(usage, model, provider_api_url=base_url, genai_request_timestamp=at)
        nano = priced.total_price * _NANO * (_MANY // _SAMPLE)
        return int(nano.to_integral_value(ROUND_CEILING)), f"{priced.provider.id}/{priced.model.id}"

    try:
        nano_in, found = asked(Usage(input_tokens=_SAMPLE))
        nano_out, _ = asked(Usage(output_tokens=_SAMPLE))
    except (LookupError, ValueError):
        return FREE
    return Price(id=f"genai-prices {version('genai-prices')} {found}", nano_in=nano_in, nano_out=nano_out)
