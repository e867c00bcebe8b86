"""`freehold person`."""

from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from freehold.cli.calling import api
from freehold.cli.options import JsonOption, LimitOption
from freehold.cli.showing import show, table

app = typer.Typer()

PersonArgument = Annotated[str, typer.Argument(metavar="PERSON", help="The person, by id or address.")]
NOTHING = "none"
PlatformRole = Literal["operator", "auditor"]


@app.command("create")
def create_person(
    email: str,
    name: Annotated[str, typer.Option(help="What they are called.")] = "",
    platform_role: Annotated[PlatformRole | None, typer.Option(help="Most people are neither.")] = None,
    allowance: Annotated[int, typer.Option(help="How many tenants they may create and own.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Let EMAIL sign in."""
    body = {"email": email, "name": name, "platform_role": platform_role, "allowance": allowance}
    show(api().post("people", body), as_json=as_json, line="{email} can sign in; this is {id}")


@app.command("list")
def list_people(limit: LimitOption = 100, as_json: JsonOption = False) -> None:
    """List everybody who can sign in, or could."""
    columns = ("id", "email", "name", "platform_role", "allowance", "state", "created_at")
    table(api().items("people", limit=limit), *columns, as_json=as_json)


@app.command("show")
def show_person(person: PersonArgument, as_json: JsonOption = False) -> None:
    """Show PERSON."""
    show(api().get(_at(person)), as_json=as_json)


@app.command("set")
def set_person(
    person: PersonArgument,
    name: Annotated[str | None, typer.Option(help="What they are called.")] = None,
    platform_role: Annotated[
        Literal["operator", "auditor", "none"] | None, typer.Option(help="What they are to the platform.")
    ] = None,
    allowance: Annotated[int | None, typer.Option(help="How many tenants they may create and own.")] = None,
    state: Annotated[
        Literal["active", "closed"] | None, typer.Option(help="Closed: signed out everywhere, and not let in.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Change what PERSON is to the platform."""
    wanted: dict[str, Any] = {"name": name, "platform_role": platform_role, "allowance": allowance, "state": state}
    body = {field: value for field, value in wanted.items() if value is not None}
    if not body:
        raise typer.BadParameter("Say what to change, such as --platform-role auditor.")
    if platform_role == NOTHING:
        body["platform_role"] = None
    changed = api().patch(_at(person), body)
    show(changed, as_json=as_json, line="{email} is {state}")


@app.command("sign-out")
def sign_person_out(person: PersonArgument, as_json: JsonOption = False) -> None:
    """End all sessions of PERSON, and what is open in them."""
    api().delete(f"{_at(person)}/sessions")
    show({"person": person, "signed_out": True}, as_json=as_json, line="{person} is signed out everywhere")


@app.command("forget-passkeys")
def forget_passkeys(person: PersonArgument, as_json: JsonOption = False) -> None:
    """Forget all passkeys of PERSON, who lost them."""
    api().delete(f"{_at(person)}/passkeys")
    show({"person": person, "passkeys": 0}, as_json=as_json, line="{person} has no passkey any more")


def _at(person: str) -> str:
    return f"people/{quote(person, safe='')}"
