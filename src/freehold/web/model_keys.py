"""Model keys: what programs outside show to the gateway to call models in the tenant's name; shown once."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from freehold.store.threads import in_thread
from freehold.web import limiting
from freehold.web.access import Here, InTenant
from freehold.web.keys import Ending
from freehold.web.views import Listed, told_moment

router = APIRouter(prefix="/tenants/{tenant}/model-keys", tags=["model keys"])

ModelKeyId = Annotated[str, Path(description="Id of the model key.", max_length=80)]


class NewModelKey(Ending):
    """A model key to make; making one takes no Idempotency-Key, since its text can be shown only once."""

    name: str = Field(min_length=1, max_length=80)
    agent: str | None = Field(default=None, max_length=80)
    """Name or id of the agent whose calls it makes; none: the tenant's alone."""
    models: list[Annotated[str, Field(max_length=300)]] = Field(default=[], max_length=50)
    """Levels and CONNECTION/MODEL it may name; none: all of the tenant's."""


class ModelKeyView(BaseModel):
    """What is kept of a model key."""

    id: str
    name: str
    agent: str
    models: list[str]
    made_by: str
    made_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None
    """To the minute."""

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        """Show a key as the gateway tells it."""
        return cls(**{name: _shown(name, told[name]) for name in cls.model_fields})


class MadeModelKey(ModelKeyView):
    """A model key that was just made."""

    key: str
    """The key itself: this is the only time it is shown."""


@router.post("", status_code=201)
async def create_model_key(at: InTenant, body: NewModelKey) -> MadeModelKey:
    """Make a key with which a program outside may call the tenant's models at the gateway's address."""
    await limiting.limit(at.state, at.tenant.id, by=limiting.BY_ITSELF)  # no key before its tier is known
    made = await at.state.gateway.create_model_key(
        at.tenant.id,
        name=body.name,
        agent=await in_thread(_agent, at, body.agent),
        models=body.models,
        expires_at=body.end(at.state.clock.now()),
        by=at.caller.actor,
    )
    return MadeModelKey.of(made)


@router.get("")
async def list_model_keys(at: InTenant) -> Listed[ModelKeyView]:
    """Return the tenant's model keys, newest first, also those out of force."""
    return Listed(items=[ModelKeyView.of(told) for told in await at.state.gateway.list_model_keys(at.tenant.id)])


@router.delete("/{key}", status_code=204)
async def revoke_model_key(at: InTenant, key: ModelKeyId) -> Response:
    """Put a model key out of force for good, from the next call on."""
    await at.state.gateway.revoke_model_key(at.tenant.id, key, by=at.caller.actor)
    return Response(status_code=204)


def _agent(at: Here, agent: str | None) -> str:
    if not agent:
        return ""
    with at.tenancy.read() as scope:
        return scope.agents.find(agent).id


def _shown(name: str, value: Any) -> Any:
    return told_moment(value) if name.endswith("_at") else value
