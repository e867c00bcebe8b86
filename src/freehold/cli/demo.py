"""
`freehold demo`: the story of one tenant, told once, on a platform of its own that is gone afterwards.

Here is how it is told; what happens in it is in `demo_steps`.
"""

import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from freehold.cli.showing import clean, colour, note
from freehold.core.errors import FreeholdError, to_problem

Step = Callable[[], list[str]]
"""Does one thing and returns what a person should see of it."""


@dataclass(slots=True)
class Tale:
    """How it went so far."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    problem: dict[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong."""
        return self.problem is None


class Teller:
    """Tells the steps one by one: a line each for people, nothing until the end for programs."""

    def __init__(self, steps: Sequence[tuple[str, Step]], *, quiet: bool) -> None:
        """Tell `steps`, each under its title; `quiet` leaves the telling to the JSON at the end."""
        self._steps, self._quiet = steps, quiet
        self.tale = Tale()

    def tell(self) -> Tale:
        """Play all steps, up to the first that fails."""
        for number, (title, step) in enumerate(self._steps, 1):
            if not self._play(f"{number}/{len(self._steps)}", title, step):
                break
        return self.tale

    def _play(self, place: str, title: str, step: Step) -> bool:
        began = time.perf_counter()
        shown: list[str] = []
        with self._busy(f"{place} {title}"):
            try:
                shown = step()
            except FreeholdError as error:
                self.tale.problem = to_problem(error)
        ms = round((time.perf_counter() - began) * 1000)
        self.tale.steps.append({"name": title, "ok": self.tale.ok, "ms": ms})
        if not self._quiet:
            mark = colour("done", "green") if self.tale.ok else colour("FAILED", "red")
            print(f"{place:>5}  {title} ... {mark} ({ms / 1000:.1f} s)", flush=True)
            for line in shown:
                print(f"       {colour(clean(line), 'dim')}")
        return self.tale.ok

    @contextlib.contextmanager
    def _busy(self, text: str) -> Iterator[None]:
        if self._quiet or not sys.stdout.isatty():
            yield
            return
        from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

        with Console().status(text):
            yield


def demo(*, as_json: bool) -> bool:
    """Tell the whole story and return whether all went well."""
    from freehold.cli.demo_steps import Story  # noqa: PLC0415 - starts to import the platform

    folder = Path(tempfile.mkdtemp(prefix="freehold-demo-"))
    if not as_json:
        print("A platform is started on a temporary folder, put to work, disturbed, and removed again.")
        print("Its model is a rehearsal: it does what it is told in plain words, and is no intelligence at all.")
        print("With OPENAI_BASE_URL and OPENAI_API_KEY set, that model answers the question of step 3.\n")
    story = Story(folder / "data")
    try:
        tale = Teller(story.steps(), quiet=as_json).tell()
    finally:
        story.close()
        shutil.rmtree(folder, ignore_errors=True)
    _report(tale, story, as_json=as_json)
    return tale.ok


def _report(tale: Tale, story: Any, *, as_json: bool) -> None:
    if as_json:
        told = {"ok": tale.ok, "steps": tale.steps, **story.figures}
        print(json.dumps(told | ({} if tale.ok else {"error": tale.problem}), ensure_ascii=False))
    if tale.problem:
        note(f"Error [{tale.problem['code']}] {tale.problem['detail']}")
        if tale.problem["remedy"]:
            note(f"  {tale.problem['remedy']}")
        note(story.said())
        note("`freehold doctor` tells what this machine lacks.")
    elif not as_json:
        print("\nThat was all of it, and everything is removed again. Your own: `freehold up`.")
