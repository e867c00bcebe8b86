"""Tables as CSV (RFC 4180), for spreadsheets: a cell can hold no formula, whoever chose its words."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from fastapi import Request, Response

CSV: Final = "text/csv"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def wants_csv(request: Request, format: str | None) -> bool:  # noqa: A002 - as the query has it
    """Return whether the caller asked for CSV, in the address or by `Accept`."""
    kinds = [part.partition(";")[0].strip() for part in request.headers.get("accept", "").split(",")]
    return format == "csv" or (format is None and CSV in kinds)


def sheet(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, name: str) -> Response:
    """Return `columns` of `rows` as a file called `name`."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept"}
    return Response(text.getvalue(), media_type=f"{CSV}; charset=utf-8", headers=headers)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    # Spreadsheets take a leading sign for a formula; the apostrophe makes it text again.
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
