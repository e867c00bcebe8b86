"""What `freehold connection` is told of an API over HTTP: what is allowed there, and where the secret goes."""

from typing import Annotated, Any

import typer

AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="METHOD:PATH",
        help="http: what may be asked, such as GET:/items/* (* is one segment, ** the rest). May be said again; "
        "what is not said is not allowed.",
    ),
]
InjectOption = Annotated[
    str | None,
    typer.Option(
        "--inject",
        metavar="PLACE",
        help="http, mcp: where the secret goes: header:NAME (header:Authorization, as a bearer, unless said), "
        "header:NAME=TEMPLATE with {secret}, query:NAME, path:NAME ({NAME} in the address) or basic.",
    ),
]
HeaderOption = Annotated[
    list[str] | None,
    typer.Option("--header", metavar="NAME=VALUE", help="http, mcp: sent with every request. May be said again."),
]
IdempotencyOption = Annotated[
    str | None,
    typer.Option("--idempotency", metavar="HEADER", help="http: where the API takes a key, to do a thing only once."),
]
KeepOption = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        metavar="query:NAME|header:NAME",
        help="http: what a caller may say although it looks like a key of its own. May be said again.",
    ),
]


def rules(
    allow: list[str] | None,
    inject: str | None,
    header: list[str] | None,
    idempotency: str | None,
    keep: list[str] | None,
) -> dict[str, Any]:
    """Return what was stated of all that, as a connection's configuration has it."""
    stated: dict[str, Any] = {"allow": allow, "inject": inject, "idempotency": idempotency, "keep": keep}
    if header:
        stated["headers"] = dict(_header(one) for one in header)
    return {name: value for name, value in stated.items() if value}


def spelt(value: object) -> str:
    """Return a part of a configuration on one line."""
    if isinstance(value, list):
        return " ".join(str(one) for one in value)
    return " ".join(f"{name}={one}" for name, one in value.items()) if isinstance(value, dict) else str(value)


def _header(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        name, sign, value = text.partition(":")
    if not sign:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE, such as X-Version=2.")
    return name.strip(), value.strip()
