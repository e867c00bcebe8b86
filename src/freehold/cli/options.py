"""Options that many commands share."""

from typing import Annotated, Literal

import typer

RoleName = Literal["owner", "admin", "member", "viewer"]
StoreName = Literal["database", "gateway"]

TenantOption = Annotated[str, typer.Option("--tenant", "-t", help="The tenant, by slug or id.")]
AnyTenant = Annotated[str | None, typer.Option("--tenant", "-t", help="The tenant; without it: all of the platform.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="How many at most.")]
WaitOption = Annotated[float, typer.Option("--wait", min=0, help="Wait up to this many seconds for the end.")]
PlatformOption = Annotated[bool, typer.Option("--platform", help="The platform's own, for all tenants.")]
OwnerOption = Annotated[str | None, typer.Option("--tenant", "-t", help="The tenant it belongs to.")]


def owner(tenant: str | None, platform: bool) -> str | None:
    """Return the tenant that was named, or None for the platform; neither or both is wrong use."""
    if (tenant is None) == (not platform):
        raise typer.BadParameter("Say either --tenant T or --platform.")
    return tenant
