"""
What a call costs, in whole nano-USD: a look-up in a list that was compiled beforehand (`pricing`).

The connection's own table is asked first, then the published list. What nobody knows a price for says so
(`known`), and whoever has a limit is refused it: no price is not a price of nothing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final, final

from freehold.catalog.providers import presets
from freehold.core.errors import Invalid
from freehold.gateway.asked import Units

MANY: Final = 1_000_000
"""Tokens that a price is for."""
MAX_FOUND: Final = 4_096
"""Answers that are kept; who asks may name any model."""
LASTING: Final = 2
"""Times what input costs: tokens that a cache keeps for an hour."""
_DATED: Final = re.compile(r"(-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
_NANO: Final = 1_000_000_000
_NAMES: Final = ("input", "cached", "written", "output", "image", "second", "character", "request")
_DEAREST: Final = 100_000 * _NANO
"""More than any call costs: what a provider makes up can be stored and summed all the same."""
_MOST: Final = 1_000_000
"""USD for a million tokens, or for one of anything, that nobody ever asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """What tokens cost, all of them, once a request has more than `above` of input."""

    above: int
    input: int
    cached: int
    written: int
    output: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of one model: of tokens per million, of the rest for one of it; in nano-USD."""

    id: str
    """Which list, which version and which line of it; stored with every usage row."""
    input: int = 0
    cached: int = 0
    written: int = 0
    output: int = 0
    image: int = 0
    second: int = 0
    character: int = 0
    request: int = 0
    tiers: tuple[Tier, ...] = ()
    """From the highest down."""
    context: int = 0
    """Tokens of input that the model takes at most; 0 where the list does not say."""
    known: bool = True

    def cost(self, units: Units) -> int:
        """Return what a call costs, rounded up to whole nano-USD."""
        rate: Price | Tier = self
        for tier in self.tiers:
            if units.input > tier.above:
                rate = tier
                break
        plain = max(0, units.input - units.cached - units.written)
        tokens = (
            plain * rate.input + units.cached * rate.cached + units.written * rate.written + units.output * rate.output
        )
        if units.lasting and rate.written > rate.input:  # whoever asks more for writing asks twice as much for an hour
            tokens += units.lasting * max(0, LASTING * rate.input - rate.written)
        others = units.images * self.image + units.seconds * self.second
        others += units.characters * self.character + units.requests * self.request
        return min(-(-tokens // MANY) + others, _DEAREST)


REHEARSAL: Final = Price(
    id="rehearsal", input=1_000 * MANY, cached=1_000 * MANY, written=1_000 * MANY, output=4_000 * MANY
)
UNKNOWN: Final = Price(id="unknown", known=False)
FREE: Final = Price(id="free")
"""Of models on one's own machines."""


@final
@dataclass(slots=True, kw_only=True)
class Prices:
    """The compiled list, and what was found in it since the start."""

    lists: Mapping[str, Any]
    """As `pricing` compiled it; empty for none."""
    now: Callable[[], datetime]
    """A list knows from which day on a price holds."""
    _found: dict[tuple[str, str, str, object], Price] = field(default_factory=dict)

    def of(self, kind: str, config: Mapping[str, Any], model: str) -> Price:
        """Return the price of `model` through a connection; from the second time on a look-up in a dictionary."""
        if kind == "rehearsal":
            return REHEARSAL
        today = self.now().date()
        own = _own(config.get("price"), model)
        key = (kind, str(config.get("base_url") or ""), model, (today, None if own is None else tuple(own.items())))
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= MAX_FOUND:
                self._found.clear()
            found = self._found[key] = self._look_up(kind, config, model, own)
        return found

    def _look_up(self, kind: str, config: Mapping[str, Any], model: str, own: Mapping[str, Any] | None) -> Price:
        if own is not None:
            return stated(own)
        preset = presets().get(kind)
        if preset is not None and preset.free:
            return FREE
        provider = self._provider(preset.prices_of(config) if preset else "", str(config.get("base_url") or ""))
        return UNKNOWN if provider is None else self._listed(provider, model)

    def _provider(self, name: str, base_url: str) -> Mapping[str, Any] | None:
        """Return the provider that the list calls `name`, or else the one whose address it knows."""
        providers: Sequence[Mapping[str, Any]] = self.lists.get("providers", ())
        if name or not base_url:
            return next((one for one in providers if one["id"] == name), None)
        return next((one for one in providers if re.match(one["pattern"], base_url)), None)

    def _listed(self, provider: Mapping[str, Any], model: str) -> Price:
        line = self._line(provider, model.lower())
        if line is None:
            return UNKNOWN
        today = self.now().date().isoformat()
        prices = line["prices"]
        holds = next((one for one in reversed(prices) if (one["since"] or "") <= today), prices[0])
        told = dict(holds["price"])
        tiers = tuple(Tier(**tier) for tier in told.pop("tiers"))
        name = f"{self.lists['list']} {provider['id']}/{line['id']}"
        return Price(id=name, tiers=tiers, context=line["context"], **told)

    def _line(self, provider: Mapping[str, Any], model: str) -> Mapping[str, Any] | None:
        others = [one for one in self.lists["providers"] if one["id"] in provider["others"]]
        others.sort(key=lambda one: provider["others"].index(one["id"]))
        for spelt in dict.fromkeys((model, _DATED.sub(r"\1\2-\3-\4", model))):
            for one in (provider, *others):
                for line in one["models"]:
                    if _matches(line["match"], spelt):
                        return line if line["priced"] else None
        return None


def stated(table: Mapping[str, Any]) -> Price:
    """Return the price that a connection states: USD per million tokens, or for one image, second, … each."""
    rates: dict[str, Any] = {name: _nano(table[name]) for name in _NAMES if name in table}
    price = Price(id="connection", **rates)
    return replace(
        price,
        cached=rates.get("cached", price.input),
        written=rates.get("written", price.input),
    )


def check(table: object) -> None:
    """Raise `Invalid` (`invalid_price`) unless `table` is one that `stated` understands, for each model or `*`."""
    lines = table.values() if isinstance(table, Mapping) else [None]
    for line in lines:
        if not _is_line(line):
            raise Invalid(
                "The connection's price cannot be read.",
                code="invalid_price",
                remedy=f'Give {{"*": {{…}}}} or models by name, and in each USD for {", ".join(_NAMES)}.',
            )


def _is_line(line: object) -> bool:
    """Tell whether this states a price; one that states nothing is no price of nothing."""
    if not isinstance(line, Mapping) or not line:
        return False
    return set(line) <= set(_NAMES) and all(map(_amount, line.values()))


def _amount(usd: object) -> bool:
    return type(usd) in {int, float} and 0 <= float(usd) < _MOST  # type: ignore[arg-type]


def _nano(usd: float) -> int:
    return int((Decimal(str(usd)) * _NANO).to_integral_value(ROUND_CEILING))


def _own(price: object, model: str) -> Mapping[str, Any] | None:
    if not isinstance(price, Mapping):
        return None
    own = price.get(model, price.get("*"))
    return own if isinstance(own, Mapping) else None


_RULES: Final[Mapping[str, Callable[[Any, str], bool]]] = {
    "or": lambda rules, model: any(_matches(one, model) for one in rules),
    "and": lambda rules, model: all(_matches(one, model) for one in rules),
    "regex": lambda text, model: bool(re.search(text, model)),
    "starts_with": lambda text, model: model.startswith(text),
    "ends_with": lambda text, model: model.endswith(text),
    "contains": lambda text, model: text in model,
    "equals": lambda text, model: bool(text == model),
}


def _matches(rule: Sequence[Any], model: str) -> bool:
    """Tell whether a list's rule, such as `["starts_with", "gpt-5"]`, means `model`."""
    kind, value = rule
    return _RULES[kind](value, model)
