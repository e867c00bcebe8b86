"""How a command shows what it got: a line or a table for people, JSON for programs."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from freehold.core.errors import FreeholdError, to_problem

COLOURS = {
    "done": "green",
    "approved": "green",
    "answered": "green",
    "failed": "red",
    "denied": "red",
    "waiting": "yellow",
}

WIDEST = 72
"""Letters of one cell of a table; JSON has it all."""


def show(item: Any, *, as_json: bool, line: str = "") -> None:
    """Show one thing: as JSON, by the template `line`, or field by field."""
    if as_json:
        print(json.dumps(item, ensure_ascii=False))
    elif line:
        print(line.format_map(_Fields(item)))
    else:
        _fields(item)


def table(items: Sequence[dict[str, Any]], *columns: str, as_json: bool) -> None:
    """Show a list: as one JSON array, or as a table of `columns`."""
    if as_json:
        print(json.dumps(items, ensure_ascii=False))
        return
    if not items:
        print("(none)", file=sys.stderr)
        return
    rows = [[_cut(_cell(item.get(column))) for column in columns] for item in items]
    widths = [max(len(name), *(len(row[i]) for row in rows)) for i, name in enumerate(columns)]
    for row in [[name.upper().replace("_", " ") for name in columns], *rows]:
        print("  ".join(_painted(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip())


def complain(error: FreeholdError, *, as_json: bool) -> None:
    """Say what went wrong and what to do: on standard error, and as a problem document with `--json`."""
    if as_json:
        print(json.dumps(to_problem(error), ensure_ascii=False))
    print(f"{bold('Error', file=sys.stderr)} [{error.code}] {error.message}", file=sys.stderr)
    if error.remedy:
        print(f"  {error.remedy}", file=sys.stderr)


@contextmanager
def counted(what: str, *, as_json: bool) -> Iterator[Callable[[int, int], None]]:
    """Give what shows how much of how much is done: a bar on a terminal, nothing elsewhere."""
    if as_json or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console  # noqa: PLC0415 - only a long command on a terminal needs it
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def note(text: str) -> None:
    """Say something beside the result, on standard error."""
    print(text, file=sys.stderr, flush=True)


def colour(text: str, name: str) -> str:
    """Return `text` in a colour where standard output is a terminal."""
    codes = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "dim": 2}
    return f"\x1b[{codes[name]}m{text}\x1b[0m" if sys.stdout.isatty() else text


def bold(text: str, *, file: Any) -> str:
    """Return `text` in bold where `file` is a terminal."""
    return f"\x1b[1m{text}\x1b[0m" if file.isatty() else text


def money(nano: int) -> str:
    """Return integer nano-dollars as dollars."""
    return f"${nano / 1e9:.6f}"


class _Fields(dict[str, Any]):
    """What a template may name: a missing field is shown as a dash."""

    def __missing__(self, name: str) -> str:
        return "-"


def _fields(item: dict[str, Any]) -> None:
    width = max((len(name) for name in item), default=0)
    for name, value in item.items():
        print(f"{name.ljust(width)}  {_cell(value)}")


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return clean(" ".join(text.split()))


def _cut(cell: str) -> str:
    return cell if len(cell) <= WIDEST else cell[: WIDEST - 1] + "…"


def clean(text: str) -> str:
    """Return `text` without what would steer a terminal: an agent's words are not ours to trust."""
    return "".join(sign for sign in text if sign.isprintable() or sign in "\n\t")


def _painted(cell: str, width: int) -> str:
    padded = cell.ljust(width)
    return colour(padded, COLOURS[cell]) if cell in COLOURS else padded
