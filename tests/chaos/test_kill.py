"""`kill -9` of each process at each moment: no accepted message is lost, each is answered once, nothing happens twice."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from freehold.cli.calling import of_tenant
from freehold.failpoints import POINTS, PROCESSES
from freehold.testing.platform import LocalPlatform
from tests.platforms import FINAL, Desk, mailbox, patient, until

SHORT = {("worker", "answered"), ("web", "stored")}
"""
The moments that are tried in every run of the tests; the others are long.

The gateway's are tried by themselves in every run, without a platform around them.
"""

COMMAND = "run: echo {} >> log; sleep 0.3"
MAY_BE_CUT_OFF = {"worker", "sandbox"}
"""When these die, a command may die with them: then it is not run again, and the model is told."""


def moments() -> list[Any]:
    return [
        pytest.param(
            process, point, id=f"{process}-{point}", marks=() if (process, point) in SHORT else pytest.mark.long
        )
        for process, point in product(PROCESSES, POINTS)
    ]


@pytest.mark.bwrap
@pytest.mark.parametrize(("process", "point"), moments())
def test_every_accepted_message_is_answered_once_and_nothing_happens_twice(
    process: str, point: str, tmp_path: Path
) -> None:
    armed = {"FREEHOLD_TEST": "1", "FREEHOLD_FAILPOINT": f"{process}:{point}:1"}
    with mailbox() as box, LocalPlatform(tmp_path / "data", environment=armed) as platform:
        desk = Desk(platform)
        desk.settle("acme")
        path = desk.channel("acme", "ada", box.url)

        said = desk.say("acme", COMMAND.format("from-api"), key="say-1")["message"]["id"]
        hooked = desk.hook(path, COMMAND.format("from-hook"), key="hook-1")["message"]["id"]

        answers = {name: desk.answered("acme", name) for name in (said, hooked)}
        assert {told["message"]["state"] for told in answers.values()} == {"answered"}
        until(lambda: box.about(hooked), why="the reply to the webhook")
        assert [reply["type"] for reply in box.about(hooked)] == ["message.answered"]
        assert not box.about(said)
        assert desk.say("acme", COMMAND.format("from-api"), key="say-1")["message"]["id"] == said

        assert_died(platform, process, point, answers)
        assert_once(desk, answers, exactly=process not in MAY_BE_CUT_OFF)
        assert_tidy(desk)


def assert_died(platform: LocalPlatform, process: str, point: str, answers: dict[str, Any]) -> None:
    """Check that it really was killed, so that the test is about something."""
    if process != "sandbox":
        assert f"{process:<8}| was killed by SIGKILL" in platform.said, platform.said
    elif point in {"intent", "sent"}:
        assert "it failed: The sandbox" in str(answers), answers


def assert_once(desk: Desk, answers: dict[str, Any], *, exactly: bool) -> None:
    """Check that each command ran once; or not at all, where its sandbox may have died first."""
    log = desk.say("acme", "run: sort log 2>/dev/null | uniq -c; echo end", wait=30)["reply"]["text"].split()
    for line in ("from-api", "from-hook"):
        times = int(log[log.index(line) - 1]) if line in log else 0
        assert times == 1 or (times == 0 and not exactly), (log, answers, desk.platform.said)


def assert_tidy(desk: Desk) -> None:
    """Check that nothing is left unfinished and the record is whole."""
    runs = patient(lambda: desk.api.items(of_tenant("acme", "runs")))
    assert {run["state"] for run in runs} <= FINAL
    assert patient(lambda: desk.api.get("audit/verify"))["ok"]
