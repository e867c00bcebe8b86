"""
Every setting, with its default and its reason; the only reader of the environment.

A setting is an environment variable `FREEHOLD_NAME` or a line `name = …` in `freehold.toml` (in the
working folder, or where `FREEHOLD_CONFIG` says); the environment wins. An unknown name is an error
that suggests the nearest one.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from freehold import failpoints
from freehold.core.errors import Invalid

PREFIX = "FREEHOLD_"
_OUTSIDE = frozenset({"FREEHOLD_CONFIG", "FREEHOLD_URL", "FREEHOLD_KEY"})
"""Names that the command line reads for itself: they tell where a platform is, not how it runs."""

SECRETS: Mapping[str, frozenset[str]] = {
    "smtp_url": frozenset({"gateway"}),
    "oidc_client_secret": frozenset({"gateway"}),
    "database": frozenset({"web", "worker"}),
    "operator_key_hash": frozenset({"web"}),
    "key_seal": frozenset({"web"}),
    "claim_hash": frozenset({"web"}),
}
"""Settings that hold a secret, or may, and the processes that are given them."""


class Settings(BaseSettings):
    """How one installation runs. The same names hold for every process, on a laptop and in a cluster."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=True)

    data: Path = Path("~/.local/share/freehold")
    """The data folder: database, gateway store, tenants' folders, sockets."""

    address: str = "127.0.0.1:7070"
    """Where web listens. Loopback by default: an edge or a tunnel makes it public on purpose."""

    public_url: str = Field(default="", pattern=r"^(https?://[^/?#@\s]+)?$")
    """Where people reach the platform, such as `https://agents.example.com`; empty where they reach web itself."""

    hosts: str = ""
    """Further `host[:port]` the platform answers to, with commas between; any other Host is refused."""

    proxies: str = Field(default="", pattern=r"^[0-9A-Fa-f.:/, ]*$")
    """Addresses or networks of the edges in front, with commas between: only they say for whom they ask."""

    rate_address: int = Field(default=20, ge=0)
    """Requests a second from one address that show no valid key or session; ten seconds' worth at once; 0: any."""

    rate_caller: int = Field(default=20, ge=0)
    """Requests a second with one key, or by one person; ten seconds' worth at once; 0: any."""

    rate_tenant: int = Field(default=40, ge=0)
    """Requests a second within one tenant, whoever sends them; ten seconds' worth at once; 0: any."""

    database: str = ""
    """Where the database is: empty for `freehold.db` in the data folder."""

    runtime: Literal["bwrap", "process"] = "bwrap"
    """Which driver makes sandboxes; `process` isolates nothing and refuses a second tenant."""

    sandbox_idle: float = Field(default=60.0, gt=0)
    """Seconds after which a sandbox nobody uses is put to sleep."""

    sandbox_wakes: int = Field(default=8, gt=0)
    """How many sandboxes may be waking at once: a wake costs about 12 ms of a core."""

    sandbox_memory_mb: int = Field(default=512, ge=32)
    """Memory of one sandbox, where the host's cgroups let us say so."""

    sandbox_pids: int = Field(default=128, ge=8)
    """Processes and threads of one sandbox."""

    sandbox_disk_mb: int = Field(default=1024, ge=1)
    """Size of one workspace; a sandbox that passes it is killed."""

    sandbox_timeout: float = Field(default=120.0, gt=0)
    """Seconds one command may take before its process tree is killed."""

    sandbox_uid_base: int = Field(default=200_000, ge=65_536)
    """Sandboxes of tenant number N run as user base + N when the platform was started by root."""

    sandbox_cgroups: bool = True
    """Whether to limit memory and processes by cgroup; rlimits hold in any case."""

    service_uid_base: int = Field(default=64_200, ge=1_000)
    """Started by root, the gateway runs as this user, web and worker as the next, web's group is the one after."""

    master_key_file: str = ""
    """File of the key that wraps all others; empty for `gateway/master.key`, made at first start."""

    audit_anchor: str = ""
    """Second place for the signed heads of the record: a folder, or `mailto:` and an address; empty for none."""

    smtp_url: str = ""
    """Where mail goes, as `smtp://user:password@host:port` or `smtps://…`; empty prints it instead."""

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

    lease: float = Field(default=15.0, gt=0)
    """Seconds without a sign of life after which a worker counts as dead."""

    worker_runs: int = Field(default=64, gt=0)
    """How many segments one worker carries out at once."""

    tenant_slots: int = Field(default=8, gt=0)
    """How many runs of one tenant go on at once; the rest queue."""

    default_tier: str = "sovereign"
    """Tier of a new tenant. Without limits by default: who hosts for themselves has none until they set some."""

    tenant_retention_days: float = Field(default=30.0, ge=0)
    """Days for which a deleted tenant can be restored before it is destroyed."""

    message_bytes: int = Field(default=262_144, gt=0)
    """Longest message that is accepted, in bytes."""

    approval_hours: float = Field(default=24.0 * 7, gt=0)
    """Hours after which a question nobody answered expires."""

    invitation_days: float = Field(default=7.0, gt=0, le=90)
    """Days for which the link of an invitation is good."""

    run_hours: float = Field(default=24.0 * 30, gt=0)
    """Hours after which a run that is still not over fails."""

    model_timeout: float = Field(default=300.0, gt=0)
    """Seconds a model call may take."""

    model_attempts: int = Field(default=3, ge=1)
    """How often a model call is tried while its provider is away, before the run fails."""

    reserve_mb: int = Field(default=16, ge=0)
    """A file of this size is kept, and dropped when the disk is full, so that accepted work can finish."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much the processes say on standard error."""

    test: bool = False
    """Test mode: makes failpoints possible. Never in production."""

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
        environment = os.environ if environment is None else environment
        values = _from_file(environment) | _from_environment(environment) | overrides
        try:
            settings = cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = PREFIX + str(first["loc"][0]).upper() if first["loc"] else "settings"
            raise Invalid(
                f"{name} is not right: {first['msg']}.", code="bad_setting", remedy=f"Correct {name} or unset it."
            ) from error
        if settings.failpoint and not settings.test:
            raise Invalid(
                "FREEHOLD_FAILPOINT makes a process die and needs FREEHOLD_TEST=1.",
                code="bad_setting",
                remedy="Unset FREEHOLD_FAILPOINT.",
            )
        failpoints.arm(settings.failpoint)
        return settings.model_copy(update={"data": settings.data.expanduser().absolute()})

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `read` collected and nothing else, so that there is one way in."""
        return (init_settings,)

    def environment(self, process: str) -> dict[str, str]:
        """Return the variables that give `process` these settings; defaults, and secrets of others, are left out."""
        stated = self.model_dump(mode="json", exclude_defaults=True)
        others = {name for name, owners in SECRETS.items() if process not in owners}
        return {PREFIX + name.upper(): _spell(value) for name, value in stated.items() if name not in others}


_PASSED_ON = frozenset({"PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR"})


def passed_on(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what of the surroundings a process of ours may see: nothing that could hold a secret."""
    surroundings = os.environ if environment is None else environment
    return {name: surroundings[name] for name in sorted(_PASSED_ON & surroundings.keys())}


def _spell(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    names = [name for name in environment if name.startswith(PREFIX) and name not in _OUTSIDE]
    return {_known(name.removeprefix(PREFIX).lower(), shown=name): environment[name] for name in names}


def _from_file(environment: Mapping[str, str]) -> dict[str, Any]:
    stated = environment.get("FREEHOLD_CONFIG", "")
    path = Path(stated or "freehold.toml")
    if not stated and not path.is_file():
        return {}
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Invalid(
            f"{path} cannot be read as settings: {error}.", code="bad_setting", remedy="Correct the file."
        ) from error
    return {_known(name, shown=f"{name} in {path}"): value for name, value in values.items()}


def _known(name: str, *, shown: str) -> str:
    if name in Settings.model_fields:
        return name
    near = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0.5)
    hint = f"Did you mean {PREFIX}{near[0].upper()}?" if near else "See the list of settings in the reference."
    raise Invalid(f"There is no setting {shown}.", code="unknown_setting", remedy=hint)
