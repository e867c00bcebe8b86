"""Members of a tenant: who they are, what they may do, and how they go."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from freehold.core.people import MemberState, Role
from freehold.tenants import members
from freehold.tenants.members import Place
from freehold.web.access import Here, InTenant
from freehold.web.views import Asked, Listed, Moment

router = APIRouter(prefix="/tenants/{tenant}", tags=["members"])

MemberId = Annotated[str, Path(description="Id or address of the member.", max_length=254)]


class MemberChange(Asked):
    """What is to be different about a member; what is left out stays."""

    role: Role | None = None
    """owner, admin, member or viewer."""
    state: MemberState | None = None
    """active or suspended."""


class Transfer(Asked):
    """To whom the ownership goes."""

    member: str = Field(max_length=254)
    """Id or address of the member who becomes owner."""
    giver: str | None = Field(default=None, max_length=80)
    """Id of the owner who becomes admin, where that is not whoever asks, nor the only owner."""


class MemberView(BaseModel):
    """A member."""

    id: str
    person: str
    email: str
    name: str
    role: str
    state: str
    created_at: Moment

    @classmethod
    def of(cls, place: Place) -> "MemberView":
        """Show a member and who that is."""
        member, person = place.member, place.person
        return cls(
            id=member.id,
            person=person.id,
            email=person.email,
            name=person.name,
            role=member.role,
            state=member.state,
            created_at=member.created_at,
        )


@router.get("/members")
def list_members(at: InTenant) -> Listed[MemberView]:
    """Return the tenant's members."""
    with at.tenancy.read() as scope:
        return Listed(items=[MemberView.of(place) for place in members.places(scope, seal=at.state.seal)])


@router.get("/members/{member}")
def show_member(at: InTenant, member: MemberId) -> MemberView:
    """Return one member."""
    return _shown(at, member)


@router.patch("/members/{member}")
def change_member(at: InTenant, member: MemberId, body: MemberChange) -> MemberView:
    """Change a member's role, suspend them, or let them in again; it holds from their next request on."""
    with at.tenancy.write() as scope:
        changed = members.change(
            scope,
            member,
            role=body.role,
            state=body.state,
            by=at.caller,
            seal=at.state.seal,
            clock=at.state.clock,
        )
    at.state.streams.end(person=changed.person, tenant=at.tenant.id)
    return _shown(at, changed.id)


@router.delete("/members/{member}", status_code=204)
def remove_member(at: InTenant, member: MemberId) -> Response:
    """Take a member's place away; keys they made stay, since they are the tenant's."""
    with at.tenancy.write() as scope:
        gone = members.remove(scope, member, by=at.caller, seal=at.state.seal, clock=at.state.clock)
    at.state.streams.end(person=gone.person, tenant=at.tenant.id)
    return Response(status_code=204)


@router.post("/leave", status_code=204)
def leave_tenant(at: InTenant) -> Response:
    """Give up one's own place."""
    with at.tenancy.write() as scope:
        person = at.caller.person or ""
        members.leave(scope, person, by=at.caller.actor, seal=at.state.seal, clock=at.state.clock)
    at.state.streams.end(person=person, tenant=at.tenant.id)
    return Response(status_code=204)


@router.post("/transfer")
def transfer_ownership(at: InTenant, body: Transfer) -> MemberView:
    """Make another member owner; the owner who gives it becomes admin."""
    with at.tenancy.write() as scope:
        made, left = members.transfer(
            scope, body.member, giver=body.giver, by=at.caller, seal=at.state.seal, clock=at.state.clock
        )
    at.state.streams.end(person=left.person, tenant=at.tenant.id)
    return _shown(at, made.id)


def _shown(at: Here, member: str) -> MemberView:
    with at.tenancy.read() as scope:
        return MemberView.of(members.place(scope, member, seal=at.state.seal))
