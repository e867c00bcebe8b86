"""
Every setting, with its default and its reason.

A setting is an environment variable `FREEHOLD_NAME` or a line `name = …` in `freehold.toml` (in the
working folder, or where `FREEHOLD_CONFIG` says); the environment wins. An unknown name is an error
that suggests the nearest one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from freehold import failpoints
from freehold.core.errors import Invalid
from freehold.surroundings import PREFIX, stated

SECRETS: Mapping[str, frozenset[str]] = {
    "smtp_url": frozenset({"gateway"}),
    "oidc_client_secret": frozenset({"gateway"}),
    "database": frozenset({"web", "worker"}),
    "operator_key_hash": frozenset({"web"}),
    "key_seal": frozenset({"web"}),
    "claim_hash": frozenset({"web"}),
}
"""Settings that hold a secret, or may, and the processes that are given them."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one installation runs. The same names hold for every process, on a laptop and in a cluster."""

    data: Path = Path("~/.local/share/freehold")
    """The data folder: database, gateway store, tenants' folders, sockets."""

    address: str = "127.0.0.1:7070"
    """Where web listens. Loopback by default: an edge or a tunnel makes it public on purpose."""

    public_url: Annotated[str, Meta(pattern=r"^(https?://[^/?#@\s]+)?\Z")] = ""
    """Where people reach the platform, such as `https://agents.example.com`; empty where they reach web itself."""

    hosts: str = ""
    """Further `host[:port]` the platform answers to, with commas between; any other Host is refused."""

    proxies: Annotated[str, Meta(pattern=r"^[0-9A-Fa-f.:/, ]*\Z")] = ""
    """Addresses or networks of the edges in front, with commas between: only they say for whom they ask."""

    gateway_address: Annotated[str, Meta(pattern=r"^(\S+:\d{1,5})?\Z")] = ""
    """Where the gateway answers clients that show a model key, such as `127.0.0.1:7071`; empty for nowhere."""

    egress_bytes: Annotated[int, Meta(ge=1024)] = 1 << 30
    """Bytes that one session of a program with the outside may carry, both ways together."""

    egress_seconds: Annotated[float, Meta(gt=0)] = 3600.0
    """Seconds that one such session may last."""

    egress_at_once: Annotated[int, Meta(ge=1)] = 32
    """Such sessions of one sandbox at a time; each is two connections and what is on its way in them."""

    rate_address: Annotated[int, Meta(ge=0)] = 20
    """Requests a second from one address that show no valid key or session; ten seconds' worth at once; 0: any."""

    rate_caller: Annotated[int, Meta(ge=0)] = 20
    """Requests a second with one key, or by one person; ten seconds' worth at once; 0: any."""

    rate_tenant: Annotated[int, Meta(ge=0)] = 40
    """Requests a second within one tenant, whoever sends them; ten seconds' worth at once; 0: any."""

    database: str = ""
    """Where the database is: empty for `freehold.db` in the data folder."""

    runtime: Literal["bwrap", "process"] = "bwrap"
    """Which driver makes sandboxes; `process` isolates nothing and refuses a second tenant."""

    sandbox_idle: Annotated[float, Meta(gt=0)] = 60.0
    """Seconds after which a sandbox nobody uses is put to sleep."""

    sandbox_wakes: Annotated[int, Meta(gt=0)] = 8
    """How many sandboxes may be waking at once: a wake costs about 12 ms of a core."""

    sandbox_memory_mb: Annotated[int, Meta(ge=32)] = 512
    """Memory of one sandbox, where the host's cgroups let us say so."""

    sandbox_pids: Annotated[int, Meta(ge=8)] = 128
    """Processes and threads of one sandbox."""

    sandbox_disk_mb: Annotated[int, Meta(ge=1)] = 1024
    """Size of one workspace; a sandbox that passes it is killed."""

    sandbox_timeout: Annotated[float, Meta(gt=0)] = 120.0
    """Seconds one command may take before its process tree is killed."""

    sandbox_uid_base: Annotated[int, Meta(ge=65_536)] = 200_000
    """Sandboxes of tenant number N run as user base + N when the platform was started by root."""

    sandbox_cgroups: bool = True
    """Whether to limit memory and processes by cgroup; rlimits hold in any case."""

    service_uid_base: Annotated[int, Meta(ge=1_000)] = 64_200
    """Started by root, the gateway runs as this user, web and worker as the next, web's group is the one after."""

    master_key_file: str = ""
    """File of the key that wraps all others; empty for `gateway/master.key`, made at first start."""

    audit_anchor: str = ""
    """Second place for the signed heads of the record: a folder, or `mailto:` and an address; empty for none."""

    smtp_url: str = ""
    """Where mail goes, as `smtp://user:password@host:port` or `smtps://…`; empty prints it instead."""

    price_list: str = ""
    """File of the compiled price list, to keep one of your own; empty for `gateway/prices.json`, made when needed."""

    mail_from: str = "freehold@localhost"
    """Who mail comes from."""

    operator_passkey: bool = False
    """Whether people are operators only once they have shown a passkey: a mailbox alone is little proof."""

    oidc_issuer: str = ""
    """The provider people sign in with, as it calls itself, such as `https://id.example.com`; empty for none."""

    oidc_client_id: str = ""
    """What that provider calls this platform."""

    oidc_client_secret: str = ""
    """What proves this platform to the provider; empty for the platform's secret `oidc`, or for none."""

    oidc_name: str = "single sign-on"
    """What the button for it says: the name people know the provider by."""

    oidc_groups: str = ""
    """What groups make of people: `GROUP=operator`, `=auditor` or `=TENANT:ROLE`, with commas between."""

    oidc_groups_claim: str = "groups"
    """Where the provider tells the groups."""

    oidc_trust_email: bool = False
    """Whether addresses count as verified where the provider does not say: only if its users cannot set them."""

    rehearsal: bool = False
    """Whether tenants may use the built-in rehearsal model, which is no model."""

    lease: Annotated[float, Meta(gt=0)] = 15.0
    """Seconds without a sign of life after which a worker counts as dead."""

    worker_runs: Annotated[int, Meta(gt=0)] = 64
    """How many segments one worker carries out at once."""

    tenant_slots: Annotated[int, Meta(gt=0)] = 8
    """How many runs of one tenant go on at once; the rest queue."""

    default_tier: str = "sovereign"
    """Tier of a new tenant. Without limits by default: who hosts for themselves has none until they set some."""

    tenant_retention_days: Annotated[float, Meta(ge=0)] = 30.0
    """Days for which a deleted tenant can be restored before it is destroyed."""

    message_bytes: Annotated[int, Meta(gt=0)] = 262_144
    """Longest message that is accepted, in bytes."""

    approval_hours: Annotated[float, Meta(gt=0)] = 24.0 * 7
    """Hours after which a question nobody answered expires."""

    invitation_days: Annotated[float, Meta(gt=0, le=90)] = 7.0
    """Days for which the link of an invitation is good."""

    run_hours: Annotated[float, Meta(gt=0)] = 24.0 * 30
    """Hours after which a run that is still not over fails."""

    model_timeout: Annotated[float, Meta(gt=0)] = 300.0
    """Seconds a model call may take."""

    model_attempts: Annotated[int, Meta(ge=1)] = 3
    """How often a model call is tried while its provider is away, before the run fails."""

    reserve_mb: Annotated[int, Meta(ge=0)] = 16
    """A file of this size is kept, and dropped when the disk is full, so that accepted work can finish."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much the processes say on standard error."""

    test: bool = False
    """Test mode: makes failpoints possible. Never in production."""

    metrics_address: Annotated[str, Meta(pattern=r"^((127\.\d+\.\d+\.\d+|localhost|\[::1\]):\d{1,5})?\Z")] = ""
    """Where on this machine the gateway tells its metrics, such as `127.0.0.1:9464`, the worker a port above; empty: nowhere."""

    metrics_tenants: bool = False
    """Whether metrics name tenants, each a few series more: for installations with some dozens of them."""

    failpoint: str = ""
    """`process:point:count`: where a process shall die; only in test mode."""

    operator_key_hash: str = ""
    """Set by `freehold up` for web: SHA-256 of the operator key, so that web need not read the key."""

    key_seal: str = ""
    """Set by `freehold up` for web: what API keys are sealed with, so that who writes the database can make none."""

    claim_hash: str = ""
    """Set by `freehold up` for web: SHA-256 of what the link shows with which the first operator claims."""

    gateway_user: int = -1
    """Set by `freehold up` when it is root: who the gateway is; web and worker speak with nobody else in its place."""

    gateway_web_group: int = -1
    """Set by `freehold up` when it is root: the group that may connect to web's gateway socket."""

    gateway_worker_group: int = -1
    """Set by `freehold up` when it is root: the group that may connect to worker's gateway socket."""

    spawner: bool = False
    """Set by `freehold up` when it is root: sandboxes are made by its spawner, since workers are not root."""

    @property
    def on_loopback(self) -> bool:
        """Return whether nobody but this machine reaches web."""
        host = self.address.rpartition(":")[0].strip("[]")
        return host in {"localhost", "::1"} or host.startswith("127.")

    @property
    def base_url(self) -> str:
        """Return where people reach the platform, without a slash at its end: what links begin with."""
        return self.public_url or f"http://{self.address}"

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None, **overrides: Any) -> "Settings":
        """
        Return the settings of `environment` (this process's by default) over those of `freehold.toml`.

        Raises `Invalid` with code `unknown_setting` or `bad_setting`, naming the setting and the remedy.
        """
        values = stated(cls.__struct_fields__, environment) | overrides
        try:
            settings = msgspec.convert(_plain(values), cls, strict=False, dec_hook=_path)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `$.")
            name = PREFIX + where.rstrip("`").upper() if where else "settings"
            if "regex" in what:  # which says little to people
                what = "it is not written as such a setting is"
            raise Invalid(
                f"{name} is not right: {what}.",
                code="bad_setting",
                remedy=f"Correct {name} as the reference of settings says, or unset it.",
            ) from error
        if settings.failpoint and not settings.test:
            raise Invalid(
                "FREEHOLD_FAILPOINT makes a process die and needs FREEHOLD_TEST=1.",
                code="bad_setting",
                remedy="Unset FREEHOLD_FAILPOINT.",
            )
        failpoints.arm(settings.failpoint)
        return msgspec.structs.replace(settings, data=settings.data.expanduser().absolute())

    def environment(self, process: str) -> dict[str, str]:
        """Return the variables that give `process` these settings; defaults, and secrets of others, are left out."""
        told = {field.name: value for field in _FIELDS if (value := getattr(self, field.name)) != field.default}
        others = {name for name, owners in SECRETS.items() if process not in owners}
        return {PREFIX + name.upper(): _spell(value) for name, value in told.items() if name not in others}


_FIELDS: Final = msgspec.structs.fields(Settings)
_SWITCHES: Final = {"yes": True, "on": True, "no": False, "off": False}
"""Further spellings of switches; `1`, `true`, `0` and `false` are understood as they are."""


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    flags = {field.name for field in _FIELDS if field.type is bool}
    return {
        name: _SWITCHES.get(value.lower(), value) if name in flags and isinstance(value, str) else value
        for name, value in values.items()
    }


def _path(kind: type, value: Any) -> Any:
    """Return a path as text names it; all other kinds of settings are read without us."""
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    raise msgspec.ValidationError(f"Expected a path, got `{type(value).__name__}`")


def _spell(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
