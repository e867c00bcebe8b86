"""`freehold usage`."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import AnyTenant, JsonOption
from freehold.cli.showing import money, show

app = typer.Typer(invoke_without_command=True)


@app.callback()
def show_usage(
    tenant: AnyTenant = None,
    run: Annotated[str | None, typer.Option(help="Of this run only.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what was used, and what it cost."""
    path = "usage" if tenant is None else of_tenant(tenant, "usage")
    found = api().get(path, run=run)
    if as_json:
        show(found, as_json=True)
        return
    for line in in_words(found):
        print(line)


def in_words(found: dict[str, Any]) -> list[str]:
    """Return usage in words, one line a kind and the total below."""
    lines = [(kind, ", ".join(_counts(sums))) for kind, sums in sorted(found["kinds"].items())]
    lines.append(("total", money(found["total"].get("cost_nano", 0))))
    return [f"{name:<10}{what}" for name, what in lines]


def _counts(sums: dict[str, int]) -> Iterator[str]:
    if sums["wakes"] or sums["awake_ms"]:
        yield f"{sums['wakes']:,} {'wake' if sums['wakes'] == 1 else 'wakes'}"
        yield f"awake for {sums['awake_ms'] / 1000:,.1f} s"
        yield f"{sums['memory_mb_ms'] / 1e6:,.1f} GB seconds of memory"
        return
    yield f"{sums['count']:,} {'call' if sums['count'] == 1 else 'calls'}"
    if sums["tokens_in"] or sums["tokens_out"]:
        yield f"{sums['tokens_in']:,} tokens in"
        yield f"{sums['tokens_out']:,} tokens out"
    if sums["cost_nano"]:
        yield money(sums["cost_nano"])
