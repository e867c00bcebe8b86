"""What comes in on the two sockets, as it must look; anything else is refused before it means something."""

from typing import Any

import msgspec

from freehold.core.effects import Effect


class WorkRequest(msgspec.Struct, kw_only=True):
    """On whose behalf a worker asks; the base of all it asks."""

    tenant: str
    agent: str
    version: str
    run: str
    epoch: int
    trace: str = ""
    attended: bool = False


class ChatRequest(WorkRequest, kw_only=True):
    """A model call."""

    key: str
    model: str
    body: dict[str, Any]
    stream: bool = False


class SubmitRequest(WorkRequest, kw_only=True):
    """An effect of a run."""

    effect: Effect


class SettleRequest(WorkRequest, kw_only=True):
    """What became of an effect that the worker carried out."""

    key: str
    state: str
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class SandboxUsageRequest(WorkRequest, kw_only=True):
    """How long a sandbox was awake."""

    sandbox: str
    wakes: int
    awake_ms: int
    memory_mb: int


class BoxRequest(WorkRequest, kw_only=True):
    """A sandbox wakes and gets a socket of its own."""

    sandbox: str
    uid: int
    """The number of its tenant."""
    holder: str
    """Who wakes it, as KIND/ID; another of the same kind has taken its place, and with it all it held."""


class BoxClosedRequest(msgspec.Struct, kw_only=True):
    """A sandbox is asleep."""

    sandbox: str


class JournaledRequest(msgspec.Struct, kw_only=True):
    """Runs that are over: tenant and run of each."""

    runs: list[tuple[str, str]]


class DeliverRequest(msgspec.Struct, kw_only=True):
    """An effect of the platform's own, for a tenant's channel."""

    tenant: str
    effect: Effect
    trace: str = ""


class TenantRequest(msgspec.Struct, kw_only=True):
    """A question about a tenant, or about the platform."""

    tenant: str | None


class SecretRequest(TenantRequest, kw_only=True):
    """A secret to set or forget."""

    name: str
    by: str
    value: str = ""


class ConnectionRequest(TenantRequest, kw_only=True):
    """A connection to make or delete."""

    name: str
    by: str
    kind: str = ""
    config: dict[str, Any] = {}
    secret: str | None = None


class DestinationRequest(TenantRequest, kw_only=True):
    """A place in a private network to open or close."""

    name: str
    by: str
    place: str = ""


class ToolsRequest(TenantRequest, kw_only=True):
    """A question for what connections can do."""

    connections: list[str]


class ToolRequest(TenantRequest, kw_only=True):
    """A question about the tools of one connection, or a wish for them to be other."""

    connection: str
    by: str = ""
    document: dict[str, Any] | None = None
    """An OpenAPI document that tells of them."""
    tool: str = ""
    kind: str = ""


class PublishRequest(msgspec.Struct, kw_only=True):
    """What an immutable version is granted."""

    tenant: str
    agent: str
    version: str
    model: str
    tools: dict[str, str]
    by: str
    pins: dict[str, str] = {}
    egress: list[str] = []


class DecideRequest(msgspec.Struct, kw_only=True):
    """A person's decision about an effect."""

    tenant: str
    key: str
    hash: str
    approve: bool
    by: str
    kind: str | None = None
    attempts: int | None = None


class UsageRequest(TenantRequest, kw_only=True):
    """A question about usage, from the moment `since` on and before `until` (milliseconds; 0: without end)."""

    run: str | None = None
    since: int = 0
    until: int = 0
    by: str = ""
    """What it is summed by: agent, run, model, level, key, provider, day, and tenant for the platform."""


class AuditRequest(TenantRequest, kw_only=True):
    """A question about the record: rows of one tenant from behind the position `after`."""

    after: int = 0
    limit: int = 500
    actor: str = ""
    action: str = ""
    subject: str = ""
    run: str = ""
    since: int = 0
    last: bool = False


class SwitchRequest(TenantRequest, kw_only=True):
    """A switch to throw: the effects of a tenant (none: of all) are paused, or go on."""

    paused: bool
    by: str


class HoldRequest(TenantRequest, kw_only=True):
    """A tenant that became active, or is so no longer."""

    held: bool
    by: str


class RetireRequest(msgspec.Struct, kw_only=True):
    """Runs of a tenant that were cancelled."""

    tenant: str
    runs: list[str]


class EraseRequest(msgspec.Struct, kw_only=True):
    """A tenant whose key is to be destroyed, with all that is kept under it."""

    tenant: str
    by: str


class LinesRequest(TenantRequest, kw_only=True):
    """A question for a stretch of one chain, as it is exported."""

    after: int
    until: int
    limit: int = 500


class HeadTold(msgspec.Struct, kw_only=True):
    """The end of a chain of the database, as web tells it."""

    tenant: str
    seq: int
    hash: str


class HeadRequest(TenantRequest, kw_only=True):
    """A wish for a signed head over an export: of one tenant (none: the platform), or of `every` chain."""

    stores: list[str]
    heads: list[HeadTold] = []
    every: bool = False


class AnchorRequest(msgspec.Struct, kw_only=True):
    """The ends of the database's chains, and what stands now where ends were signed before."""

    heads: list[HeadTold]
    seen: list[HeadTold]
    accepted: str = ""
    """Who takes what went back or changed as right, after a restore."""


class VerifyRequest(msgspec.Struct, kw_only=True):
    """A question whether the record is whole; `heads` and `seen` as for an anchor, so that they can be compared too."""

    heads: list[HeadTold] | None = None
    seen: list[HeadTold] = []


class TextsRequest(TenantRequest, kw_only=True):
    """Personal text to open."""

    sealed: list[bytes]


class WebhookRequest(msgspec.Struct, kw_only=True):
    """A webhook that came in, with the name of the secret it should be signed with."""

    tenant: str
    secret: str
    headers: dict[str, str]
    body: bytes


class MailRequest(msgspec.Struct, kw_only=True):
    """A mail of the platform's own."""

    to: str
    subject: str
    text: str
    key: str
    decoy: bool = False
    """Whether everything is done but the sending: whoever watches the clock learns nothing about addresses."""


class Nothing(msgspec.Struct):
    """A question that needs no words."""
