"""Which drivers speak to which providers of models."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from freehold.catalog.providers import Preset, presets
from freehold.core.clock import Clock
from freehold.drivers.model.anthropic.format import Anthropic
from freehold.drivers.model.gemini.format import Gemini
from freehold.drivers.model.openai.format import OpenAi
from freehold.drivers.model.rehearsal.driver import RehearsalModel
from freehold.gateway.formats import ModelDriver
from freehold.gateway.outward.client import Client

_FORMATS: Final[Mapping[str, Callable[[Client, Preset], ModelDriver]]] = MappingProxyType(
    {"openai": OpenAi, "anthropic": Anthropic, "gemini": Gemini}
)


def model_drivers(client: Client, clock: Clock) -> Mapping[str, ModelDriver]:
    """Return a driver for every provider that ships, by the kind of its connections, and the model that is built in."""
    drivers = {
        name: _FORMATS[preset.format](client, preset) for name, preset in presets().items() if preset.format in _FORMATS
    }
    return MappingProxyType(drivers | {RehearsalModel.kind: RehearsalModel(clock)})
