"""The command line as somebody types it, in the process of the test, against web on a real socket."""

import asyncio
import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

from typer.testing import CliRunner, Result

from freehold.cli.main import build, main
from tests.webs import OPERATOR

Run = Callable[..., Awaitable[Result]]
AROUND = os.environ  # noqa: TID251 - a command that is run here sees what another process would see


def typing_at(url: str) -> Run:
    """Give the command line of an operator at `url`; words as they are typed behind `freehold`."""
    where = {"FREEHOLD_URL": url, "FREEHOLD_KEY": OPERATOR, "COLUMNS": "240"}

    async def freehold(*words: str, tenant: bool = True) -> Result:
        line = [*words, *(["--tenant", "acme"] if tenant else [])]
        return await asyncio.to_thread(CliRunner().invoke, build(words[0]), line, env=where)

    return freehold


def typed_here(
    words: Sequence[str], environment: Mapping[str, str], *, cwd: Path, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run `freehold` in this process as a process of its own would run it, and return what came of it."""
    said, complained = paper(), paper()
    status: object = 0
    with (
        surrounded(words, environment, stdin),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(complained),
    ):
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
    for sheet in (said, complained):
        sheet.seek(0)
    return subprocess.CompletedProcess(words, int(str(status)), said.read(), complained.read())


def paper(text: str = "") -> io.TextIOWrapper:
    """Give a stream as a process has them, with bytes beneath."""
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8", write_through=True)


@contextlib.contextmanager
def surrounded(words: Sequence[str], environment: Mapping[str, str], stdin: str) -> Iterator[None]:
    """Let this process look like one that was started with `words` in `environment`."""
    before = dict(AROUND), sys.argv, sys.stdin
    AROUND.clear()
    AROUND.update(environment)
    sys.argv, sys.stdin = ["freehold", *words], paper(stdin)
    try:
        yield
    finally:
        AROUND.clear()
        AROUND.update(before[0])
        sys.argv, sys.stdin = before[1:]
