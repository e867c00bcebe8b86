"""Invitations: offered by whoever may, accepted by whoever has the link."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from freehold.core.people import Invitation, Role
from freehold.core.tenants import Tenant
from freehold.store.threads import in_thread
from freehold.tenants import inviting
from freehold.tenants.inviting import Invited
from freehold.tenants.people import get
from freehold.web.access import Here, InTenant, TheCaller, TheState
from freehold.web.mailing import mail, send
from freehold.web.state import State
from freehold.web.views import Asked, Listed, Moment

router = APIRouter(tags=["members"])

InvitationId = Annotated[str, Path(description="Id of the invitation.", max_length=80)]


class NewInvitation(Asked):
    """A place to offer; offering it takes no Idempotency-Key, since its link can be shown only once."""

    email: str = Field(max_length=600)
    role: Role = Role.MEMBER
    """owner, admin, member or viewer; none that does more than whoever invites."""


class Acceptance(Asked):
    """The link somebody has."""

    token: str = Field(max_length=200)
    """What stands behind `/invite/` in it."""


class InvitationView(BaseModel):
    """A place on offer."""

    id: str
    email: str
    role: str
    invited_by: str
    created_at: Moment
    expires_at: Moment
    used_at: Moment | None
    revoked_at: Moment | None

    @classmethod
    def of(cls, invitation: Invitation) -> "InvitationView":
        """Show `invitation`."""
        return cls(**{name: getattr(invitation, name) for name in cls.model_fields})


class MadeInvitation(InvitationView):
    """An invitation that was just made; it was mailed too."""

    link: str
    """To pass on where no mail arrives: this is the only time it is shown. Whoever uses it signs in first."""


class AcceptedView(BaseModel):
    """A place that was taken."""

    tenant: str
    slug: str
    member: str
    role: str


@router.post("/tenants/{tenant}/invitations", status_code=201)
async def invite(at: InTenant, body: NewInvitation) -> MadeInvitation:
    """Offer somebody a place by a link that is good once; an earlier offer to the same address ends."""
    made = await in_thread(_invite, at, body)
    await _mail(at.state, at.tenant, made)
    return MadeInvitation(**dict(InvitationView.of(made.invitation)), link=link_of(at.state, made.token))


@router.get("/tenants/{tenant}/invitations")
def list_invitations(at: InTenant) -> Listed[InvitationView]:
    """Return what is on offer, and what was."""
    with at.tenancy.read() as scope:
        return Listed(items=[InvitationView.of(one) for one in inviting.listed(scope, seal=at.state.seal)])


@router.delete("/tenants/{tenant}/invitations/{invitation}", status_code=204)
def revoke_invitation(at: InTenant, invitation: InvitationId) -> Response:
    """Take an offer back."""
    with at.tenancy.write() as scope:
        inviting.revoke(scope, invitation, by=at.caller, seal=at.state.seal, clock=at.state.clock)
    return Response(status_code=204)


@router.post("/invitations/accept")
def accept(caller: TheCaller, state: TheState, body: Acceptance) -> AcceptedView:
    """Take the place that a link offers to the address one is signed in with."""
    with state.store.write() as platform:
        who = get(platform, caller.person or "", seal=state.seal)
        taken = inviting.accept(platform, body.token, person=who, seal=state.seal, ids=state.ids, clock=state.clock)
    return AcceptedView(tenant=taken.tenant.id, slug=taken.tenant.slug, member=taken.member.id, role=taken.member.role)


def link_of(state: State, token: str) -> str:
    """Return the link that ends in `token`."""
    return f"{state.settings.base_url}/invite/{token}"


def _invite(at: Here, body: NewInvitation) -> Invited:
    with at.tenancy.write() as scope:
        return inviting.invite(
            scope,
            email=body.email,
            role=body.role,
            days=at.state.settings.invitation_days,
            by=at.caller,
            seal=at.state.seal,
            ids=at.state.ids,
            clock=at.state.clock,
        )


async def _mail(state: State, tenant: Tenant, made: Invited) -> None:
    invitation = made.invitation
    letter = mail(
        "invitation",
        key=f"invitation/{invitation.id}",
        to=invitation.email,
        language=tenant.language,
        tenant=" ".join(tenant.name.split()),
        role=invitation.role,
        link=link_of(state, made.mailed),
        days=f"{state.settings.invitation_days:g}",
    )
    await send(state.gateway, letter)
