"""`freehold run audit`: what a run saw, decided and did, in order."""

import json
from typing import Annotated, Any, Final

import typer

from freehold.cli.amounts import dollars
from freehold.cli.calling import api, of_tenant
from freehold.cli.options import JsonOption, TenantOption
from freehold.cli.showing import clean, colour

PAINT: Final = {"asked": "yellow", "decided": "yellow", "did": "blue", "saw": "dim", "act": "green"}
HASH: Final = 12
"""Digits of a hash that are shown: enough to tell two apart; JSON has all of them."""
TOLD: Final = ("verdict", "kind", "code", "why", "waits_for", "connection", "operation", "host", "ok", "segment")
"""What a line shows of its detail, where there is some."""


def add_to(app: typer.Typer) -> None:
    """Add this command to `freehold run`."""
    app.command("audit")(audit_run)


def audit_run(
    run: str,
    tenant: TenantOption,
    texts: Annotated[bool, typer.Option("--texts", help="With what was said, shown and answered.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell in order what RUN saw, decided and did, from its journal and both records."""
    path, told = of_tenant(tenant, "runs", run, "audit"), dict[str, Any]()
    items, cursor = [], None
    while not told or cursor is not None:
        told = api().get(path, texts="true" if texts else None, cursor=cursor)
        cursor = told.pop("next")
        items += told["items"]
    if as_json:
        print(json.dumps(told | {"items": items}, ensure_ascii=False))
        return
    print(f"{told['run']} of {told['agent']}, {told['version']}: {told['state']}")
    for item in items:
        if not _begun_only(item, items):
            print(_line(item).replace(f"{run}/", "").replace(f"by run:{run}", "by the run").replace(f"  {run}", ""))
    total = told["total"]
    print(f"{_money(total)}, {total['tokens_in']} tokens in, {total['tokens_out']} out")


def _begun_only(item: dict[str, Any], items: list[dict[str, Any]]) -> bool:
    """Return whether this only says that a step began whose end is told further on."""
    return item["what"] == "step.started" and any(
        later["kind"] == "step" and later["key"] == item["key"] for later in items[item["n"] :]
    )


def _line(item: dict[str, Any]) -> str:
    padded = f"{item['kind']:<7}"
    kind = colour(padded, PAINT[item["kind"]]) if item["kind"] in PAINT else padded
    about = [item["what"], *_about(item)]
    place = f"  [{item['store']} {item['seq'] or 'unsealed'}]" if item["store"] else ""
    line = f"{item['n']:>4}  {item['at']}  {kind}  {clean('  '.join(about))}{place}"
    if item.get("text") is not None:
        text = item["text"] if isinstance(item["text"], str) else json.dumps(item["text"], ensure_ascii=False)
        line += "".join(f"\n      {clean(one)}" for one in text.splitlines())
    return line


def _about(item: dict[str, Any]) -> list[str]:
    """Return what is said of a line besides what it is."""
    detail, said = item["detail"], list[str]()
    said += [item["key"]] if item["key"] else []
    said += [f"of {', '.join(item['origins'])}"] if item["origins"] else []
    said += [f"by {item['by']}"] if item["by"] else []
    said += [f"{name}={_plain(detail[name])}" for name in TOLD if detail.get(name) not in (None, "")]
    said += [f"#{item['hash'][:HASH]}"] if item["hash"] else []
    said += [f"{item['took_ms']} ms"] if item["took_ms"] is not None else []
    said += [_money(item["usage"])] if item["usage"].get("charge_nano") else []
    return said


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _money(usage: dict[str, int]) -> str:
    charged, cost = usage.get("charge_nano", 0), usage.get("cost_nano", 0)
    return dollars(charged) if charged == cost else f"{dollars(charged)} ({dollars(cost)} to us)"
