"""Levels: which models do a kind of work, for the platform and for a tenant that wants it otherwise."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from freehold.web.access import InTenant, Operator, TheState
from freehold.web.views import Asked, Listed, told_moment

router = APIRouter(tags=["levels"])

LevelName = Annotated[
    str, Path(description="coordinator, executor, vision, embed, transcribe or speak.", max_length=40)
]


class NewRoutes(Asked):
    """Which models do it."""

    routes: list[Annotated[str, Field(max_length=300)]] = Field(min_length=1, max_length=8)
    """CONNECTION/MODEL, in the order they are tried."""


class LevelView(BaseModel):
    """A level and its routes."""

    level: str
    routes: list[str]
    own: bool
    """Whether it was set here; else it is the platform's."""
    set_by: str
    set_at: str

    @classmethod
    def of(cls, told: dict[str, Any]) -> "LevelView":
        """Show a level as the gateway tells it."""
        return cls(**told | {"set_at": told_moment(told["set_at"])})


@router.get("/tenants/{tenant}/levels")
async def list_levels(at: InTenant) -> Listed[LevelView]:
    """Return the levels that hold for the tenant: its own, and the platform's where it has none."""
    return Listed(items=[LevelView.of(told) for told in await at.state.gateway.list_levels(at.tenant.id)])


@router.put("/tenants/{tenant}/levels/{level}")
async def set_level(at: InTenant, level: LevelName, body: NewRoutes) -> LevelView:
    """Let a level go by other models for the tenant, from the next call on."""
    told = await at.state.gateway.set_level(at.tenant.id, level, body.routes, by=at.caller.actor)
    return LevelView.of(told)


@router.delete("/tenants/{tenant}/levels/{level}", status_code=204)
async def delete_level(at: InTenant, level: LevelName) -> Response:
    """Forget what the tenant set for a level; the platform's holds again."""
    await at.state.gateway.delete_level(at.tenant.id, level, by=at.caller.actor)
    return Response(status_code=204)


@router.get("/levels")
async def list_platform_levels(caller: Operator, state: TheState) -> Listed[LevelView]:
    """Return the platform's levels, which hold for every tenant that sets nothing else."""
    return Listed(items=[LevelView.of(told) for told in await state.gateway.list_levels(None)])


@router.put("/levels/{level}")
async def set_platform_level(caller: Operator, state: TheState, level: LevelName, body: NewRoutes) -> LevelView:
    """Let a level go by other models for every tenant that sets nothing else, from the next call on."""
    return LevelView.of(await state.gateway.set_level(None, level, body.routes, by=caller.actor))


@router.delete("/levels/{level}", status_code=204)
async def delete_platform_level(caller: Operator, state: TheState, level: LevelName) -> Response:
    """Forget what the platform set for a level."""
    await state.gateway.delete_level(None, level, by=caller.actor)
    return Response(status_code=204)
