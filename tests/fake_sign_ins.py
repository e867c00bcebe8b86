"""Accounts outside as web's own tests need them: a provider that does as the test says, and tokens nobody sees."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from freehold.core.errors import Conflict, Denied, FreeholdError, NotFound

AT = "2026-01-01T12:00:00+00:00"
LATER = "2026-01-01T12:15:00+00:00"
OAUTH = {
    "authorize": "https://id.provider.example/authorize",
    "token": "https://id.provider.example/token",
    "device": "https://id.provider.example/device",
    "scopes": ["contacts.read", "contacts.write"],
    "client_id": "freehold",
}
"""What a connection says about where people sign in."""


@dataclass
class FakeSignIns:
    """As much of the gateway's sign-ins as web's own tests need; journeys use the real one."""

    begun: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Sign-ins under way, by their ids."""
    signed_in_to: dict[tuple[str | None, str], dict[str, Any]] = field(default_factory=dict)
    """Accounts by tenant and connection."""
    provider: str = "https://id.provider.example/authorize"
    """Where browsers are sent."""
    fails: FreeholdError | None = None
    """What goes wrong when somebody comes back, or is sent off."""
    typed: str = "waiting"
    """What became of a device's code."""
    looked: int = 0
    """How often somebody asked how an account stands."""
    waited_for: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once somebody asked twice: they wait."""
    takes_back: bool = True
    """Whether the provider confirms that what it gave is worth nothing any more."""
    account_warnings: list[dict[str, Any]] = field(default_factory=list)

    async def start_sign_in(self, tenant: str | None, connection: str, *, by: str, redirect_uri: str) -> dict[str, Any]:
        if self.fails is not None:
            raise self.fails
        sign_in = f"sgn_{len(self.begun)}"
        state = f"{sign_in}.random"
        self.begun[sign_in] = {
            "id": sign_in,
            "tenant": tenant,
            "connection": connection,
            "by": by,
            "redirect_uri": redirect_uri,
        }
        self.begun[sign_in]["state"] = "waiting"
        url = f"{self.provider}?state={state}"
        told = {"id": sign_in, "url": url, "expires_at": LATER, "scopes": OAUTH["scopes"]}
        return told | {"provider": "id.provider.example", "name": "id.provider.example"}

    async def finish_sign_in(
        self, *, state: str, code: str | None, error: str | None, issuer: str | None, by: str
    ) -> dict[str, Any]:
        found = self.begun.get(state.partition(".")[0])
        if found is None or found["by"] != by or not state.endswith(".random"):
            raise NotFound("There is no such sign-in.", code="unknown_sign_in", remedy="Begin again.")
        if found["state"] != "waiting":
            raise Conflict("It is over.", code="sign_in_over", remedy="Begin again.")
        found["state"] = "denied" if error else "failed" if self.fails else "connected"
        if error:
            raise Denied(f"The provider said {error}.", code="sign_in_denied", remedy="Begin again.")
        if self.fails is not None:
            raise self.fails
        return self._hold(found["tenant"], found["connection"], by)

    async def sign_in(self, sign_in: str) -> dict[str, Any]:
        if sign_in not in self.begun:
            raise NotFound("There is no such sign-in.", code="unknown_sign_in")
        return self.begun[sign_in]

    async def start_device(self, tenant: str | None, connection: str, *, by: str) -> dict[str, Any]:
        told = {"id": "sgn_device", "user_code": "WDJB-MJHT", "uri": "https://id.provider.example/device"}
        self.begun["sgn_device"] = {"tenant": tenant, "connection": connection, "by": by}
        return told | {"uri_complete": "", "interval": 5, "expires_at": LATER}

    async def poll_device(self, tenant: str | None, sign_in: str, *, by: str) -> dict[str, Any]:
        found = self.begun.get(sign_in)
        if found is None or (found["tenant"], found["by"]) != (tenant, by):
            raise NotFound("There is no such sign-in.", code="unknown_sign_in")
        if self.typed == "connected":
            account = self._hold(tenant, found["connection"], by)["account"]
            return {"state": "connected", "account": account}
        return {"state": self.typed} | ({"interval": 5} if self.typed == "waiting" else {})

    async def sign_in_state(self, tenant: str | None, connection: str) -> dict[str, Any]:
        self.looked += 1
        if self.looked > 1:
            self.waited_for.set()
        nobody: dict[str, Any] = {"state": "none", "account": "", "scopes": [], "expires_at": None}
        nobody |= {"refreshable": False, "connected_by": "", "connected_at": None}
        return self.signed_in_to.get((tenant, connection), nobody) | {"provider": "id.provider.example"}

    async def sign_in_states(self, tenant: str | None) -> list[dict[str, Any]]:
        return [one | {"connection": name} for (whose, name), one in self.signed_in_to.items() if whose == tenant]

    async def disconnect(self, tenant: str | None, connection: str, *, by: str) -> dict[str, Any]:
        held = self.signed_in_to.pop((tenant, connection), None)
        return {"revoked": held is not None and self.takes_back}

    async def sign_in_warnings(self) -> list[dict[str, Any]]:
        return list(self.account_warnings)

    async def acked(self, ids: Sequence[str]) -> None:
        self.account_warnings = [warning for warning in self.account_warnings if warning["id"] not in ids]

    def _hold(self, tenant: str | None, connection: str, by: str) -> dict[str, Any]:
        account: dict[str, Any] = {"state": "connected", "account": "mira@provider.example"}
        account |= {"scopes": OAUTH["scopes"], "expires_at": "2026-01-01T13:00:00+00:00", "refreshable": True}
        self.signed_in_to[tenant, connection] = account | {"connected_by": by, "connected_at": AT}
        return {"tenant": tenant, "connection": connection, "account": account["account"], "scopes": account["scopes"]}
