"""Lists come in pages: `?limit&cursor`, where a cursor is the id of the last thing shown."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query

from freehold.web.views import Listed

T = TypeVar("T")
V = TypeVar("V")

Limit = Annotated[int, Query(ge=1, le=500, description="At most this many.")]
Cursor = Annotated[str, Query(max_length=200, description="The `next` of the page before.")]


def page(found: Sequence[T], limit: int, *, show: Callable[[T], V], key: Callable[[T], str]) -> Listed[V]:
    """Return one page of `found`, which was asked for with one more than `limit`."""
    shown = found[:limit]
    following = key(shown[-1]) if len(found) > limit else None
    return Listed(items=[show(item) for item in shown], next=following)
