"""`freehold switch`: kill switches."""

from typing import Annotated

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption
from freehold.cli.showing import show

app = typer.Typer()

TenantSwitch = Annotated[str, typer.Option("--tenant", help="Of this tenant alone.")]
PlatformSwitch = Annotated[bool, typer.Option("--platform", help="Of every tenant.")]
KeepMine = Annotated[bool, typer.Option("--keep-mine", help="Leave the session or key that asks in force.")]


@app.command("show")
def show_switches(tenant: TenantSwitch = "", platform: PlatformSwitch = False, as_json: JsonOption = False) -> None:
    """Show which switches are thrown."""
    found = api().get(_path(tenant, platform=platform))
    if as_json:
        show(found, as_json=True)
        return
    for what, field in (("effects here", "effects"), ("effects of the whole platform", "platform_effects")):
        stands = found[field]
        words = f"paused since {stands['since']} by {stands['by']}" if stands["paused"] else "go on"
        print(f"{what}: {words}")
    print(f"under way: {found['in_flight']}")


@app.command("pause-effects")
def pause_effects(tenant: TenantSwitch = "", platform: PlatformSwitch = False, as_json: JsonOption = False) -> None:
    """Let no effect and no model call begin; runs wait."""
    done = api().post(_path(tenant, "pause-effects", platform=platform))
    show(done, as_json=as_json, line="effects are paused; {in_flight} are under way and finish")


@app.command("resume-effects")
def resume_effects(tenant: TenantSwitch = "", platform: PlatformSwitch = False, as_json: JsonOption = False) -> None:
    """Let effects and model calls begin again; runs that waited go on."""
    done = api().post(_path(tenant, "resume-effects", platform=platform))
    show(done, as_json=as_json, line="effects go on")


@app.command("cancel-runs")
def cancel_runs(tenant: TenantSwitch = "", platform: PlatformSwitch = False, as_json: JsonOption = False) -> None:
    """Cancel every run that is not over."""
    done = api().post(_path(tenant, "cancel-runs", platform=platform))
    show(done, as_json=as_json, line="{cancelled} runs are cancelled")


@app.command("revoke-access")
def revoke_access(
    tenant: TenantSwitch = "",
    platform: PlatformSwitch = False,
    keep_mine: KeepMine = False,
    as_json: JsonOption = False,
) -> None:
    """End all sessions and revoke all keys."""
    done = api().post(_path(tenant, "revoke-access", platform=platform), {"keep_mine": keep_mine})
    show(done, as_json=as_json, line="{sessions} sessions are ended, {keys} keys are revoked")


def _path(tenant: str, *act: str, platform: bool) -> str:
    if bool(tenant) == platform:
        raise typer.BadParameter("Say either --tenant TENANT or --platform.")
    return "/".join(["switches", *act]) if platform else of_tenant(tenant, "switches", *act)
