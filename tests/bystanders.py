"""What stands around web in its own tests: an engine, workers and a gateway that only remember what they were told."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from nacl.public import PrivateKey, SealedBox
from nacl.signing import SigningKey
from sqlalchemy import Connection
from typing_extensions import override

from freehold.audit.canonical import canonical
from freehold.audit.chain import Head
from freehold.audit.heads import export_body, signed_line
from freehold.core.effects import EffectKind
from freehold.core.errors import Conflict, Denied, NotFound
from freehold.core.tools import Told
from freehold.runs.engine import Engine, Ticket
from tests.fake_destinations import FakeDestinations
from tests.fake_money import FakeMoney
from tests.fake_sign_ins import FakeSignIns


class QuietEngine(Engine):
    """Remembers what was submitted, and does nothing about it."""

    slots = 4

    def __init__(self) -> None:
        self.submitted: list[str] = []

    @override
    def submit(self, connection: Connection, *, tenant: str, run: str, segment: int, slot: int) -> None:
        self.submitted.append(f"{run}:{segment}")

    @override
    def withdraw(self, connection: Connection, *, run: str, segment: int) -> None:
        return

    @override
    def missing(self, connection: Connection, tickets: Iterable[Ticket]) -> list[Ticket]:
        return []

    @override
    def forget(self, connection: Connection, tickets: Iterable[Ticket]) -> None:
        return


class QuietNudge:
    """Remembers what the workers were told."""

    def __init__(self) -> None:
        self.sent: list[dict[str, object]] = []

    def send(self, what: dict[str, object]) -> None:
        self.sent.append(what)


@dataclass
class FakeGateway(FakeMoney, FakeSignIns, FakeDestinations):
    """As much of the gateway as web's own tests need; journeys use the real one."""

    secrets: dict[tuple[str | None, str], int] = field(default_factory=dict)
    connections: dict[tuple[str | None, str], dict[str, Any]] = field(default_factory=dict)
    decided: dict[str, bool] = field(default_factory=dict)
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What was shown to whoever decided, beside the hash."""
    published: list[str] = field(default_factory=list)
    tools: dict[str, dict[str, Told]] = field(default_factory=dict)
    """What each connection can do, by operation."""
    paused: dict[str | None, str] = field(default_factory=dict)
    """By whom the effects of a tenant (none: of all) are paused."""
    on_hold: set[str] = field(default_factory=set)
    retired: list[tuple[str, str]] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)
    signed: bool = True
    signing: SigningKey = field(default_factory=SigningKey.generate)
    mails: list[dict[str, Any]] = field(default_factory=list)
    """Everything that went out, and what only looked as if."""
    mail: bool = True
    """Whether there is a server that mail goes through."""

    async def set_secret(self, tenant: str | None, name: str, value: str, *, by: str) -> None:
        self.secrets[tenant, name] = self.secrets.get((tenant, name), 0) + 1

    async def list_secrets(self, tenant: str | None) -> list[dict[str, Any]]:
        told = {"set_by": "operator", "set_at": 1_767_268_800_000}
        return [{"name": name, "version": n} | told for (whose, name), n in self.secrets.items() if whose == tenant]

    async def delete_secret(self, tenant: str | None, name: str, *, by: str) -> None:
        if self.secrets.pop((tenant, name), None) is None:
            raise NotFound("There is no such secret.")

    async def rotate_keys(self, tenant: str | None, *, by: str, master: bool = False) -> dict[str, Any]:
        return await self.rotation(tenant)

    async def rotation(self, tenant: str | None) -> dict[str, Any]:
        stands: dict[str, Any] = {"running": False, "total": 1, "done": 1, "keys": 1}
        return stands | {"code": "", "message": "", "remedy": ""}

    async def scan_secrets(self, tenant: str | None) -> dict[str, Any]:
        return {"faults": [], "owners": 1}

    async def create_connection(
        self, tenant: str | None, *, kind: str, name: str, config: dict[str, Any], secret: str | None, by: str
    ) -> dict[str, Any]:
        if (tenant, name) in self.connections:
            raise Conflict("There is one already.", code="duplicate_name")
        made = {"id": f"con_{name}", "name": name, "kind": kind, "config": config, "secret": secret}
        self.connections[tenant, name] = made | {"made_by": by, "made_at": "2026-01-01T12:00:00+00:00"}
        return self.connections[tenant, name]

    async def change_connection(
        self, tenant: str | None, name: str, *, config: dict[str, Any], by: str, **other: Any
    ) -> dict[str, Any]:
        if (tenant, name) not in self.connections:
            raise NotFound("There is no such connection.", code="unknown_connection")
        found = self.connections[tenant, name]
        merged = {key: value for key, value in (found["config"] | config).items() if value is not None}
        self.connections[tenant, name] = found | {"config": merged} | other
        return self.connections[tenant, name]

    async def test_connection(self, tenant: str | None, name: str, *, by: str) -> dict[str, Any]:
        if (tenant, name) not in self.connections:
            raise NotFound("There is no such connection.", code="unknown_connection")
        if self.connections[tenant, name]["secret"] is None:
            error = {
                "code": "provider_refused",
                "message": "It wants a key.",
                "remedy": "Give the connection a secret.",
            }
            return {"ok": False, "latency_ms": 12, "models": None, "error": error}
        return {"ok": True, "latency_ms": 12, "models": 3, "error": None}

    async def list_connections(self, tenant: str | None) -> list[dict[str, Any]]:
        return [made for (whose, _), made in self.connections.items() if whose == tenant]

    async def delete_connection(self, tenant: str | None, name: str, *, by: str) -> None:
        if self.connections.pop((tenant, name), None) is None:
            raise NotFound("There is no such connection.")

    async def tools_of(self, tenant: str, connections: Sequence[str]) -> dict[str, dict[str, Told]]:
        return {name: self.tools[name] for name in connections if name in self.tools}

    async def list_tools(self, tenant: str | None, connection: str) -> list[dict[str, Any]]:
        if (tenant, connection) not in self.connections:
            raise NotFound("There is no such connection.", code="unknown_connection")
        return [
            asdict(told.pinned) | {"name": name, "apart": told.apart, "kind_by": "", "seen_at": 1_767_268_800_000}
            for name, told in self.tools.get(connection, {}).items()
        ]

    async def refresh_tools(
        self, tenant: str | None, connection: str, *, document: dict[str, Any] | None, by: str
    ) -> dict[str, Any]:
        await self.list_tools(tenant, connection)
        return {"added": [], "removed": [], "changed": [], "left_out": {}}

    async def set_tool_kind(
        self, tenant: str | None, connection: str, tool: str, *, kind: str, by: str
    ) -> dict[str, Any]:
        known = await self.list_tools(tenant, connection)
        if tool not in {one["name"] for one in known}:
            raise NotFound("There is no such tool.", code="unknown_tool")
        told = self.tools[connection][tool]
        self.tools[connection][tool] = replace(told, pinned=replace(told.pinned, kind=EffectKind(kind)))
        return next(one for one in await self.list_tools(tenant, connection) if one["name"] == tool)

    async def publish(self, *, version: str, **granted: Any) -> None:
        self.published.append(version)

    async def decide(self, *, tenant: str, key: str, hash: str, approve: bool, by: str, **shown: Any) -> None:  # noqa: A002
        if key in self.decided:
            raise Conflict("It was decided.", code="already_decided")
        self.decided[key] = approve
        self.shown[key] = shown

    async def audit(
        self, tenant: str | None, *, after: int = 0, limit: int = 500, **wanted: str | int
    ) -> list[dict[str, Any]]:
        return []

    async def audit_lines(self, tenant: str | None, *, after: int, until: int, limit: int) -> list[dict[str, Any]]:
        return []

    async def audit_head(self, tenant: str | None, *, stores: Any, heads: Any, every: bool = False) -> dict[str, Any]:
        ends = [{"store": "database", **head} for head in heads]
        whose = "*" if every else tenant or ""
        body = export_body(
            at=0,
            tenant=whose,
            stores=stores,
            heads=[Head(**end) for end in ends],
            anchor=None,
            key=self.signing.verify_key.encode().hex(),
            faults=[],
        )
        return {"line": signed_line(body, self.signing.sign(canonical(body)).signature.hex()), "heads": []}

    async def audit_known(self) -> dict[str, Any]:
        return {"at": None, "heads": []}

    async def audit_anchor(self, *, heads: Any, seen: Any, accepted: str = "") -> dict[str, Any]:
        return {"number": 1, "at": 0, "line": "", "faults": [], "place": "", "missing_since": None}

    async def audit_key(self) -> str:
        return self.signing.verify_key.encode().hex()

    async def tenant_key(self, tenant: str | None) -> str:
        return PrivateKey(hashlib.sha256(f"{tenant}".encode()).digest()).public_key.encode().hex()

    async def open_texts(self, tenant: str | None, sealed: list[bytes]) -> list[dict[str, Any]]:
        opener = SealedBox(PrivateKey(hashlib.sha256(f"{tenant}".encode()).digest()))
        return [json.loads(opener.decrypt(box)) for box in sealed]

    async def verify_audit(self, *, heads: Any = None, seen: Any = ()) -> dict[str, Any]:
        return {"ok": True, "count": 0, "heads": [], "faults": []}

    async def verify_webhook(self, tenant: str, secret: str, headers: dict[str, str], body: bytes) -> None:
        if not self.signed:
            raise Denied("Its signature is not right.", code="bad_signature", status=401)

    async def send_mail(self, *, to: str, subject: str, text: str, key: str, decoy: bool = False) -> None:
        self.mails.append({"to": to, "subject": subject, "text": text, "key": key, "decoy": decoy})

    async def switches(self, tenant: str | None) -> dict[str, Any]:
        return {"here": self._effects(tenant), "platform": self._effects(None), "in_flight": 0}

    async def pause_effects(self, tenant: str | None, *, paused: bool, by: str) -> dict[str, Any]:
        if paused:
            self.paused.setdefault(tenant, by)
        else:
            self.paused.pop(tenant, None)
        return await self.switches(tenant)

    async def hold(self, tenant: str, *, held: bool, by: str) -> None:
        (self.on_hold.add if held else self.on_hold.discard)(tenant)

    async def retire(self, tenant: str, runs: Sequence[str]) -> None:
        self.retired += [(tenant, run) for run in runs]

    async def held(self) -> list[str]:
        return sorted(self.on_hold)

    async def look(self) -> dict[str, Any]:
        newest = max((warning["id"] for warning in self.warned), default="")
        return {"held": sorted(self.on_hold), "began": self.began, "warned": newest}

    async def erase(self, tenant: str, *, by: str) -> dict[str, Any]:
        if tenant not in self.erased:
            self.erased.append(tenant)
        return {"at": "2026-01-01T12:00:00+00:00", "rows": {"tenant_keys": 1}}

    def _effects(self, tenant: str | None) -> dict[str, Any]:
        by = self.paused.get(tenant, "")
        return {"paused": bool(by), "since": "2026-01-01T12:00:00+00:00" if by else None, "by": by}

    async def health(self) -> dict[str, Any]:
        return {"ok": True, "mail": self.mail}
