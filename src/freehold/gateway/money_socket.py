"""
What web may ask about money, levels, model keys and connections of models.

Whatever changes something says so once it is on disk: what was remembered about routes, keys and limits is void then,
and the next call goes by what was asked for.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, final

import msgspec
from sqlalchemy import Connection as Tx

from freehold.audit.recording import PLATFORM
from freehold.core.money import Budget, BudgetScope
from freehold.gateway import connections, standing
from freehold.gateway import money_requests as asked
from freehold.gateway.calls import levels, model_keys, routing
from freehold.gateway.connections import Drivers
from freehold.gateway.edge import Answer, route
from freehold.gateway.keeping import Keep
from freehold.gateway.money import accounts, budgets, usage
from freehold.gateway.money.budgets import EACH_RUN
from freehold.gateway.requests import TenantRequest, UsageRequest

T = TypeVar("T")


class Try(Protocol):
    """Tries a connection out."""

    async def __call__(self, tenant: str | None, name: str, *, by: str) -> dict[str, Any]:
        """Return `ok`, `latency_ms` and `models`, and where it is not ok `code`, `message` and `remedy`."""
        ...


class Standing(Protocol):
    """What the books tell: how limits stand now, calls under way included."""

    async def state(self, tenant: str) -> list[dict[str, Any]]:
        """Return every limit of a tenant: scope, subject, period, limit_nano, spent_nano, held_nano, resets_at."""
        ...

    def forget(self, tenant: str) -> None:
        """Read a tenant's limits anew; what is counted stays."""
        ...


@final
class Money:
    """Answers about money and models, one method per route."""

    def __init__(self, keep: Keep, drivers: Drivers, books: Standing, try_out: Try, *, rehearsal: bool) -> None:
        """Answer from `keep` and `books`; `try_out` tries a connection, `rehearsal` allows the built-in model."""
        self._keep, self._drivers, self._books = keep, drivers, books
        self._try, self._rehearsal = try_out, rehearsal

    def routes(self) -> dict[str, Answer]:
        """Return what web's socket answers."""
        return {
            "usage": route(UsageRequest, self._usage),
            "budgets/list": route(TenantRequest, self._budgets),
            "budgets/set": route(asked.BudgetRequest, self._set_budget),
            "budgets/delete": route(asked.BudgetRequest, self._delete_budget),
            "accounts/show": route(TenantRequest, self._account),
            "accounts/set": route(asked.AccountRequest, self._set_account),
            "accounts/credit": route(asked.CreditRequest, self._credit),
            "levels/list": route(TenantRequest, self._levels),
            "levels/set": route(asked.LevelRequest, self._set_level),
            "levels/delete": route(asked.LevelRequest, self._delete_level),
            "model-keys/list": route(TenantRequest, self._model_keys),
            "model-keys/create": route(asked.ModelKeyRequest, self._create_model_key),
            "model-keys/delete": route(asked.ModelKeyRequest, self._revoke_model_key),
            "connections/change": route(asked.ConnectionChange, self._change_connection),
            "connections/test": route(asked.ConnectionTest, self._test_connection),
        }

    async def _usage(self, request: UsageRequest) -> dict[str, Any]:
        named: dict[str, Any] = {"tenant": request.tenant, "since": request.since, "until": request.until}
        told = await self._keep.read(lambda tx: usage.told(tx, run=request.run, **named))
        groups: list[dict[str, Any]] = []
        if request.by:
            groups = await self._keep.read(lambda tx: _named(tx, usage.grouped(tx, by=request.by, **named), request))
        told = told | {"groups": groups}
        return dict(told) if request.tenant is None else told | await self._standing(request.tenant)

    async def _standing(self, tenant: str) -> dict[str, Any]:
        limits, now = await self._limits(tenant), self._keep.now()
        month = await self._keep.read(lambda tx: standing.month(tx, tenant=tenant, limits=limits, at=now))
        return month | {"budgets": limits}

    async def _budgets(self, request: TenantRequest) -> list[dict[str, Any]]:
        return await self._limits(request.tenant or PLATFORM)

    async def _limits(self, tenant: str) -> list[dict[str, Any]]:
        """Return every limit as it stands; the limit of each run once, and not for every run there is."""
        told = [one for one in await self._books.state(tenant) if one["scope"] != BudgetScope.RUN]
        listed, keys = await self._keep.read(lambda tx: (budgets.listed(tx, tenant=tenant), _key_names(tx, tenant)))
        told = [one | {"name": keys.get(one["subject"], "")} for one in told]
        each = [one for one in listed if one.subject == EACH_RUN]
        names = ("scope", "subject", "period", "limit_nano")
        nothing = {"name": "", "spent_nano": 0, "held_nano": 0, "resets_at": None}
        return told + [{name: getattr(one, name) for name in names} | nothing for one in each]

    async def _set_budget(self, request: asked.BudgetRequest) -> dict[str, Any]:
        which: dict[str, Any] = {"scope": request.scope, "subject": request.subject, "period": request.period}
        budget = Budget(**which, limit_nano=request.limit_nano)

        def work(tx: Tx) -> None:
            if request.scope is BudgetScope.KEY:
                self._known_key(tx, request.tenant, request.subject)
            budgets.put(tx, self._keep, tenant=request.tenant, budget=budget, by=request.by)

        await self._change(work, request.tenant)
        stands = await self._limits(request.tenant)
        return next(one for one in stands if {name: one[name] for name in which} == which)

    async def _delete_budget(self, request: asked.BudgetRequest) -> None:
        which: dict[str, Any] = {"scope": request.scope, "subject": request.subject, "period": request.period}
        named: dict[str, Any] = {"tenant": request.tenant, "by": request.by}
        await self._change(lambda tx: budgets.remove(tx, self._keep, **named, **which), request.tenant)

    async def _account(self, request: TenantRequest) -> dict[str, Any]:
        tenant = request.tenant or PLATFORM
        return _account(await self._keep.read(lambda tx: accounts.find(tx, tenant=tenant)))

    async def _set_account(self, request: asked.AccountRequest) -> dict[str, Any]:
        stated = {name: getattr(request, name) for name in ("markup_ppm", "prepaid", "regions")}
        changes: dict[str, Any] = {name: value for name, value in stated.items() if value is not msgspec.UNSET}
        if "regions" in changes:
            changes["regions"] = frozenset(changes["regions"])
        named: dict[str, Any] = {"tenant": request.tenant, "by": request.by}
        made = await self._change(lambda tx: accounts.put(tx, self._keep, **named, **changes), request.tenant)
        await self._books.state(request.tenant)  # credit that ends and begins anew is seen to begin
        return _account(made)

    async def _credit(self, request: asked.CreditRequest) -> dict[str, Any]:
        named: dict[str, Any] = {
            "tenant": request.tenant,
            "nano": request.nano,
            "by": request.by,
            "reference": request.reference,
        }
        return _account(await self._change(lambda tx: accounts.top_up(tx, self._keep, **named), request.tenant))

    async def _levels(self, request: TenantRequest) -> list[dict[str, Any]]:
        return await self._keep.read(lambda tx: levels.listed(tx, tenant=request.tenant))

    async def _set_level(self, request: asked.LevelRequest) -> dict[str, Any]:
        named: dict[str, Any] = {"tenant": request.tenant, "level": request.level, "by": request.by}

        def work(tx: Tx) -> dict[str, Any]:
            made = levels.put(tx, self._keep, routes=request.routes, **named)
            self._lead_somewhere(tx, request.tenant or PLATFORM, request.routes)
            return made

        return await self._change(work)

    async def _delete_level(self, request: asked.LevelRequest) -> None:
        named: dict[str, Any] = {"tenant": request.tenant, "level": request.level, "by": request.by}
        await self._change(lambda tx: levels.remove(tx, self._keep, **named))

    async def _model_keys(self, request: TenantRequest) -> list[dict[str, Any]]:
        return await self._keep.read(lambda tx: model_keys.listed(tx, tenant=request.tenant or PLATFORM))

    async def _create_model_key(self, request: asked.ModelKeyRequest) -> dict[str, Any]:
        names = ("tenant", "name", "agent", "models", "expires_at", "by")
        stated: dict[str, Any] = {name: getattr(request, name) for name in names}

        def work(tx: Tx) -> tuple[dict[str, Any], str]:
            made = model_keys.make(tx, self._keep, **stated)
            # A level may get its routes later; whatever else is named must be there.
            named = [model for model in request.models if "/" in model]
            self._lead_somewhere(tx, request.tenant, named)
            return made

        view, text = await self._change(work)
        return view | {"key": text}

    async def _revoke_model_key(self, request: asked.ModelKeyRequest) -> None:
        named: dict[str, Any] = {"tenant": request.tenant, "key": request.key, "by": request.by}
        await self._change(lambda tx: model_keys.revoke(tx, self._keep, **named))

    async def _change_connection(self, request: asked.ConnectionChange) -> dict[str, Any]:
        named: dict[str, Any] = {"tenant": request.tenant, "name": request.name, "by": request.by}
        other: dict[str, Any] = {} if request.secret is msgspec.UNSET else {"secret": request.secret}
        return await self._change(
            lambda tx: connections.change(tx, self._keep, self._drivers, config=request.config, **named, **other)
        )

    async def _test_connection(self, request: asked.ConnectionTest) -> dict[str, Any]:
        told = await self._try(request.tenant, request.name, by=request.by)
        error = None if told["ok"] else {name: told[name] for name in ("code", "message", "remedy")}
        return {name: told[name] for name in ("ok", "latency_ms", "models", "tools")} | {"error": error}

    def _lead_somewhere(self, tx: Tx, tenant: str, models: list[str]) -> None:
        for model in models:
            routing.routes(tx, self._drivers, tenant=tenant, model=model, rehearsal=self._rehearsal)

    def _known_key(self, tx: Tx, tenant: str, key: str) -> None:
        if key not in {known["id"] for known in model_keys.listed(tx, tenant=tenant)}:
            raise model_keys.missing()

    async def _change(self, work: Callable[[Tx], T], tenant: str = "") -> T:
        """Do what changes configuration; with `tenant`, its limits are read anew."""
        done = await self._keep.write(work)
        self._keep.changed()
        if tenant:
            self._books.forget(tenant)
        return done


def _named(tx: Tx, groups: list[dict[str, Any]], request: UsageRequest) -> list[dict[str, Any]]:
    """Return groups with the names of model keys; of what else usage is summed by, web knows the names."""
    if request.by != usage.By.KEY or request.tenant is None:
        return groups
    names = _key_names(tx, request.tenant)
    return [group | {"name": names.get(group["key"], "")} for group in groups]


def _key_names(tx: Tx, tenant: str) -> dict[str, str]:
    return {key["id"]: key["name"] for key in model_keys.listed(tx, tenant=tenant)}


def _account(account: accounts.Account) -> dict[str, Any]:
    return {
        "markup_ppm": account.markup_ppm,
        "credit_nano": account.credit_nano,
        "credit_spent_nano": account.credit_spent_nano,
        "regions": sorted(account.regions),
    }
