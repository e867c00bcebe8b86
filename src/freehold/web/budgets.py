"""
Budgets: how much a tenant, an agent, a model key, a run, a level or all unattended runs may spend.

Amounts are whole nano-USD. What the operator limits (the tier, prepaid credit) is shown here and set elsewhere.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from freehold.core.errors import Invalid, NotFound
from freehold.core.money import BudgetScope, Level, Period
from freehold.store.threads import in_thread
from freehold.web.access import Here, InTenant
from freehold.web.views import Asked, Listed, told_moment

router = APIRouter(tags=["budgets"])

MOST: Final = 9_000_000 * 1_000_000_000
"""Nano-USD of a limit: what JSON's numbers hold exactly."""
OPERATORS: Final = frozenset({BudgetScope.TIER, BudgetScope.CREDIT})
EACH: Final = "*"
"""What the gateway calls the subject of a limit of each run."""
WITH_SUBJECT: Final = frozenset({BudgetScope.AGENT, BudgetScope.KEY, BudgetScope.LEVEL})
_FORM: Final = "SCOPE.PERIOD, or SCOPE.PERIOD.SUBJECT for an agent, a key or a level, such as tenant.month"

BudgetName = Annotated[
    str, Path(description="tenant.month, unattended.day, run.ever, agent.day.ada, key.month.fhm_…, …", max_length=200)
]


class NewBudget(Asked):
    """A limit to set."""

    limit_nano: int = Field(ge=0, le=MOST, strict=True)


class BudgetView(BaseModel):
    """A limit, and how much of it is gone."""

    id: str
    """What it is called in the address: `scope.period`, with `.subject` where there is one."""
    scope: str
    subject: str
    name: str
    """What people call the agent or the model key; empty where there is none."""
    period: str
    limit_nano: int
    """What was granted on top for this time included."""
    spent_nano: int
    held_nano: int
    """Kept back for calls that are under way."""
    left_nano: int
    resets_at: str | None
    """When it begins anew; none: never."""

    @classmethod
    def of(cls, told: dict[str, Any], names: Mapping[str, str]) -> "BudgetView":
        """Show a limit as the gateway tells it; `names` are those of agents, by id."""
        shown = {name: told[name] for name in ("scope", "subject", "period", "limit_nano", "spent_nano", "held_nano")}
        left = max(0, told["limit_nano"] - told["spent_nano"] - told["held_nano"])
        named = ".".join(part for part in (told["scope"], told["period"], told["subject"]) if part not in {"", EACH})
        name = names.get(told["subject"], told.get("name", ""))
        return cls(id=named, name=name, left_nano=left, resets_at=told_moment(told["resets_at"]), **shown)


@router.get("/tenants/{tenant}/budgets")
async def list_budgets(at: InTenant) -> Listed[BudgetView]:
    """Return every limit that holds for the tenant, and how much of it is spent and held."""
    told = await at.state.gateway.list_budgets(at.tenant.id)
    return Listed(items=await in_thread(views, at, told))


@router.put("/tenants/{tenant}/budgets/{budget}")
async def set_budget(at: InTenant, budget: BudgetName, body: NewBudget) -> BudgetView:
    """Set a limit; it holds from the next call on, also when more than that is spent already."""
    limit = await in_thread(_named, at, budget)
    by = at.caller.actor
    told = await at.state.gateway.set_budget(at.tenant.id, **limit, limit_nano=body.limit_nano, by=by)
    return (await in_thread(views, at, [told]))[0]


@router.delete("/tenants/{tenant}/budgets/{budget}", status_code=204)
async def delete_budget(at: InTenant, budget: BudgetName) -> Response:
    """Forget a limit; the others hold on."""
    limit = await in_thread(_named, at, budget, gone=True)
    await at.state.gateway.delete_budget(at.tenant.id, **limit, by=at.caller.actor)
    return Response(status_code=204)


def views(at: Here, told: list[dict[str, Any]]) -> list[BudgetView]:
    """Return limits as they are shown, with the names of the tenant's agents."""
    agents = {one["subject"] for one in told if one["scope"] == BudgetScope.AGENT}
    names = {}
    with at.tenancy.read() as scope:
        for agent in agents:
            with suppress(NotFound):  # what was spent stays when the agent is gone
                names[agent] = scope.agents.find(agent).name
    return [BudgetView.of(one, names) for one in told]


def _named(at: Here, budget: str, *, gone: bool = False) -> dict[str, str]:
    """Return scope, period and subject of the limit that is called `budget`; with `gone` its agent may be too."""
    scope, _, rest = budget.partition(".")
    period, _, subject = rest.partition(".")
    _possible(budget, scope, period, subject)
    if scope == BudgetScope.AGENT:
        subject = _agent(at, subject, gone=gone)
    if scope == BudgetScope.RUN:
        subject = EACH
    return {"scope": scope, "period": period, "subject": subject}


def _possible(budget: str, scope: str, period: str, subject: str) -> None:
    if scope not in set(BudgetScope) or period not in set(Period) or bool(subject) != (scope in WITH_SUBJECT):
        raise Invalid(f"{budget[:80]!r} is no budget.", code="bad_budget", remedy=f"Write {_FORM}.")
    if scope in OPERATORS:
        raise Invalid(
            "The tier and prepaid credit are the operator's.",
            code="operators_budget",
            remedy="Ask for another tier (`freehold tenant set-tier`) or for credit (`freehold account credit`).",
        )
    if (scope == BudgetScope.RUN) != (period == Period.EVER):
        raise Invalid(
            f"{budget[:80]!r} is no budget.",
            code="bad_budget",
            remedy="A limit of each run is called run.ever; every other is for a day or a month.",
        )
    if scope == BudgetScope.LEVEL and subject not in set(Level):
        raise Invalid(
            f"There is no level {subject[:40]!r}.", code="unknown_level", remedy=f"Use one of {', '.join(Level)}."
        )


def _agent(at: Here, agent: str, *, gone: bool) -> str:
    try:
        with at.tenancy.read() as scope:
            return scope.agents.find(agent).id
    except NotFound:
        if gone and agent.startswith("agt_"):
            return agent
        raise
