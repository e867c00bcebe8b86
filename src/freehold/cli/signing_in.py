"""Commands that let people in: the link of the first operator, and codes where no mail goes out."""

from typing import Annotated
from urllib.parse import quote

import typer

from freehold.cli.calling import api
from freehold.cli.options import JsonOption
from freehold.cli.showing import note, show
from freehold.core.errors import Conflict, Unavailable


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("claim-link")(claim_link)
    app.command("login-code")(login_code)


def claim_link(as_json: JsonOption = False) -> None:
    """Print the link once more with which the first operator claims this machine's installation."""
    from freehold.app.up import claim_url  # noqa: PLC0415 - no other command needs it
    from freehold.settings import Settings  # noqa: PLC0415
    from freehold.tenants.operator import claim_of  # noqa: PLC0415

    settings = Settings.read()
    if api().get("login/ways")["claimed"]:
        raise Conflict(
            "This installation has an operator already.",
            code="already_claimed",
            remedy=f"Sign in at {settings.base_url}/sign-in.",
        )
    token = claim_of(settings.data)
    if not token:
        raise Unavailable("There is no link.", code="no_claim", remedy="Start the platform anew with `freehold up`.")
    show({"claim_url": claim_url(settings, token)}, as_json=as_json, line="{claim_url}")


def login_code(
    email: Annotated[str, typer.Argument(help="Address, or id, of somebody who can sign in.")],
    as_json: JsonOption = False,
) -> None:
    """Make a code for EMAIL to sign in with, where no mail goes out."""
    made = api().post(f"people/{quote(email, safe='@')}/login-code")
    show(made, as_json=as_json, line="{code}")
    if not as_json:
        note(f"It is for {made['email']}, in any browser, once, until {made['expires_at']}.")
