"""`freehold audit`."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import AnyTenant, JsonOption, LimitOption, StoreName
from freehold.cli.showing import note, show, table
from freehold.core.errors import Invalid

app = typer.Typer()

StoreOption = Annotated[StoreName | None, typer.Option(help="Only of this store.")]
Sinces = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
KEY_DIGITS = 64


@app.command("list")
def list_audit(
    tenant: AnyTenant = None,
    store: StoreOption = None,
    actor: Annotated[str | None, typer.Option(help="Only what this one did, such as key:key_….")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action (key.create), or all of a noun (key).")] = None,
    subject: Annotated[str | None, typer.Option(help="Only what was done to this.")] = None,
    run: Annotated[str | None, typer.Option(help="Only what this run did.")] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=Sinces, help="Only from then on; without a zone: UTC.")
    ] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List who did what, the newest last."""
    path = "audit" if tenant is None else of_tenant(tenant, "audit")
    wanted: dict[str, Any] = {
        "store": store,
        "actor": actor,
        "action": action,
        "subject": subject,
        "run": run,
        "since": _utc(since),
    }
    most = 500
    if limit <= most:
        found = api().get(path, last="true", limit=limit, **wanted)["items"]
    else:
        found = api().items(path, **wanted)[-limit:]
    table(found, "store", "seq", "at", "actor", "action", "subject", "detail", as_json=as_json)


@app.command("verify")
def verify_audit(
    file: Annotated[Path | None, typer.Argument(help="An exported record; without it: the platform's own.")] = None,
    key: Annotated[str, typer.Option(help="The public key the record must be signed with, or a file with it.")] = "",
    anchor: Annotated[Path | None, typer.Option(help="The file of anchors from the second place.")] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Whose record FILE should be: an id, platform, or * for everybody.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether the record is whole; an exported FILE is judged without any platform."""
    if file is None:
        _verify_platform(as_json=as_json)
        return
    found = _verified(file, _key(key), anchor, tenant)
    if as_json:
        show(asdict(found), as_json=True)
    else:
        print(f"{file}: {found.count} rows in {found.chains} chains, {'whole' if found.ok else 'NOT whole'}")
        if found.whose:
            print(f"It is the record of {found.whose}.")
        for line in (*found.faults, *found.notes):
            note(line)
    raise typer.Exit(0 if found.ok else 1)


@app.command("export")
def export_audit(
    tenant: AnyTenant = None,
    store: StoreOption = None,
    texts: Annotated[bool, typer.Option("--texts", help="With the personal text of a tenant, opened.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Into this file.")] = None,
) -> None:
    """Write the record as JSON lines and last a signed head, as `freehold audit verify FILE` reads it."""
    if tenant is None and texts:
        raise typer.BadParameter("Personal text is exported for one tenant: say --tenant T.")
    if tenant is not None and store is not None:
        raise typer.BadParameter("A tenant's export is of both stores: leave --store out.")
    path = "audit/export" if tenant is None else of_tenant(tenant, "audit", "export")
    lines = api().lines(path, store=store, texts="true" if texts else None)
    if out is None:
        for line in lines:
            print(line)
        return
    with out.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


@app.command("key")
def show_audit_key(as_json: JsonOption = False) -> None:
    """Print the public key that heads are signed with; keep it where nobody here can change it."""
    show(api().get("audit/key"), as_json=as_json, line="{key}")


@app.command("anchor")
def anchor_audit(
    accept_restored: Annotated[
        bool, typer.Option("--accept-restored", help="Take chains that went back as right: a backup was restored.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Sign the ends of all chains now, and write them to the second place."""
    made = api().post("audit/anchor", {"accept_restored": accept_restored})
    show(made, as_json=as_json, line="Anchor {number}, signed {at}.")
    _complain(made)
    raise typer.Exit(1 if made["faults"] and not accept_restored else 0)


def _verify_platform(*, as_json: bool) -> None:
    found = api().get("audit/verify")
    if as_json:
        show(found, as_json=True)
        raise typer.Exit(0 if found["ok"] else 1)
    for name in ("database", "gateway"):
        report = found[name]
        print(f"{name}: {report['count']} rows, {'whole' if report['ok'] else 'NOT whole'}")
        for fault in report["faults"]:
            note(f"  {fault['what']}: number {fault['seq']} of {fault['tenant'] or 'the platform'}")
    anchors = found["anchors"]
    print(f"anchors: {anchors['number']}, the last signed {anchors['at'] or 'never'}")
    _complain(anchors)
    raise typer.Exit(0 if found["ok"] else 1)


def _complain(anchors: dict[str, Any]) -> None:
    """Say what is wrong with the signed heads."""
    for fault in anchors["faults"]:
        if fault["what"] == "foreign":
            note(f"  the newest line in {anchors['place']} is none that the gateway signed; it is not believed")
            continue
        chain = f"{fault['store']}/{fault['tenant'] or 'platform'}"
        note(f"  {chain} is {fault['what']}: number {fault['seq']} was signed, and {fault['now']} is there")
    if anchors["missing_since"]:
        note(f"  {anchors['place']} has no signed head since {anchors['missing_since']}; it is tried again")
    if not anchors["place"]:
        note("  there is no second place for signed heads: set FREEHOLD_AUDIT_ANCHOR")


def _utc(since: datetime | None) -> str | None:
    if since is None:
        return None
    return since.isoformat() if since.tzinfo else f"{since.isoformat()}Z"


def _key(stated: str) -> str:
    """Return the key that was named, as it is or in a file."""
    found = stated
    if stated and len(stated) != KEY_DIGITS and Path(stated).is_file():
        found = Path(stated).read_text(encoding="ascii", errors="replace").strip()
    if stated and (len(found) != KEY_DIGITS or set(found.lower()) - set("0123456789abcdef")):
        raise typer.BadParameter("Give the key's 64 hexadecimal digits, or a file that holds them.")
    return found


def _verified(file: Path, key: str, anchor: Path | None, tenant: str | None) -> Any:
    from freehold.audit.verifying import verify_file  # noqa: PLC0415 - only this command needs the cryptography

    try:
        return verify_file(file, key=key, anchor_file=anchor, tenant=tenant)
    except OSError as error:
        raise Invalid(
            f"{error.filename} cannot be read: {error.strerror}.", code="bad_export", remedy="Name a file of an export."
        ) from error
