"""`freehold usage`."""

import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

import typer

from freehold.cli.amounts import dollars, size
from freehold.cli.budget import called
from freehold.cli.calling import api, of_tenant
from freehold.cli.options import AnyTenant, JsonOption
from freehold.cli.showing import colour, money, note, show, table

app = typer.Typer(invoke_without_command=True)

By = Literal["agent", "run", "model", "level", "key", "provider", "day", "tenant"]
DAYS: Final = 30
"""Of the plot, where nothing is said."""
WIDTH: Final = 40
"""Of its longest bar, in letters."""
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_AGO: Final = re.compile(r"(\d{1,5})([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@app.callback()
def show_usage(
    tenant: AnyTenant = None,
    run: Annotated[str | None, typer.Option(help="Of this run only.")] = None,
    by: Annotated[By | None, typer.Option(help="What it is summed by; by tenant only of all.")] = None,
    since: Annotated[str | None, typer.Option(help="From then on: 7d, 12h, or a date or time in UTC.")] = None,
    until: Annotated[str | None, typer.Option(help="Before then, said in the same way.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, by day where nothing else is said.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what was used, what it cost, and how that stands to the limits."""
    path = "usage" if tenant is None else of_tenant(tenant, "usage")
    asked = {"run": run, "since": _moment(since), "until": _moment(until)}
    if as_csv:
        for line in api().lines(path, **asked, by=by, format="csv"):
            print(line)
        return
    plots = by is None and not as_json and sys.stdout.isatty()
    if plots and since is None:
        asked["since"] = _moment(f"{DAYS}d")
    found = api().get(path, **asked, by="day" if plots else by)
    if as_json:
        show(found, as_json=True)
        return
    if by is not None:
        rows = [_row(group, by) for group in found["groups"]]
        table(rows, by, "calls", "in", "out", "charged", "cost", as_json=False)
    else:
        for line in [*in_words(found), *_limits(found), *(plot(found["groups"]) if plots else [])]:
            print(line)
    _warn(found["total"].get("unpriced", 0))


def _warn(unpriced: int) -> None:
    """Say that sums lack what nobody knows the price of."""
    if unpriced:
        note(
            f"{unpriced:,} {'call is' if unpriced == 1 else 'calls are'} in this at nothing, since nobody knows what "
            "the model costs. State it: freehold connection set NAME --price input=USD,output=USD"
        )


def in_words(found: dict[str, Any]) -> list[str]:
    """Return usage in words, one line a kind and the total below."""
    lines = [(kind, ", ".join(_counts(sums))) for kind, sums in sorted(found["kinds"].items())]
    cost, charge = (found["total"].get(f"{name}_nano", 0) for name in ("cost", "charge"))
    charged = f", charged {money(charge)}" if charge != cost else ""
    lines.append(("total", money(cost) + charged))
    return [f"{name:<10}{what}" for name, what in lines]


def plot(groups: list[dict[str, Any]]) -> list[str]:
    """Return a bar for each day on which something was charged, the longest `WIDTH` letters wide."""
    days = sorted((group["key"], group.get("charge_nano", 0)) for group in groups)
    most = max((nano for _, nano in days), default=0)
    if not most:
        return []
    return ["", *(f"{day}  {colour(_bar(nano, most), 'blue')} {dollars(nano)}" for day, nano in days)]


def _bar(nano: int, most: int) -> str:
    whole, rest = divmod(nano * WIDTH * 8 // most, 8)
    return "█" * whole + _EIGHTHS[rest].strip()


def _limits(found: dict[str, Any]) -> Iterator[str]:
    """Give a line for the month of a tenant, and one for each of its limits."""
    if "budgets" not in found:
        return
    if found["limit_nano"] is None:
        yield f"{'month':<10}{dollars(found['spent_nano'])} spent, {dollars(found['held_nano'])} held, no limit"
    for budget in found["budgets"]:
        spent, held, limit = (dollars(budget[f"{name}_nano"]) for name in ("spent", "held", "limit"))
        again = f", begins anew {budget['resets_at'][:10]}" if budget["resets_at"] else ""
        yield f"{called(budget):<10}  {spent} of {limit} spent, {held} held{again}"


def _row(group: dict[str, Any], by: str) -> dict[str, Any]:
    name = f"{group['key']} ({group['name']})" if group.get("name") else group["key"]
    return {
        by: name,
        "calls": group["count"],
        "in": group["tokens_in"],
        "out": group["tokens_out"],
        "charged": dollars(group["charge_nano"]),
        "cost": dollars(group["cost_nano"]) + ("?" if group.get("unpriced") else ""),
    }


def _moment(text: str | None) -> str | None:
    """Return a moment such as `7d` (ago), a date or a time as the API takes it."""
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    if ago:
        from freehold.app.clock import SystemClock  # noqa: PLC0415 - 60 ms that only this needs

        return (SystemClock().now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).isoformat()
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no moment; write 7d, 12h, 2026-11-21 or a whole time.") from error
    return at.isoformat() if at.tzinfo else f"{at.isoformat()}Z"


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
    elif sums["bytes_in"] or sums["bytes_out"]:
        yield f"{size(sums['bytes_in'])} sent"
        yield f"{size(sums['bytes_out'])} received"
    if sums["cost_nano"]:
        yield money(sums["cost_nano"])
