"""`freehold audit`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import AnyTenant, JsonOption, LimitOption
from freehold.cli.showing import note, show, table

app = typer.Typer()

StoreOption = Annotated[str | None, typer.Option(help="Only of this store: database or gateway.")]
ExportStoreOption = Annotated[str, typer.Option(help="Of which store: database or gateway; each has its own chains.")]


@app.command("list")
def list_audit(
    tenant: AnyTenant = None, store: StoreOption = None, limit: LimitOption = 50, as_json: JsonOption = False
) -> None:
    """List who did what."""
    path = "audit" if tenant is None else of_tenant(tenant, "audit")
    found = api().items(path, limit=limit, store=store)
    table(found, "store", "seq", "at", "actor", "action", "subject", "detail", as_json=as_json)


@app.command("verify")
def verify_audit(
    file: Annotated[Path | None, typer.Argument(help="An exported record; without it: the platform's own.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether the record is whole; an exported FILE is judged without any platform."""
    found = {"file": _verified(file)} if file else api().get("audit/verify")
    stores = {name: report for name, report in found.items() if name != "ok"}
    ok = all(report["ok"] for report in stores.values())
    if as_json:
        show(found["file"] if file else found, as_json=True)
    for name, report in stores.items() if not as_json else ():
        print(f"{name}: {report['count']} records, {'whole' if report['ok'] else 'NOT whole'}")
        for fault in report["faults"]:
            note(f"  {fault['what']}: number {fault['seq']} of {fault['tenant'] or 'the platform'}")
    raise typer.Exit(0 if ok else 1)


@app.command("export")
def export_audit(
    store: ExportStoreOption = "database",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Into this file.")] = None,
) -> None:
    """Write one store's record as JSON lines, as `freehold audit verify FILE` reads it."""
    lines = api().lines("audit/export", store=store)
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
