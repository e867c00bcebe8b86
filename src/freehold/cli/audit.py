"""`freehold audit`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import AnyTenant, JsonOption, LimitOption
from freehold.cli.showing import note, show, table

app = typer.Typer()

StoreOption = Annotated[str, typer.Option(help="Which store's record: database or gateway.")]


@app.command("list")
def list_audit(
    tenant: AnyTenant = None, store: StoreOption = "database", limit: LimitOption = 50, as_json: JsonOption = False
) -> None:
    """List who did what."""
    path = "audit" if tenant is None else of_tenant(tenant, "audit")
    found = api().items(path, limit=limit, store=store)
    table(found, "seq", "at", "actor", "action", "subject", "detail", as_json=as_json)


@app.command("verify")
def verify_audit(
    file: Annotated[Path | None, typer.Argument(help="An exported record; without it: the platform's own.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether the record is whole; an exported FILE is judged without any platform."""
    found = _verified(file) if file else api().get("audit/verify")
    show(found, as_json=as_json, line="{count} records, whole" if found["ok"] else "NOT whole")
    if not found["ok"]:
        for fault in found.get("faults", []):
            note(json.dumps(fault))
        raise typer.Exit(1)


@app.command("export")
def export_audit(
    tenant: AnyTenant = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Into this file.")] = None,
) -> None:
    """Write the record as JSON lines."""
    path = "audit/export" if tenant is None else of_tenant(tenant, "audit", "export")
    lines = api().lines(path)
    if out is None:
        for line in lines:
            print(line)
        return
    with out.open("w") as file:
        file.writelines(f"{line}\n" for line in lines)


def _verified(file: Path) -> dict[str, Any]:
    from freehold.audit.recording import verify_file  # noqa: PLC0415 - only this command needs the database

    report = verify_file(file)
    return {"ok": report.ok, **asdict(report)}
