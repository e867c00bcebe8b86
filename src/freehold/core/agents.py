"""An agent is a name; what it is stands in its versions, which never change."""

from dataclasses import dataclass, field
from datetime import datetime

from freehold.core.effects import Verdict
from freehold.core.tools import Pinned


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a version freezes; its hash is the version's identity."""

    model: str
    """`CONNECTION/MODEL`, or `rehearsal` with its knobs."""
    instructions: str = ""
    tools: dict[str, Verdict] = field(default_factory=dict)
    """Which tools the agent has, and whether they run, ask or are denied."""
    egress: tuple[str, ...] = ()
    """Hosts that programs in its sandboxes may go to: `HOST`, `*.DOMAIN`, either with `:PORT`."""
    pinned: dict[str, Pinned] = field(default_factory=dict)
    """What each tool of a connection was when it was granted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """An immutable configuration of an agent, addressed by the hash of its content."""

    id: str
    """`ver_` and the first 32 digits of the SHA-256 over agent and spec."""
    agent: str
    number: int
    spec: Spec
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A named capability of a tenant."""

    id: str
    name: str
    version: str
    """The version new runs start with."""
    created_at: datetime
