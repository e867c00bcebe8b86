"""An effect: something done to the world, as data with a key, and what can become of it."""

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class EffectState(StrEnum):
    """Where an effect stands."""

    PROPOSED = "proposed"
    ASKED = "asked"
    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    """Provably nothing was sent, or the counterpart said no and did nothing."""
    UNKNOWN = "unknown"
    """It may have happened; a person decides, unless the connection knows idempotency keys."""
    REFUSED = "refused"
    EXPIRED = "expired"


class EffectKind(StrEnum):
    """What an effect does to the world; who approves one sees it, and rules go by it."""

    READ = "read"
    OWN_WRITE = "own_write"
    """Changes what is the tenant's own, and can be undone."""
    MESSAGE = "message"
    """Tells somebody outside something."""
    SPEND = "spend"
    CREDENTIAL = "credential"
    """Makes, shows or uses up what opens something."""
    PERMISSION = "permission"
    DESTROY = "destroy"


EFFECT_TRANSITIONS = MappingProxyType(
    {
        EffectState.PROPOSED: frozenset({EffectState.OPEN, EffectState.ASKED, EffectState.REFUSED}),
        EffectState.ASKED: frozenset({EffectState.OPEN, EffectState.REFUSED, EffectState.EXPIRED}),
        EffectState.OPEN: frozenset({EffectState.DONE, EffectState.FAILED, EffectState.UNKNOWN}),
        EffectState.UNKNOWN: frozenset({EffectState.OPEN, EffectState.DONE, EffectState.FAILED}),
    }
)
"""Every arrow there is; what is unknown is opened again only by a person or under an idempotency key."""

SANDBOX = "sandbox"
"""The connection whose effects the worker carries out itself, in the run's sandbox."""
MODELS = "models"
"""The tool by which programs in an agent's sandbox may call models; to the model itself it is not offered."""
WEB = "web"
"""The built-in connection that reads public pages."""
SEARCH = "search"
"""The name of the connection that the tool `web_search` asks."""
WEB_FETCH = "web_fetch"
"""The tool that reads a public page: the operation `fetch` of the connection `web`."""
WEB_SEARCH = "web_search"
"""The tool that searches: the operation `search` of the connection `search`."""
BUDGET = "budget"
"""The connection by which a run asks to go on past a limit; a person always decides about that."""
EXTEND = "extend"
"""The one operation of the connection `budget`."""


class Verdict(StrEnum):
    """What a version may do with a tool."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a run wants done. Its canonical bytes are `{connection, operation, arguments}` in RFC 8785."""

    key: str
    """`run/segment/model-step/call-index`; fixed when the model proposed it."""
    connection: str
    operation: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an effect, as the gateway tells it."""

    state: EffectState
    hash: str
    """SHA-256 of the canonical bytes, in hexadecimal: what an approval is bound to."""
    result: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    fresh: bool = True
    """False when the outcome was stored before this request came in."""
    kind: str = ""
    """What the effect does to the world, an `EffectKind`; empty for what the sandbox does."""
    attempts: int = 0
    """How often it was begun."""
