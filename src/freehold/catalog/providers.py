"""The providers of models that ship, read from `providers.toml` beside this file: a connection's kind names one."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

REHEARSAL: Final = "rehearsal"
"""The one model that is built in; no connection names it."""
FORMATS: Final = frozenset({"openai", "anthropic", "gemini"})
KEYS: Final = frozenset({"bearer", "x-api-key", "api-key", "x-goog-api-key"})
USAGES: Final = frozenset({"asked", "told"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What is known about a provider before anybody connects to it."""

    name: str
    format: str
    """Which driver speaks to it."""
    base_url: str
    """Empty where only a connection can say it."""
    key: str
    """How the credential is sent."""
    region: str
    """Empty where only a connection can say it."""
    prices: str
    """What the price list calls it; empty where it lists none."""
    apis: frozenset[str]
    """What it takes as callers write it."""
    free: bool = False
    limit: str = "max_tokens"
    """The member of a chat completion that limits its answer, where the caller wrote none."""
    usage: str = "asked"
    """Whether it must be asked for the usage of a stream, or tells it anyway."""

    def region_of(self, config: Mapping[str, Any]) -> str:
        """Return where a connection's calls are computed; empty where nobody said."""
        return str(config.get("region") or "") or ("" if self._elsewhere(config) else self.region)

    def prices_of(self, config: Mapping[str, Any]) -> str:
        """Return what the price list calls the provider behind a connection; empty where nobody can tell."""
        return "" if self._elsewhere(config) else self.prices

    def base_url_of(self, config: Mapping[str, Any]) -> str:
        """Return where a connection's calls go, without a slash at the end."""
        return str(config.get("base_url") or self.base_url).rstrip("/")

    def _elsewhere(self, config: Mapping[str, Any]) -> bool:
        """Whether a connection leads to another machine than the one this preset knows."""
        return bool(self.base_url) and not self.free and self.base_url_of(config) != self.base_url


@cache
def presets() -> Mapping[str, Preset]:
    """Return the providers that ship, by name."""
    tables = tomllib.loads(files("freehold.catalog").joinpath("providers.toml").read_text("utf-8"))
    return MappingProxyType({name: _preset(name, told) for name, told in tables.items()})


def _preset(name: str, told: dict[str, Any]) -> Preset:
    preset = Preset(name=name, **{**told, "apis": frozenset(told["apis"])})
    if preset.format not in FORMATS or preset.key not in KEYS or preset.usage not in USAGES:
        raise LookupError(f"The provider {name} is described by words nobody knows.")
    return preset
