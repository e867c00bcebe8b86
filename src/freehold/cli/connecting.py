"""`freehold connection connect` and `disconnect`: accounts outside that somebody signs in to, in a browser of theirs."""

import time
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from freehold.cli.calling import Api, api, of_tenant
from freehold.cli.options import JsonOption, OwnerOption, PlatformOption, owner
from freehold.cli.showing import clean, note, show
from freehold.core.errors import Denied, FreeholdError, Unavailable

LOOK_SECONDS: Final = 2.0
"""How often it is asked whether somebody has signed in by now."""
PATIENCE: Final = 900.0
"""Seconds after which nobody is waited for any more; the link is good for longer."""

NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Print the link, and wait for nobody.")]
DeviceOption = Annotated[
    bool, typer.Option("--device", help="Show a code to type in at the provider's, for a machine without a browser.")
]
OAuthOption = Annotated[
    str | None,
    typer.Option(
        "--oauth",
        metavar="PRESET",
        help="Whose account people sign in to, such as google, github or slack; `custom` with --oauth-url.",
    ),
]
ClientIdOption = Annotated[
    str | None, typer.Option("--client-id", help="What the provider calls the application that you registered there.")
]
ClientSecretOption = Annotated[
    str | None, typer.Option("--client-secret", metavar="SECRET", help="The secret that holds the application's own.")
]
ScopeOption = Annotated[
    list[str] | None, typer.Option("--scope", help="What to ask the account's owner for. May be said again.")
]
OAuthUrlOption = Annotated[
    list[str] | None,
    typer.Option(
        "--oauth-url",
        metavar="NAME=URL",
        help="Where a provider without a preset is: authorize and token; also revoke, device, issuer and about.",
    ),
]
CUSTOM: Final = "custom"
ADDRESSES: Final = ("authorize", "token", "revoke", "device", "issuer", "about")


def add_to(app: typer.Typer) -> None:
    """Add these commands to those about connections."""
    app.command("connect")(connect)
    app.command("disconnect")(disconnect)


def connect(
    name: str,
    device: DeviceOption = False,
    no_wait: NoWaitOption = False,
    tenant: OwnerOption = None,
    platform: PlatformOption = False,
    as_json: JsonOption = False,
) -> None:
    """Sign the connection NAME in to an account: print the page to open, and wait until somebody has done it there."""
    if device and no_wait:
        raise typer.BadParameter("With --device somebody has to wait: the account is connected when it is asked about.")
    asking, path = api(), path_of(owner(tenant, platform), name)
    if device:
        _connected(name, _by_code(asking, path), as_json=as_json)
        return
    before = asking.get(path)
    link = asking.post(path)
    if no_wait:
        show(link, as_json=as_json, line="{page}")
        return
    note("Open this page, signed in to the platform as somebody who may change the connection:")
    note(f"\n  {link['page']}\n")
    note("Waiting until it is done there (Ctrl-C stops waiting, not the page) …")
    _connected(name, _by_page(asking, path, before), as_json=as_json)


def disconnect(
    name: str, tenant: OwnerOption = None, platform: PlatformOption = False, as_json: JsonOption = False
) -> None:
    """Give up the account of the connection NAME: forget what opens it, and have the provider take it back."""
    asking, path = api(), path_of(owner(tenant, platform), name)
    before, told = asking.get(path), asking.delete(path)
    if before["state"] == "none":
        line = "{name} was connected to no account"
    elif told["revoked"]:
        line = "{name} is disconnected, and the provider took back what it had given"
    else:
        line = "{name} is disconnected here; the provider did not confirm it, so take it back in the account's settings too"
    show(told | {"name": name}, as_json=as_json, line=line)


def oauth_of(
    preset: str | None,
    client_id: str | None,
    client_secret: str | None,
    scopes: list[str] | None,
    urls: list[str] | None,
) -> dict[str, Any]:
    """Return what was stated of a sign-in as a part of a connection's configuration; nothing where nothing was."""
    if preset is None:
        if client_id or client_secret or scopes or urls:
            raise typer.BadParameter("Say --oauth PRESET too, or --oauth custom with --oauth-url.")
        return {}
    stated: dict[str, Any] = {} if preset == CUSTOM else {"preset": preset}
    stated |= {"client_id": client_id or ""} | ({"client_secret": client_secret} if client_secret else {})
    stated |= {"scopes": scopes} if scopes else {}
    for pair in urls or []:
        name, sign, url = pair.partition("=")
        if not sign or name not in ADDRESSES:
            raise typer.BadParameter(f"{pair!r} is not NAME=URL with a name of {', '.join(ADDRESSES)}.")
        stated[name] = url
    return {"oauth": stated}


def oauth_in_words(stated: dict[str, Any]) -> str:
    """Return what a list of connections says of whose account people sign in to."""
    return str(stated.get("preset") or urlsplit(stated.get("authorize", "")).netloc or CUSTOM)


def account_in_words(held: dict[str, Any] | None) -> str:
    """Return what a list of connections says of the account that one uses; nothing where nobody signs in to it."""
    if held is None:
        return ""
    if held["state"] == "none":
        return "not connected"
    named = clean(held["account"]) or "connected"
    if held["state"] == "expired":
        return f"{named} (ran out)"
    return named if held["refreshable"] or not held["expires_at"] else f"{named} (until {held['expires_at']})"


def path_of(tenant: str | None, name: str) -> str:
    """Return where the account of the connection `name` stands."""
    rest = ("connections", name, "sign-in")
    return "/".join(rest) if tenant is None else of_tenant(tenant, *rest)


def _by_page(asking: Api, path: str, before: dict[str, Any]) -> dict[str, Any]:
    """Return the account once it is another one than before, or the same one connected anew."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
        held = dict(asking.get(path))
        if held["state"] == "connected" and held["connected_at"] != before["connected_at"]:
            return held
    raise Unavailable(
        "Nobody has signed in so far.",
        code="sign_in_waits",
        remedy="The page is good for a day; `freehold connection list` shows when it is done.",
    )


def _by_code(asking: Api, path: str) -> dict[str, Any]:
    begun = asking.post(f"{path}/device")
    note(f"Open {begun['uri']} on any screen and type in this code:\n\n  {clean(begun['user_code'])}\n")
    if begun["uri_complete"]:
        note(f"Or open {begun['uri_complete']}, which has the code in it.")
    note(f"Waiting until it is done there; the code is good until {begun['expires_at']} …")
    pause = float(begun["interval"])
    while True:
        time.sleep(pause)
        told = asking.post(f"{path}/device/{begun['id']}")
        if told["state"] == "connected":
            return dict(asking.get(path))
        if told["state"] != "waiting":
            raise _not_connected(told["state"])
        pause = float(told["interval"] or pause)


def _not_connected(state: str) -> FreeholdError:
    said = {
        "denied": "At the provider somebody said no.",
        "expired": "Nobody typed the code in while it was good.",
    }.get(state, "The provider did not hand anything over.")
    return Denied(said, code="not_connected", remedy="Run the command again for a fresh code.")


def _connected(name: str, held: dict[str, Any], *, as_json: bool) -> None:
    account = f" as {clean(held['account'])}" if held["account"] else ""
    show(held | {"name": name}, as_json=as_json, line=f"{{name}} is connected{account}")
