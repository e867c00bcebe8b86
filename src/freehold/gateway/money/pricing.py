"""
The published price list, compiled: `python -m freehold.gateway.money.pricing OUT`.

It runs as a program of its own because the list (genai-prices, the snapshot that was installed) brings 40 MB of
packages along that the gateway does without; what it writes is plain JSON in whole nano-USD. `listed` returns what was
compiled before, and compiles anew when another version of the list was installed.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, final

from typing_extensions import override

log = logging.getLogger(__name__)

LIST: Final = "genai-prices"
FORMAT: Final = 1
SECONDS: Final = 60
_NANO: Final = Decimal(10) ** 9
_HOUR: Final = 3_600
_TOKENS: Final = {
    "input": "input_mtok",
    "cached": "cache_read_mtok",
    "written": "cache_write_mtok",
    "output": "output_mtok",
}
_HEARING: Final = ("transcribe", "audio", "realtime")
"""Models whose input is sound for the most part, and is priced as such."""


@final
class Listed(Mapping[str, Any]):
    """The compiled list in a file, read at the first question: most starts need no price of it."""

    def __init__(self, file: Path, *, any_version: bool = False) -> None:
        """Keep the list in `file`; with `any_version`, one that is there stays, whatever was installed."""
        self._file, self._any_version = file, any_version
        self._found: Mapping[str, Any] | None = None

    @override
    def __getitem__(self, name: str) -> Any:
        return self._list()[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._list())

    @override
    def __len__(self) -> int:
        return len(self._list())

    def _list(self) -> Mapping[str, Any]:
        if self._found is None:
            self._found = listed(self._file, any_version=self._any_version)
        return self._found


def listed(out: Path, *, any_version: bool = False) -> dict[str, Any]:
    """Return the compiled list that is kept in `out`, compiled now if this version (or any) of it was not."""
    kept = _kept(out, any_version=any_version)
    if kept is None:
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run([sys.executable, "-m", __name__, str(out)], check=True, timeout=SECONDS)  # noqa: S603 - ourselves
        except (OSError, subprocess.SubprocessError):
            log.exception("The price list cannot be compiled: until the next start nobody knows what providers take.")
        kept = _kept(out, any_version=any_version)
    return kept or {}


def _kept(out: Path, *, any_version: bool) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(out.read_bytes())
    except (OSError, ValueError):
        return None
    fits = found.get("format") == FORMAT and (any_version or found.get("list") == _name())
    return found if fits else None


def _name() -> str:
    return f"{LIST} {version(LIST)}"


def compiled() -> dict[str, Any]:
    """Return the list as plain data."""
    from genai_prices.data import providers  # noqa: PLC0415 - only the program needs it

    return {"format": FORMAT, "list": _name(), "providers": [_provider(provider) for provider in providers]}


def _provider(provider: Any) -> dict[str, Any]:
    return {
        "id": provider.id,
        "pattern": provider.api_pattern,
        "others": provider.fallback_model_providers or [],
        "models": [_model(model) for model in provider.models],
    }


def _model(model: Any) -> dict[str, Any]:
    conditions = model.prices if isinstance(model.prices, list) else [None]
    rates: list[dict[str, Any]] = [
        {"since": _since(one), "price": _price(model.id, model.prices if one is None else one.prices)}
        for one in conditions
    ]
    daily = [one for one, rate in zip(conditions, rates, strict=True) if rate["since"] == "daily"]
    if daily:
        # Cheaper by night: the dearer of the two holds all day, so that nothing is ever undercharged.
        rates = [{"since": None, "price": max((rate["price"] for rate in rates), key=lambda price: price["output"])}]
    found = {"id": model.id, "match": _clause(model.match), "context": model.context_window or 0, "prices": rates}
    return found | {"priced": any(value for rate in rates for value in rate["price"].values())}


def _since(condition: Any) -> str | None:
    constraint = getattr(condition, "constraint", None)
    if constraint is None:
        return None
    start: date | None = getattr(constraint, "start_date", None)
    return "daily" if start is None else start.isoformat()


def _price(model: str, prices: Any) -> dict[str, Any]:
    def of(name: str, above: int = 0) -> Decimal | None:
        value = getattr(prices, name, None)
        if value is None or isinstance(value, Decimal):
            return value
        reached = [tier.price for tier in value.tiers if tier.start <= above]
        return Decimal(reached[-1] if reached else value.base)

    starts = {tier.start for name in _TOKENS.values() for tier in getattr(getattr(prices, name, None), "tiers", ())}
    tokens = _rates(of, 0)
    heard = _nano(of("input_audio_mtok"))
    if any(word in model for word in _HEARING) and heard > tokens["input"]:
        tokens["input"] = heard
    hours = of("audio_hours") or of("input_audio_hours")
    return tokens | {
        "second": _nano(hours, _HOUR),
        "character": _nano(of("input_mchars"), 1_000_000),
        "request": _nano(of("requests_kcount"), 1_000),
        "tiers": [{"above": start, **_rates(of, start)} for start in sorted(starts, reverse=True)],
    }


def _rates(of: Any, above: int) -> dict[str, int]:
    """Return what a million tokens cost; what has no price of its own costs what input does."""
    rates = {name: of(key, above) for name, key in _TOKENS.items()}
    plain = rates["input"] or Decimal(0)
    return {
        "input": _nano(plain),
        "cached": _nano(plain if rates["cached"] is None else rates["cached"]),
        "written": _nano(plain if rates["written"] is None else rates["written"]),
        "output": _nano(rates["output"]),
    }


def _nano(usd: Decimal | None, parts: int = 1) -> int:
    return int(((usd or Decimal(0)) * _NANO / parts).to_integral_value(ROUND_CEILING))


def _clause(clause: Any) -> list[Any]:
    """Return a rule of the list as data: its name, and its text in lower case or the rules it joins."""
    ((name, value),) = vars(clause).items()
    if isinstance(value, list):
        return [name.strip("_"), [_clause(one) for one in value]]
    return [name, value if name == "regex" else value.lower()]


def _write(out: Path) -> None:
    part = out.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(compiled(), separators=(",", ":")))
    part.replace(out)


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
