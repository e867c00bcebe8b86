"""What web asks of the gateway about money, levels, model keys and connections of models."""

from datetime import datetime
from typing import Any

from freehold.gateway.dialling import Line


class MoneyLine(Line):
    """The part of web's line that is about money and models; amounts are whole nano-USD."""

    async def usage(
        self, tenant: str | None, *, run: str | None = None, since: int = 0, until: int = 0, by: str = ""
    ) -> dict[str, Any]:
        """
        Return what was used from a moment on and before another (milliseconds); no tenant: by all.

        `rows` (newest first, at most 1,000), `kinds` and `total`; with `by` also `groups`; of a tenant also `budgets`
        and, of its month, `spent_nano`, `held_nano`, `limit_nano` (none: no limit) and `resets_at`.
        """
        asked = {"tenant": tenant, "run": run, "since": since, "until": until, "by": by}
        return dict(await self.ask("usage", asked))

    async def list_budgets(self, tenant: str) -> list[dict[str, Any]]:
        """Return the limits of a tenant: scope, subject, period, limit_nano, spent_nano, held_nano, resets_at."""
        return list(await self.ask("budgets/list", {"tenant": tenant}))

    async def set_budget(
        self, tenant: str, *, scope: str, subject: str, period: str, limit_nano: int, by: str
    ) -> dict[str, Any]:
        """Let a limit hold from the next call on, and return how it stands."""
        limit = {"scope": scope, "subject": subject, "period": period, "limit_nano": limit_nano}
        return dict(await self.ask("budgets/set", {"tenant": tenant, "by": by, **limit}))

    async def delete_budget(self, tenant: str, *, scope: str, subject: str, period: str, by: str) -> None:
        """Forget a limit."""
        limit = {"scope": scope, "subject": subject, "period": period}
        await self.ask("budgets/delete", {"tenant": tenant, "by": by, **limit})

    async def account(self, tenant: str) -> dict[str, Any]:
        """Return how a tenant is charged: markup_ppm, credit_nano (none: not prepaid), credit_left_nano, regions."""
        return dict(await self.ask("accounts/show", {"tenant": tenant}))

    async def set_account(self, tenant: str, *, by: str, **changes: Any) -> dict[str, Any]:
        """Change `markup_ppm`, whether it is `prepaid`, or its `regions`, and return the account."""
        return dict(await self.ask("accounts/set", {"tenant": tenant, "by": by, **changes}))

    async def add_credit(self, tenant: str, nano: int, *, by: str, reference: str = "") -> dict[str, Any]:
        """Add to what a tenant paid in advance (below nothing: take back), once per `reference`; return the account."""
        asked = {"tenant": tenant, "nano": nano, "by": by, "reference": reference}
        return dict(await self.ask("accounts/credit", asked))

    async def list_levels(self, tenant: str | None) -> list[dict[str, Any]]:
        """Return the levels that hold for a tenant: level, routes, own, set_by, set_at; no tenant: the platform's."""
        return list(await self.ask("levels/list", {"tenant": tenant}))

    async def set_level(self, tenant: str | None, level: str, routes: list[str], *, by: str) -> dict[str, Any]:
        """Let a level go by `routes`, in the order they are tried, and return it."""
        return dict(await self.ask("levels/set", {"tenant": tenant, "level": level, "routes": routes, "by": by}))

    async def delete_level(self, tenant: str | None, level: str, *, by: str) -> None:
        """Forget what was set for a level here."""
        await self.ask("levels/delete", {"tenant": tenant, "level": level, "by": by})

    async def create_model_key(
        self, tenant: str, *, name: str, agent: str, models: list[str], expires_at: datetime | None, by: str
    ) -> dict[str, Any]:
        """Make a model key and return it with `key`, its text, which is never shown again."""
        made = {"name": name, "agent": agent, "models": models, "expires_at": expires_at}
        return dict(await self.ask("model-keys/create", {"tenant": tenant, "by": by, **made}))

    async def list_model_keys(self, tenant: str) -> list[dict[str, Any]]:
        """Return the model keys of a tenant, newest first, also those out of force."""
        return list(await self.ask("model-keys/list", {"tenant": tenant}))

    async def revoke_model_key(self, tenant: str, key: str, *, by: str) -> None:
        """Put a model key out of force from the next call on."""
        await self.ask("model-keys/delete", {"tenant": tenant, "key": key, "by": by})

    async def change_connection(
        self, tenant: str | None, name: str, *, config: dict[str, Any], by: str, **other: str | None
    ) -> dict[str, Any]:
        """Change parts of a connection's `config` (null takes one away) or its `secret`, and return it."""
        asked = {"tenant": tenant, "name": name, "config": config, "by": by, **other}
        return dict(await self.ask("connections/change", asked))

    async def test_connection(self, tenant: str | None, name: str, *, by: str) -> dict[str, Any]:
        """Try a connection: `ok`, `latency_ms`, how many `models` or `tools`; else `error`, its code and remedy."""
        return dict(await self.ask("connections/test", {"tenant": tenant, "name": name, "by": by}))

    async def limit(self, limits: dict[str, int | None], *, by: str) -> None:
        """Let tenants spend this much in a month as their tiers say (none: any amount); in force when this returns."""
        await self.ask("tenants/limit", {"limits": limits, "by": by})

    async def limits(self) -> dict[str, int]:
        """Return what tenants may spend as their tiers say; one without a limit is not among them."""
        return dict(await self.ask("tenants/limits", {}))

    async def look(self) -> dict[str, Any]:
        """Return the tenants that are `held`, which process answers (`began`), and the newest warning (`warned`)."""
        return dict(await self.ask("tenants/look", {}))

    async def warnings(self, after: str) -> list[dict[str, Any]]:
        """Return which limits were neared since the warning `after`, oldest first, some hundreds at most."""
        return list(await self.ask("warnings", {"after": after}))
