"""Usage: what was called, how much it was, and what it cost in nano-USD; as JSON or CSV."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, BaseModel

from freehold.core.errors import Invalid, NotFound
from freehold.store.threads import in_thread
from freehold.web.access import Here, InTenant, Operator, TheState
from freehold.web.budgets import BudgetView, views
from freehold.web.sheets import CSV, sheet, wants_csv
from freehold.web.state import State
from freehold.web.views import told_moment

router = APIRouter(tags=["usage"])

DAY: Final = "day"
COLUMNS: Final = (
    "name", "count", "tokens_in", "tokens_cached", "tokens_out", "images", "seconds", "characters", "bytes_in", "bytes_out",
    "wakes", "awake_ms", "cost_nano", "charge_nano", "held_nano", "estimated", "unpriced",
)  # fmt: skip
"""Of a sheet, behind the one it is summed by."""

RunFilter = Annotated[str | None, Query(max_length=80, description="Only of this run.")]
Since = Annotated[AwareDatetime | None, Query(description="Only what began then or later.")]
Until = Annotated[AwareDatetime | None, Query(description="Only what began before then.")]
Format = Annotated[Literal["json", "csv"] | None, Query(description="`csv` for a sheet; also by `Accept: text/csv`.")]
By = Annotated[
    Literal["agent", "run", "model", "level", "key", "provider", "day"] | None,
    Query(description="What it is summed by, as `groups`; a sheet is by day where nothing is said."),
]
ByOfAll = Annotated[
    Literal["tenant", "agent", "run", "model", "level", "key", "provider", "day"] | None,
    Query(description="What it is summed by, as `groups`; a sheet is by day where nothing is said."),
]


class UsageView(BaseModel):
    """Usage of a tenant, or of all."""

    rows: list[dict[str, Any]]
    """Newest first, at most 1,000."""
    kinds: dict[str, dict[str, int]]
    """Sums by kind: model, sandbox, mail, webhook, http, mcp, web, search, egress; bytes_in are those of requests."""
    total: dict[str, int]
    groups: list[dict[str, Any]] = []
    """Sums by what was asked for: `key` and its `name`, and numbers as in `total`."""


class TenantUsageView(UsageView):
    """Usage of a tenant, and how it stands to its limits."""

    spent_nano: int
    """In this month, whatever was asked about."""
    held_nano: int
    """Kept back for calls that are under way."""
    limit_nano: int | None
    """What the tenant may spend in this month, by the narrowest limit; null where there is none."""
    resets_at: str | None
    """When the month begins anew."""
    budgets: list[BudgetView]
    """Every limit that holds for the tenant."""


AS_SHEET: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {CSV: {"schema": {"type": "string"}}}}}


@router.get("/tenants/{tenant}/usage", responses=AS_SHEET, response_model=TenantUsageView)
async def show_usage(
    at: InTenant,
    request: Request,
    run: RunFilter = None,
    by: By = None,
    since: Since = None,
    until: Until = None,
    format: Format = None,  # noqa: A002 - as the query has it
) -> Response | TenantUsageView:
    """Return what the tenant used, what it spent, and how that stands to its limits."""
    _one_way(run, by or (DAY if wants_csv(request, format) else None))
    asked: dict[str, Any] = {"run": run, "since": _millis(since), "until": _millis(until)}
    if wants_csv(request, format):
        told = await at.state.gateway.usage(at.tenant.id, **asked, by=by or DAY)
        return _sheet(await in_thread(_of_tenant, at, by or DAY, told["groups"]), by or DAY)
    told = await at.state.gateway.usage(at.tenant.id, **asked, by=by or "")
    groups = await in_thread(_of_tenant, at, by or "", told["groups"])
    stands = {name: told[name] for name in ("spent_nano", "held_nano", "limit_nano")}
    resets_at, budgets = told_moment(told["resets_at"]), await in_thread(views, at, told["budgets"])
    return TenantUsageView(**_plain(told, groups), **stands, resets_at=resets_at, budgets=budgets)


@router.get("/usage", responses=AS_SHEET, response_model=UsageView)
async def show_platform_usage(
    caller: Operator,
    state: TheState,
    request: Request,
    run: RunFilter = None,
    by: ByOfAll = None,
    since: Since = None,
    until: Until = None,
    format: Format = None,  # noqa: A002 - as the query has it
) -> Response | UsageView:
    """Return what all tenants used."""
    _one_way(run, by or (DAY if wants_csv(request, format) else None))
    asked: dict[str, Any] = {"run": run, "since": _millis(since), "until": _millis(until)}
    if wants_csv(request, format):
        told = await state.gateway.usage(None, **asked, by=by or DAY)
        return _sheet(await in_thread(_of_all, state, by or DAY, told["groups"]), by or DAY)
    told = await state.gateway.usage(None, **asked, by=by or "")
    return UsageView(**_plain(told, await in_thread(_of_all, state, by or "", told["groups"])))


def _one_way(run: str | None, by: str | None) -> None:
    if run is not None and by is not None:
        raise Invalid(
            "A run's usage is not summed further.", code="bad_grouping", remedy="Leave out run, or by and the sheet."
        )


def _millis(at: datetime | None) -> int:
    return 0 if at is None else int(at.timestamp() * 1000)


def _plain(told: dict[str, Any], groups: list[dict[str, Any]]) -> dict[str, Any]:
    times = ("opened_at", "closed_at")
    rows = [row | {name: told_moment(row[name]) for name in times if name in row} for row in told["rows"]]
    return {"rows": rows, "kinds": told["kinds"], "total": told["total"], "groups": groups}


def _sheet(groups: list[dict[str, Any]], by: str) -> Response:
    rows = [group | {by: group["key"]} for group in groups]
    return sheet(rows, (by, *COLUMNS), name=f"usage-by-{by}.csv")


def _of_tenant(at: Here, by: str, groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return groups with the names of the tenant's agents."""
    if by != "agent":
        return [{"name": ""} | group for group in groups]
    with at.tenancy.read() as scope:
        return [{"name": _name(lambda one: scope.agents.find(one).name, group["key"])} | group for group in groups]


def _of_all(state: State, by: str, groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return groups with the slugs of tenants."""
    if by != "tenant":
        return [{"name": ""} | group for group in groups]
    with state.store.read() as platform:
        return [{"name": _name(lambda one: platform.tenants.find(one).slug, group["key"])} | group for group in groups]


def _name(find: Callable[[str], str], key: str) -> str:
    """Return what is found under `key`; nothing for what is gone, whose usage stays."""
    try:
        return find(key) if key else ""
    except NotFound:
        return ""
