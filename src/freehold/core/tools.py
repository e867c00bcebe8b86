"""A tool: something a connection can do, as a model is told of it and as a version pins it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from freehold.core.effects import EffectKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """What a connection can do."""

    name: str
    """The operation of its effects."""
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema of the arguments, an object."""
    kind: EffectKind
    how: Mapping[str, Any] = field(default_factory=dict)
    """The driver's own: how it is called. Part of what is pinned, shown to no model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """A tool as one version was granted it; the connection may tell another story since."""

    hash: str
    """SHA-256 of the tool's canonical bytes, in hexadecimal."""
    description: str
    parameters: Mapping[str, Any]
    kind: EffectKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A tool as a connection has it now, for whoever makes a version."""

    pinned: Pinned
    """What a version pins of it."""
    apart: bool
    """Whether a server or a document told of it: such a tool may change without anybody here, so its hash binds."""
