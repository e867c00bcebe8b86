"""What a turn does when its model, its gateway or its run lets it down."""

import asyncio
from typing import Any

import pytest

from freehold.core.effects import Verdict
from freehold.core.errors import Denied, Exhausted, Invalid, Unavailable
from freehold.core.runs import WaitsFor
from freehold.gateway.client import ChatReply
from freehold.runs.endings import Done, Fail, Park
from freehold.testing.gateways import reply_of
from freehold.testing.segments import Died
from tests.turns import ATTEMPTS, set_up

AWAY = Unavailable("The gateway is away.", code="gateway_away", after=0.5)


def busy(after: float) -> Unavailable:
    return Unavailable("Too many requests.", code="provider_busy", after=after)


async def test_a_busy_provider_is_asked_again_after_the_time_it_names() -> None:
    played = set_up([busy(3), "Here I am."])
    before = played.stage.clock.now()
    assert await played.stage.say("hi") == Done("Here I am.")
    assert (played.stage.clock.now() - before).total_seconds() == 3
    assert list(played.stage.journal.steps) == ["run_1/1/1/0", "run_1/1/2/0"]


async def test_pauses_double() -> None:
    played = set_up([busy(0), busy(0), "Here I am."])
    before = played.stage.clock.now()
    await played.stage.say("hi")
    assert (played.stage.clock.now() - before).total_seconds() == 1.5


@pytest.mark.parametrize(
    "code", ["provider_busy", "provider_cut", "provider_malformed", "provider_timeout", "provider_unavailable"]
)
async def test_after_the_last_attempt_the_run_fails_with_the_providers_code(code: str) -> None:
    played = set_up([Unavailable("It is away.", code=code, after=0.0)] * ATTEMPTS)
    ending = await played.stage.say("hi")
    assert isinstance(ending, Fail)
    assert ending.code == code
    assert ending.remedy


async def test_a_long_pause_parks_the_run() -> None:
    played = set_up([busy(60), "Here I am."])
    ending = await played.stage.say("hi")
    assert isinstance(ending, Park)
    assert ending.waits_for is WaitsFor.OUTAGE
    assert ending.wake_at is not None
    assert (ending.wake_at - played.stage.clock.now()).total_seconds() == 60
    assert await played.stage.resume(ending) == Done("Here I am.")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Denied("Wrong key.", code="provider_refused"), "provider_refused"),
        (Invalid("No such model.", code="unknown_model"), "unknown_model"),
    ],
)
async def test_what_no_repeat_can_mend_fails_at_once(error: Denied | Invalid, code: str) -> None:
    played = set_up([error, "never said"])
    ending = await played.stage.say("hi")
    assert isinstance(ending, Fail)
    assert ending.code == code


async def test_a_gateway_that_is_started_anew_is_waited_for_and_costs_no_attempt() -> None:
    played = set_up([[("shell", {"command": "date"})], "today"], tools={"shell": "allow"})
    played.gateway.away = [AWAY] * 20
    assert await played.stage.say("hi") == Done("today")
    assert [key for key in played.stage.journal.steps if key.endswith("/0")] == ["run_1/1/1/0", "run_1/1/2/0"]


async def test_a_gateway_that_stays_away_parks_the_run_and_nothing_is_told_to_the_model() -> None:
    played = set_up([[("crm.add", {"name": "Ann"})], "Added."], tools={"crm.add": "allow"})

    def vanish(body: dict[str, Any]) -> ChatReply:
        played.gateway.away = [AWAY] * 100
        return reply_of([("crm.add", {"name": "Ann"})])

    played.gateway.lines[0] = vanish
    ending = await played.stage.say("add Ann")
    assert isinstance(ending, Park)
    assert ending.waits_for is WaitsFor.OUTAGE
    assert played.results() == []
    played.gateway.away = []
    assert await played.stage.resume(ending) == Done("Added.")
    assert played.gateway.performed == ["run_1/1/1/1"]


async def test_a_model_that_never_comes_to_an_end_is_stopped() -> None:
    played = set_up([[("list_files", {})]] * 300, tools={"list_files": "allow"})
    ending = await played.stage.say("go in circles")
    assert isinstance(ending, Fail)
    assert ending.code == "too_many_steps"
    assert len(played.gateway.asked) == 200


async def test_a_cancelled_run_takes_no_further_step() -> None:
    played = set_up(["never said"])
    played.stage.journal.over = True
    with pytest.raises(asyncio.CancelledError):
        await played.stage.say("hi")
    assert played.gateway.asked == []
    assert played.sandboxes.rested == ["run_1"]


@pytest.mark.parametrize("calls_first", [False, True], ids=["in the model call", "in the tool call"])
async def test_a_cancelled_call_in_flight_ends_at_once(*, calls_first: bool) -> None:
    held = asyncio.Event()

    def calls(body: dict[str, Any]) -> ChatReply:
        played.gateway.held = held
        return reply_of([("crm.add", {})])

    played = set_up([calls], tools={"crm.add": "allow"})
    if not calls_first:
        played.gateway.held = held
    task = asyncio.ensure_future(played.stage.say("hi"))
    await asyncio.wait_for(played.gateway.waiting.wait(), timeout=5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, timeout=1)
    assert played.sandboxes.rested == ["run_1"]


async def test_a_question_that_reads_differently_after_an_update_is_asked_anew() -> None:
    played = set_up(["first", "second"])
    played.stage.journal.dies_at = "run_1/1/1/0"
    with pytest.raises(Died):
        await played.stage.say("hi")
    played.stage.version.spec.tools["shell"] = Verdict.ALLOW
    assert await played.stage.again() == Done("second")


@pytest.mark.parametrize("question", ["chat", "submit"])
async def test_a_gateway_without_room_is_waited_for_and_never_the_runs_failure(
    question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_words: Any, **_named: Any) -> None:
        raise Exhausted("There is no room.", code="disk_full", status=507)

    played = set_up([[("mail.send", {})], "Sent."], tools={"mail.send": "allow"})
    with monkeypatch.context() as patched:
        patched.setattr(played.gateway, question, full)
        with pytest.raises(Exhausted):
            await played.stage.say("hi")
    assert await played.stage.again() == Done("Sent.")
    assert len(played.gateway.performed) == 1
