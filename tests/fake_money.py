"""Money and models as web's own tests need them: limits, accounts, levels and model keys that are only remembered."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from freehold.core.errors import NotFound, Unavailable
from freehold.core.money import Level

AT = "2026-01-01T12:00:00+00:00"
Which = tuple[str, str, str, str]


@dataclass
class FakeMoney:
    """As much of the gateway's money as web's own tests need; journeys use the real one."""

    budgets: dict[Which, int] = field(default_factory=dict)
    """Limits by tenant, scope, subject and period."""
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    levels: dict[tuple[str | None, str], list[str]] = field(default_factory=dict)
    model_keys: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    groups: list[dict[str, Any]] = field(default_factory=list)
    """What usage is summed to, whatever it is asked by."""
    asked: dict[str, Any] = field(default_factory=dict)
    """What the last question about usage was."""
    paid: set[tuple[str, str]] = field(default_factory=set)
    """References under which credit was added."""
    tiers: dict[str, int] = field(default_factory=dict)
    """What tenants may spend as their tiers say."""
    began: str = "first"
    """Which process of the gateway this is."""
    warned: list[dict[str, Any]] = field(default_factory=list)
    """Limits that were neared."""
    gone: bool = False
    """Whether it is away, for whoever tells it of a tier."""

    async def usage(
        self, tenant: str | None, *, run: str | None = None, since: int = 0, until: int = 0, by: str = ""
    ) -> dict[str, Any]:
        self.asked = {"tenant": tenant, "run": run, "since": since, "until": until, "by": by}
        told: dict[str, Any] = {"rows": [], "kinds": {}, "total": {"count": 1, "tokens_in": 3, "tokens_out": 2}}
        told |= {"groups": self.groups if by else []}
        if tenant is None:
            return told
        limits = await self.list_budgets(tenant)
        limit = next((one["limit_nano"] for one in limits if one["scope"] == "tenant"), None)
        month = {"spent_nano": 5, "held_nano": 2, "limit_nano": limit, "resets_at": "2026-02-01T00:00:00+00:00"}
        return told | month | {"budgets": limits}

    async def limit(self, limits: dict[str, int | None], *, by: str) -> None:
        if self.gone:
            raise Unavailable("The gateway is away.", code="gateway_away")
        for tenant, nano in limits.items():
            if nano is None:
                self.tiers.pop(tenant, None)
            else:
                self.tiers[tenant] = nano

    async def limits(self) -> dict[str, int]:
        return dict(self.tiers)

    async def warnings(self, after: str) -> list[dict[str, Any]]:
        return [warning for warning in self.warned if warning["id"] > after]

    async def list_budgets(self, tenant: str) -> list[dict[str, Any]]:
        return [_limit(which, nano) for which, nano in self.budgets.items() if which[0] == tenant]

    async def set_budget(
        self, tenant: str, *, scope: str, subject: str, period: str, limit_nano: int, by: str
    ) -> dict[str, Any]:
        self.budgets[tenant, scope, subject, period] = limit_nano
        return _limit((tenant, scope, subject, period), limit_nano)

    async def delete_budget(self, tenant: str, *, scope: str, subject: str, period: str, by: str) -> None:
        if self.budgets.pop((tenant, scope, subject, period), None) is None:
            raise NotFound("There is no such limit.")

    async def account(self, tenant: str) -> dict[str, Any]:
        nothing: dict[str, Any] = {"markup_ppm": 0, "credit_nano": None, "credit_spent_nano": 0, "regions": []}
        return self.accounts.setdefault(tenant, nothing)

    async def set_account(self, tenant: str, *, by: str, **changes: Any) -> dict[str, Any]:
        account = await self.account(tenant)
        if "prepaid" in changes:
            account["credit_nano"] = 0 if changes.pop("prepaid") else None
        account |= changes
        return account

    async def add_credit(self, tenant: str, nano: int, *, by: str, reference: str = "") -> dict[str, Any]:
        account = await self.account(tenant)
        if reference and (tenant, reference) in self.paid:
            return account
        self.paid.add((tenant, reference))
        account["credit_nano"] = (account["credit_nano"] or 0) + nano
        return account

    async def list_levels(self, tenant: str | None) -> list[dict[str, Any]]:
        own = {level: routes for (whose, level), routes in self.levels.items() if whose == tenant}
        holding = {level: routes for (whose, level), routes in self.levels.items() if whose is None} | own
        return [_level(level, holding[level], own=level in own) for level in Level if level in holding]

    async def set_level(self, tenant: str | None, level: str, routes: list[str], *, by: str) -> dict[str, Any]:
        self.levels[tenant, level] = routes
        return _level(level, routes, own=True)

    async def delete_level(self, tenant: str | None, level: str, *, by: str) -> None:
        if self.levels.pop((tenant, level), None) is None:
            raise NotFound("Nothing is set.", code="level_not_set")

    async def create_model_key(
        self, tenant: str, *, name: str, agent: str, models: list[str], expires_at: datetime | None, by: str
    ) -> dict[str, Any]:
        key = f"fhm_{len(self.model_keys):032x}"
        ends = expires_at and expires_at.isoformat()
        made: dict[str, Any] = {"id": key, "name": name, "agent": agent, "models": models, "made_by": by}
        made |= {"made_at": AT, "expires_at": ends, "revoked_at": None, "last_used_at": None}
        self.model_keys[tenant, key] = made
        return made | {"key": "fhm_shown-once"}

    async def list_model_keys(self, tenant: str) -> list[dict[str, Any]]:
        return [made for (whose, _), made in self.model_keys.items() if whose == tenant]

    async def revoke_model_key(self, tenant: str, key: str, *, by: str) -> None:
        if (tenant, key) not in self.model_keys:
            raise NotFound("There is no such model key.", code="unknown_model_key")
        self.model_keys[tenant, key]["revoked_at"] = AT


def _limit(which: Which, nano: int) -> dict[str, Any]:
    _, scope, subject, period = which
    stands = {"limit_nano": nano, "spent_nano": 5, "held_nano": 2, "resets_at": "2026-02-01T00:00:00+00:00"}
    return {"scope": scope, "subject": subject, "period": period} | stands


def _level(level: str, routes: list[str], *, own: bool) -> dict[str, Any]:
    return {"level": str(level), "routes": routes, "own": own, "set_by": "operator", "set_at": AT}
