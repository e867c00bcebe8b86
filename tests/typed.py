"""The command line as somebody types it, in the process of the test, against web on a real socket."""

import asyncio
from collections.abc import Awaitable, Callable

from typer.testing import CliRunner, Result

from freehold.cli.main import build
from tests.webs import OPERATOR

Run = Callable[..., Awaitable[Result]]


def typing_at(url: str) -> Run:
    """Give the command line of an operator at `url`; words as they are typed behind `freehold`."""
    where = {"FREEHOLD_URL": url, "FREEHOLD_KEY": OPERATOR, "COLUMNS": "240"}

    async def freehold(*words: str, tenant: bool = True) -> Result:
        line = [*words, *(["--tenant", "acme"] if tenant else [])]
        return await asyncio.to_thread(CliRunner().invoke, build(words[0]), line, env=where)

    return freehold
