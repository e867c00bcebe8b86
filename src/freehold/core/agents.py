"""An agent is a name; what it is stands in its versions, which never change."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Final

from freehold.core.effects import Verdict
from freehold.core.tools import Pinned

ALL: Final = 100
"""All new conversations and runs, in per cent."""


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
class Deployment:
    """One time that a version became what new runs of an agent start with."""

    agent: str
    number: int
    version: str
    before: int | None
    """The deployment that counted until then; none for the first."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A named capability of a tenant."""

    id: str
    name: str
    version: str
    """The version new runs start with."""
    created_at: datetime
    deployment: int = 1
    """The number of the deployment that counts."""
    trial: str | None = None
    """The version that a share of new conversations and runs starts with instead."""
    share: int = 0
    """How large that share is, in per cent."""

    def begins(self, whose: str) -> str:
        """
        Return the version that the new conversation or run with the id `whose` starts with.

        A hash of the id chooses, so the same id is always answered the same, and one that a smaller share reached a
        larger one reaches too. The trial's own id is in it, so that it is not always the same ones who try.
        """
        if self.trial is None:
            return self.version
        drawn = int.from_bytes(sha256(f"{self.trial}:{whose}".encode()).digest()[:8]) % ALL
        return self.trial if drawn < self.share else self.version

    def goes_on(self, version: str) -> str:
        """Return the version that a conversation whose last turn ran with `version` goes on with."""
        return version if version == self.trial else self.version

    def share_of(self, version: str) -> int:
        """Return how many of a hundred new conversations and runs start with `version`."""
        if version == self.trial:
            return self.share
        return ALL - self.share if version == self.version else 0

    def fixed(self, version: str) -> "Agent":
        """Return the agent with `version` for all that starts, for what is to stay on it."""
        return replace(self, version=version, trial=None, share=0)
