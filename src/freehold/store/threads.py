"""The one way from code that waits (async) to the database (plain functions)."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `function` returns, called in a thread, so that the event loop goes on meanwhile."""
    return await asyncio.to_thread(function, *args, **kwargs)
