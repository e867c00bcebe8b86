"""What a script of checks is made of: functions, run one after the other, each of which passes or says why not."""

import asyncio
import inspect
import json
import os
import traceback
from collections.abc import Callable
from typing import Any

BASE = os.environ["CHECK_BASE"]
"""Where the provider, or the gateway in front of it, answers."""
KEY = os.environ["CHECK_KEY"]
MODEL = os.environ["CHECK_MODEL"]
CLAUDE = os.environ["CHECK_CLAUDE"]
USUAL = "Hello from the scripted upstream."

_checks: list[Callable[[], Any]] = []


def check(function: Callable[[], Any]) -> Callable[[], Any]:
    """Have `function` run by `main`."""
    _checks.append(function)
    return function


def equal(said: object, wanted: object) -> None:
    """Fail unless both are the same, and say what they were."""
    if said != wanted:
        raise AssertionError(f"said {said!r}, wanted {wanted!r}")


def raises(kind: type[BaseException], call: Callable[[], Any]) -> Any:
    """Return the error of this very kind that `call` raises."""
    try:
        call()
    except kind as error:
        equal(type(error).__name__, kind.__name__)
        return error
    raise AssertionError(f"no {kind.__name__}")


def main() -> None:
    """Run every check and print a line of JSON about each."""
    for function in _checks:
        told = {"check": function.__name__, "error": ""}
        try:
            if inspect.iscoroutinefunction(function):
                asyncio.run(function())
            else:
                function()
        except BaseException:
            told["error"] = traceback.format_exc(limit=-3, chain=False)[-1500:]
        print(json.dumps(told), flush=True)
