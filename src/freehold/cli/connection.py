"""`freehold connection`."""

import sys
from typing import Annotated, Any

import typer

from freehold.cli import connecting, connection_tools
from freehold.cli.calling import api, of_tenant
from freehold.cli.connection_rules import (
    AllowOption,
    HeaderOption,
    IdempotencyOption,
    InjectOption,
    KeepOption,
    rules,
    spelt,
)
from freehold.cli.options import JsonOption, OwnerOption, PlatformOption, owner
from freehold.cli.showing import note, show, table

app = typer.Typer()
connection_tools.add_to(app)
connecting.add_to(app)

TOOLS = ("http", "mcp", "search")
"""Kinds that agents are given as tools."""
BaseUrl = Annotated[str | None, typer.Option(help="Where its API is, if not where the kind's is.")]
SecretOption = Annotated[str | None, typer.Option(help="The secret that holds its key.")]
RegionOption = Annotated[str | None, typer.Option(help="Where its models are, such as eu.")]
PriceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--price",
        metavar="[MODEL:]NAME=USD,…",
        help="What a model, or every model, costs: input, cached, written, output (each per million tokens), image, "
        "second, character, request. May be said again.",
    ),
]
ConfigOption = Annotated[
    list[str] | None, typer.Option("--config", metavar="NAME=VALUE", help="What else the kind wants to be told.")
]


@app.command("create")
def create_connection(
    kind: Annotated[str, typer.Argument(help="openai, anthropic, gemini, ollama, http, mcp, search, webhook, …")],
    name: str,
    base_url: BaseUrl = None,
    secret: SecretOption = None,
    region: RegionOption = None,
    price: PriceOption = None,
    allow: AllowOption = None,
    inject: InjectOption = None,
    header: HeaderOption = None,
    idempotency: IdempotencyOption = None,
    keep: KeepOption = None,
    config: ConfigOption = None,
    oauth: connecting.OAuthOption = None,
    client_id: connecting.ClientIdOption = None,
    client_secret: connecting.ClientSecretOption = None,
    scope: connecting.ScopeOption = None,
    oauth_url: connecting.OAuthUrlOption = None,
    tenant: OwnerOption = None,
    platform: PlatformOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a connection NAME of KIND; `openai` with --base-url is any provider that speaks OpenAI's API."""
    signs_in = connecting.oauth_of(oauth, client_id, client_secret, scope, oauth_url)
    stated = _config(base_url, region, price, config) | rules(allow, inject, header, idempotency, keep) | signs_in
    body = {"kind": kind, "name": name, "config": stated, "secret": secret}
    made = api().post(_path(owner(tenant, platform)), body)
    more = "" if kind in TOOLS or kind == "webhook" else "; its models are called {name}/MODEL"
    show(made, as_json=as_json, line="{name} is there as {id}" + more)
    if as_json:
        return
    whose = "--platform" if platform else f"--tenant {tenant}"
    if signs_in:
        note(f"Somebody has to sign it in now: freehold connection connect {name} {whose}")
    if kind in TOOLS:
        note(f"See what it can do: freehold connection tools {name} {whose}{' --refresh' if kind == 'mcp' else ''}")


@app.command("set")
def set_connection(
    name: str,
    base_url: BaseUrl = None,
    secret: SecretOption = None,
    no_secret: Annotated[bool, typer.Option("--no-secret", help="It needs no secret.")] = False,
    region: RegionOption = None,
    price: PriceOption = None,
    allow: AllowOption = None,
    inject: InjectOption = None,
    header: HeaderOption = None,
    idempotency: IdempotencyOption = None,
    keep: KeepOption = None,
    config: ConfigOption = None,
    oauth: connecting.OAuthOption = None,
    client_id: connecting.ClientIdOption = None,
    client_secret: connecting.ClientSecretOption = None,
    scope: connecting.ScopeOption = None,
    oauth_url: connecting.OAuthUrlOption = None,
    unset: Annotated[list[str] | None, typer.Option("--unset", metavar="NAME", help="What it is not told.")] = None,
    tenant: OwnerOption = None,
    platform: PlatformOption = False,
    as_json: JsonOption = False,
) -> None:
    """Change the connection NAME; what is not said stays, and the next call goes by what is."""
    if secret is not None and no_secret:
        raise typer.BadParameter("Say either --secret or --no-secret.")
    changes: dict[str, Any] = _config(base_url, region, price, config) | dict.fromkeys(unset or [])
    changes |= connecting.oauth_of(oauth, client_id, client_secret, scope, oauth_url)
    changes |= rules(allow, inject, header, idempotency, keep)
    body: dict[str, Any] = {"config": changes}
    if secret is not None or no_secret:
        body["secret"] = secret
    if body == {"config": {}}:
        raise typer.BadParameter("Say what to change, such as --base-url or --secret.")
    changed = api().patch(_path(owner(tenant, platform), name), body)
    show(changed, as_json=as_json, line="{name} is changed; the next call goes by it")


@app.command("test")
def try_connection(
    name: str, tenant: OwnerOption = None, platform: PlatformOption = False, as_json: JsonOption = False
) -> None:
    """Try the connection NAME: ask which models, or which tools of an MCP server, there are, which costs nothing."""
    told = api().post(_path(owner(tenant, platform), name, "test"))
    if as_json:
        show(told, as_json=True)
    elif told["ok"]:
        offers = [f" and offers {told[what]} {what}" for what in ("models", "tools") if told.get(what) is not None]
        print(f"{name} answers in {told['latency_ms']} ms{''.join(offers)}")
    else:
        error = told["error"]
        print(f"{name} does not work [{error['code']}]: {error['message']}", file=sys.stderr)
        if error["remedy"]:
            print(f"  {error['remedy']}", file=sys.stderr)
    if not told["ok"]:
        raise typer.Exit(1)


@app.command("list")
def list_connections(tenant: OwnerOption = None, platform: PlatformOption = False, as_json: JsonOption = False) -> None:
    """List connections."""
    found = api().items(_path(owner(tenant, platform)))
    rows = found if as_json else [_row(connection) for connection in found]
    table(rows, "name", "kind", "address", "region", "price", "secret", "account", "besides", as_json=as_json)


@app.command("delete")
def delete_connection(
    name: str, tenant: OwnerOption = None, platform: PlatformOption = False, as_json: JsonOption = False
) -> None:
    """Delete the connection NAME."""
    api().delete(_path(owner(tenant, platform), name))
    show({"name": name, "deleted": True}, as_json=as_json, line="{name} is deleted")


def _row(connection: dict[str, Any]) -> dict[str, Any]:
    """Return a connection for people; what has no column of its own is said besides."""
    config = dict(connection["config"])
    config |= {"oauth": connecting.oauth_in_words(config["oauth"])} if "oauth" in config else {}
    price = {model: ", ".join(f"{n} ${usd}" for n, usd in of.items()) for model, of in config.pop("price", {}).items()}
    return {
        "name": connection["name"],
        "kind": connection["kind"],
        "address": config.pop("base_url", None) or config.pop("url", None),
        "region": config.pop("region", None),
        "price": "; ".join(said if model == "*" else f"{model}: {said}" for model, said in price.items()),
        "secret": connection["secret"],
        "account": connecting.account_in_words(connection.get("sign_in")),
        "besides": ", ".join(f"{name}={spelt(value)}" for name, value in config.items()),
    }


def _path(tenant: str | None, *rest: str) -> str:
    return "/".join(["connections", *rest]) if tenant is None else of_tenant(tenant, "connections", *rest)


def _config(
    base_url: str | None, region: str | None, price: list[str] | None, config: list[str] | None
) -> dict[str, Any]:
    """Return what was stated of a connection's configuration."""
    stated: dict[str, Any] = {}
    for pair in config or []:
        name, sign, value = pair.partition("=")
        if not sign:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE.")
        stated[name] = value
    stated |= {} if base_url is None else {"base_url": base_url}
    stated |= {} if region is None else {"region": region}
    return stated | ({"price": dict(_priced(one) for one in price)} if price else {})


def _priced(text: str) -> tuple[str, dict[str, float]]:
    """Return a model (or `*`) and its prices from `[MODEL:]NAME=USD,…`; a model's name may hold colons itself."""
    before, _, _ = text.partition("=")
    model, sign, _ = before.rpartition(":")
    prices = {}
    for pair in text[len(model) + len(sign) :].split(","):
        name, _, usd = pair.partition("=")
        try:
            prices[name.strip()] = float(usd)
        except ValueError as error:
            raise typer.BadParameter(f"{pair!r} is not NAME=USD, such as input=0.25.") from error
    return model or "*", prices
