"""`freehold member`."""

from typing import Annotated, Any, Literal

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, RoleName, TenantOption
from freehold.cli.showing import note, show, table

app = typer.Typer()

MemberArgument = Annotated[str, typer.Argument(metavar="MEMBER", help="The member, by id or address.")]
RoleOption = Annotated[RoleName, typer.Option(help="What they may do.")]


@app.command("invite")
def invite_member(email: str, tenant: TenantOption, role: RoleOption = "member", as_json: JsonOption = False) -> None:
    """Invite EMAIL by mail; the link to pass on where no mail arrives is shown this once."""
    made = api().post(of_tenant(tenant, "invitations"), {"email": email, "role": role})
    show(made, as_json=as_json, line="{link}")
    if not as_json:
        note(f"{made['email']} is invited as {made['role']}, until {made['expires_at']}.")


@app.command("invitations")
def list_invitations(tenant: TenantOption, as_json: JsonOption = False) -> None:
    """List who was invited."""
    columns = ("id", "email", "role", "invited_by", "expires_at", "used_at", "revoked_at")
    table(api().items(of_tenant(tenant, "invitations")), *columns, as_json=as_json)


@app.command("uninvite")
def revoke_invitation(invitation: str, tenant: TenantOption, as_json: JsonOption = False) -> None:
    """Take INVITATION back."""
    api().delete(of_tenant(tenant, "invitations", invitation))
    show({"id": invitation, "revoked": True}, as_json=as_json, line="{id} is taken back")


@app.command("list")
def list_members(tenant: TenantOption, as_json: JsonOption = False) -> None:
    """List members."""
    columns = ("id", "email", "name", "role", "state", "created_at")
    table(api().items(of_tenant(tenant, "members")), *columns, as_json=as_json)


@app.command("set")
def set_member(
    member: MemberArgument,
    tenant: TenantOption,
    role: Annotated[RoleName | None, typer.Option(help="What they may do.")] = None,
    state: Annotated[Literal["active", "suspended"] | None, typer.Option(help="Whether they may do it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Change what MEMBER is; it holds from their next request on."""
    wanted: dict[str, Any] = {"role": role, "state": state}
    body = {name: value for name, value in wanted.items() if value is not None}
    if not body:
        raise typer.BadParameter("Say what to change: --role or --state.")
    changed = api().patch(of_tenant(tenant, "members", member), body)
    show(changed, as_json=as_json, line="{email} is {role}, {state}")


@app.command("remove")
def remove_member(member: MemberArgument, tenant: TenantOption, as_json: JsonOption = False) -> None:
    """Take MEMBER's place away; keys they made stay until they are revoked."""
    api().delete(of_tenant(tenant, "members", member))
    show({"id": member, "removed": True}, as_json=as_json, line="{id} is no member any more")


@app.command("transfer")
def transfer_ownership(
    member: MemberArgument,
    tenant: TenantOption,
    giver: Annotated[str | None, typer.Option(help="The owner who hands it on, where there are several.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make MEMBER owner; the owner who hands it on becomes admin."""
    body = {"member": member} | ({"giver": giver} if giver else {})
    show(api().post(of_tenant(tenant, "transfer"), body), as_json=as_json, line="{email} is {role}")


@app.command("leave")
def leave_tenant(tenant: TenantOption, as_json: JsonOption = False) -> None:
    """Give up your own place; a key has none, so this is for people who signed in."""
    api().post(of_tenant(tenant, "leave"))
    show({"tenant": tenant, "left": True}, as_json=as_json, line="You have left {tenant}")
