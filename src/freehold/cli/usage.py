"""`freehold usage`."""

from typing import Annotated

import typer

from freehold.cli.calling import api, of_tenant
from freehold.cli.options import AnyTenant, JsonOption
from freehold.cli.showing import money, show, table

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
    kinds = [{"kind": kind, **sums} for kind, sums in found["kinds"].items()]
    columns = list(dict.fromkeys(column for kind in kinds for column in kind))
    table(kinds, *columns, as_json=False)
    print(f"total {money(found['total'].get('cost_nano', 0))}")
