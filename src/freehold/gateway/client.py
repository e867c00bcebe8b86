"""
How web and worker talk to the gateway: one HTTP request over a unix socket per question.

The socket is who you are; nothing here holds a credential. What goes wrong comes back as the same kind of
error that the gateway raised; a gateway that is away is `Unavailable` with code `gateway_away`, and the same
request may be made again: every effect has its key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, final

from freehold.core.ceremonies import Claims
from freehold.core.effects import Effect, EffectState, Outcome
from freehold.gateway.dialling import Line, OnText
from freehold.gateway.money_line import MoneyLine
from freehold.gateway.record_line import RecordLine
from freehold.gateway.sign_in_line import SignInLine
from freehold.gateway.tool_line import ToolLine
from freehold.gateway.vault_line import VaultLine

__all__ = ["ChatReply", "OnText", "ToolCall", "WebGateway", "Work", "WorkerGateway"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """On whose behalf a worker asks."""

    tenant: str
    agent: str
    version: str
    run: str
    epoch: int
    trace: str = ""
    attended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool call that the model proposes."""

    id: str
    name: str
    arguments: dict[str, Any] | str
    """As parsed; the raw text where the model wrote no JSON object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatReply:
    """What the model answered, and what it cost."""

    text: str
    calls: tuple[ToolCall, ...]
    finish: str
    usage_in: int
    usage_out: int
    cost_nano: int
    model: str


@final
class WorkerGateway(Line):
    """What a worker may ask of the gateway."""

    async def chat(
        self, work: Work, *, key: str, model: str, body: dict[str, Any], on_text: OnText | None = None
    ) -> ChatReply:
        """Return the model's reply to `body` (a chat completion request without model and stream)."""
        question = asdict(work) | {"key": key, "model": model, "body": body, "stream": on_text is not None}
        reply = await self.ask("chat", question, on_text)
        calls = tuple(ToolCall(**call) for call in reply.pop("calls"))
        return ChatReply(calls=calls, **reply)

    async def submit(self, work: Work, effect: Effect) -> Outcome:
        """
        Propose an effect and return what became of it, judged by what the version was granted.

        Of the connection `sandbox` an allowed effect comes back *open*: carry it out and `settle` it.
        """
        return _outcome(await self.ask("submit", asdict(work) | {"effect": asdict(effect)}))

    async def settle(
        self,
        work: Work,
        *,
        key: str,
        state: EffectState,
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        """Report what became of an effect the worker carried out; saying the same again changes nothing."""
        await self.ask("settle", asdict(work) | {"key": key, "state": str(state), "result": result, "error": error})

    async def deliver(
        self, *, tenant: str, key: str, connection: str, operation: str, arguments: dict[str, Any], trace: str = ""
    ) -> Outcome:
        """Send something of the platform's own through a channel's connection, once per key."""
        effect = {"key": key, "connection": connection, "operation": operation, "arguments": arguments}
        return _outcome(await self.ask("deliver", {"tenant": tenant, "effect": effect, "trace": trace}))

    async def journaled(self, runs: Sequence[tuple[str, str]]) -> None:
        """Say which runs (tenant, run) are over: what went into their effects and came of them is dropped."""
        await self.ask("journaled", {"runs": list(runs)})

    async def sandbox_usage(self, work: Work, *, sandbox: str, wakes: int, awake_ms: int, memory_mb: int) -> None:
        """Report that a sandbox of the run was awake."""
        counts = {"sandbox": sandbox, "wakes": wakes, "awake_ms": awake_ms, "memory_mb": memory_mb}
        await self.ask("sandbox-usage", asdict(work) | counts)

    async def open_box(self, work: Work, *, sandbox: str, uid: int, holder: str) -> bool:
        """
        Have the gateway listen for a sandbox, in the name of its run; return whether it did not before.

        `uid` is the number of its tenant. `holder` is who wakes it, as KIND/ID: another of the same kind has taken its
        place, and all that it held is closed. The same again changes nothing, so it may be said at every step.
        """
        return bool(await self.ask("boxes/open", asdict(work) | {"sandbox": sandbox, "uid": uid, "holder": holder}))

    async def close_box(self, sandbox: str) -> None:
        """Have it listen for a sandbox no more."""
        await self.ask("boxes/close", {"sandbox": sandbox})


@final
class WebGateway(MoneyLine, VaultLine, SignInLine, ToolLine, RecordLine):
    """What web may ask of the gateway; no tenant means the platform itself."""

    async def create_connection(
        self, tenant: str | None, *, kind: str, name: str, config: dict[str, Any], secret: str | None, by: str
    ) -> dict[str, Any]:
        """Make a connection and return it: id, name, kind, config, secret (its name), made_by, made_at."""
        made = {"tenant": tenant, "kind": kind, "name": name, "config": config, "secret": secret, "by": by}
        return dict(await self.ask("connections/create", made))

    async def list_connections(self, tenant: str | None) -> list[dict[str, Any]]:
        """Return the tenant's own connections, or the platform's."""
        return list(await self.ask("connections/list", {"tenant": tenant}))

    async def delete_connection(self, tenant: str | None, name: str, *, by: str) -> None:
        """Delete a connection."""
        await self.ask("connections/delete", {"tenant": tenant, "name": name, "by": by})

    async def allow_destination(self, tenant: str | None, *, name: str, place: str, by: str) -> dict[str, Any]:
        """Open a place in a private network (`HOST:PORT`, `HOST:*`) to a tenant, or to all; return it as it is listed."""
        return dict(await self.ask("destinations/allow", {"tenant": tenant, "name": name, "place": place, "by": by}))

    async def list_destinations(self, tenant: str | None) -> list[dict[str, Any]]:
        """Return what is open to the tenant alone, or to all: name, host, port (0: every one), set_by, set_at."""
        return list(await self.ask("destinations/list", {"tenant": tenant}))

    async def remove_destination(self, tenant: str | None, name: str, *, by: str) -> None:
        """Close a destination again."""
        await self.ask("destinations/remove", {"tenant": tenant, "name": name, "by": by})

    async def publish(
        self,
        *,
        tenant: str,
        agent: str,
        version: str,
        model: str,
        tools: dict[str, str],
        by: str,
        pins: Mapping[str, str] = MappingProxyType({}),
        egress: Sequence[str] = (),
    ) -> None:
        """Grant an immutable version its model, tools with their hashes, and hosts; the same again changes nothing."""
        grants = {"tenant": tenant, "agent": agent, "version": version, "model": model, "tools": tools, "by": by}
        await self.ask("publish", grants | {"pins": dict(pins), "egress": list(egress)})

    async def decide(
        self,
        *,
        tenant: str,
        key: str,
        hash: str,  # noqa: A002
        approve: bool,
        by: str,
        kind: str | None = None,
        attempts: int | None = None,
    ) -> None:
        """
        Decide about an effect that was asked about, or that may have happened, naming the bytes that were shown.

        `kind` and `attempts` are what was shown of what it does, and of how often it was begun before; where they
        are not so, `Conflict` (`altered`) is raised.
        """
        told = {"tenant": tenant, "key": key, "hash": hash, "approve": approve, "by": by}
        await self.ask("decide", told | {"kind": kind, "attempts": attempts})

    async def tenant_key(self, tenant: str | None) -> str:
        """Return the key that personal text of `tenant` (none: the platform) is encrypted to; made if there is none."""
        return str((await self.ask("tenants/key", {"tenant": tenant}))["key"])

    async def open_texts(self, tenant: str | None, sealed: list[bytes]) -> list[dict[str, Any]]:
        """Return personal text opened, in order: each the `nonce` and the `personal` that its hash covers."""
        return list(await self.ask("audit/open", {"tenant": tenant, "sealed": sealed}))

    async def verify_webhook(self, tenant: str, secret: str, headers: dict[str, str], body: bytes) -> None:
        """Raise `Denied` unless `body` is signed with the tenant's secret of that name."""
        question = {"tenant": tenant, "secret": secret, "headers": headers, "body": body}
        await self.ask("webhooks/verify", question)

    async def send_mail(self, *, to: str, subject: str, text: str, key: str, decoy: bool = False) -> None:
        """Send a mail of the platform's own, once per key; with `decoy`, do all the work of it and send nothing."""
        await self.ask("mail", {"to": to, "subject": subject, "text": text, "key": key, "decoy": decoy})

    async def oidc_start(self, *, state: str, nonce: str, challenge: str, redirect_uri: str) -> str:
        """Return the address of the provider to which a browser is sent."""
        asked = {"state": state, "nonce": nonce, "challenge": challenge, "redirect_uri": redirect_uri}
        return str((await self.ask("oidc/start", asked))["url"])

    async def oidc_exchange(
        self, *, code: str, verifier: str, nonce: str, redirect_uri: str, issuer: str | None
    ) -> Claims:
        """Return who came back from the provider with `code`; raise `Denied` (`oidc_refused`) if nobody we trust."""
        asked = {"code": code, "verifier": verifier, "nonce": nonce, "redirect_uri": redirect_uri, "issuer": issuer}
        told = await self.ask("oidc/exchange", asked)
        return Claims(**(told | {"groups": frozenset(told["groups"])}))

    async def oidc_goodbye(self, *, redirect_uri: str) -> str:
        """Return the address at which a browser signs out of the provider too; empty where there is none."""
        return str((await self.ask("oidc/goodbye", {"redirect_uri": redirect_uri}))["url"])

    async def oidc_ended(self, token: str) -> tuple[str, int]:
        """Return whose sessions a logout token of the provider ends, and when it was made (seconds since 1970)."""
        told = await self.ask("oidc/ended", {"token": token})
        return str(told["subject"]), int(told["at"])

    async def switches(self, tenant: str | None) -> dict[str, Any]:
        """Return how effects stand `here` and over the `platform` (`paused`, `since`, `by`), and how many go on."""
        return dict(await self.ask("switches/show", {"tenant": tenant}))

    async def pause_effects(self, tenant: str | None, *, paused: bool, by: str) -> dict[str, Any]:
        """Pause the effects of a tenant (none: of all) or let them go on; in force when this returns."""
        return dict(await self.ask("switches/effects", {"tenant": tenant, "paused": paused, "by": by}))

    async def hold(self, tenant: str, *, held: bool, by: str) -> None:
        """Let a tenant that is not active have no effect, or let it have effects again; in force when this returns."""
        await self.ask("tenants/hold", {"tenant": tenant, "held": held, "by": by})

    async def retire(self, tenant: str, runs: Sequence[str]) -> None:
        """Let runs that were cancelled have no effect any more, whatever a worker asks for."""
        await self.ask("runs/retire", {"tenant": tenant, "runs": list(runs)})

    async def held(self) -> list[str]:
        """Return the tenants that are held."""
        return list(await self.ask("tenants/held", {}))

    async def erase(self, tenant: str, *, by: str) -> dict[str, Any]:
        """Destroy the tenant's keys and what is kept under them; return when (`at`) and how many `rows`, by table."""
        return dict(await self.ask("tenants/erase", {"tenant": tenant, "by": by}))

    async def seek_secrets(
        self, tenant: str | None, pieces: Sequence[tuple[str, bytes]], *, subject: str, by: str
    ) -> dict[str, Any]:
        """Return which secrets of the vault are in `pieces` (where, bytes): `found`, `looked_for`, `too_short`."""
        told = [{"where": where, "data": data} for where, data in pieces]
        return dict(await self.ask("secrets/seek", {"tenant": tenant, "subject": subject, "by": by, "pieces": told}))

    async def packages(self) -> list[dict[str, Any]]:
        """Return `name`, `version`, `direct` and `reason` of every package of others that the gateway has loaded."""
        return list(await self.ask("packages", {}))

    async def health(self) -> dict[str, Any]:
        """
        Return `{"ok": true, "mail": …}`, mail being whether there is a server that it goes through.

        Raises `Unavailable` if the gateway is away.
        """
        return dict(await self.ask("health", {}))


def _outcome(told: dict[str, Any]) -> Outcome:
    return Outcome(**(told | {"state": EffectState(told["state"])}))
