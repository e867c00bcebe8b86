"""A worker dies in the middle of a turn, and another one begins the segment again."""

import pytest

from freehold.core.effects import EffectState, Outcome
from freehold.core.errors import Unavailable
from freehold.runs.endings import Done, Park
from freehold.testing.guests import printing
from freehold.testing.segments import Died
from tests.turns import set_up


async def test_recorded_steps_are_read_back_and_nobody_is_asked_again() -> None:
    played = set_up(
        [[("shell", {"command": "date"})], "It is today."],
        tools={"shell": "allow"},
        commands={"date": printing("today")},
    )
    played.stage.journal.dies_at = "run_1/1/2/0"
    with pytest.raises(Died):
        await played.stage.say("date?")
    assert await played.stage.again() == Done("It is today.")
    assert played.stage.journal.begun == ["run_1/1/1/0", "run_1/1/1/1", "run_1/1/2/0", "run_1/1/2/0"]
    assert len(played.gateway.asked) == 2
    assert played.guest.ran == ["date"]


async def test_a_reply_that_is_streamed_again_is_reset_first() -> None:
    played = set_up(["Hello you"])
    played.stage.journal.dies_at = "run_1/1/1/0"
    with pytest.raises(Died):
        await played.stage.say("hi")
    played.stage.journal.shown.clear()
    await played.stage.again()
    assert played.stage.journal.shown[0] == ("reset", {"key": "run_1/1/1/0"})


async def test_a_reply_that_breaks_off_with_the_gateway_is_reset_before_it_is_said_again() -> None:
    played = set_up(["Hello you"])
    played.gateway.breaks = [Unavailable("The gateway is away.", code="gateway_away", after=0.5)]
    assert await played.stage.say("hi") == Done("Hello you")
    told = [(kind, data.get("text")) for kind, data in played.stage.journal.shown]
    assert told == [("delta", "Hello "), ("reset", None), ("delta", "Hello "), ("delta", "you")]


async def test_a_command_whose_end_nobody_saw_is_not_run_again() -> None:
    played = set_up([[("shell", {"command": "deploy"})], "I shall look."], tools={"shell": "allow"})
    played.guest.begin("run_1/1/1/1")
    await played.stage.say("deploy")
    assert played.guest.ran == []
    (told,) = played.results()
    assert isinstance(told, dict)
    assert "interrupted" in told
    assert played.gateway.effects["run_1/1/1/1"].state is EffectState.UNKNOWN


@pytest.mark.parametrize("reported", [True, False])
async def test_a_deletion_that_happened_before_the_death_is_a_success(*, reported: bool) -> None:
    played = set_up([[("delete_file", {"path": "a"})], "Gone."], tools={"delete_file": "allow"})
    played.stage.journal.dies_at = "run_1/1/1/1"
    played.guest.files["a"] = b"x"
    with pytest.raises(Died):
        await played.stage.say("delete a")
    if not reported:
        played.gateway.effects["run_1/1/1/1"] = Outcome(
            state=EffectState.OPEN, hash=played.gateway.effects["run_1/1/1/1"].hash
        )
    assert await played.stage.again() == Done("Gone.")
    assert played.results() == ["a is deleted."]


async def test_an_effect_of_a_connection_happens_once() -> None:
    played = set_up([[("crm.add", {"name": "Ann"})], "Added."], tools={"crm.add": "allow"})
    played.stage.journal.dies_at = "run_1/1/1/1"
    with pytest.raises(Died):
        await played.stage.say("add Ann")
    assert await played.stage.again() == Done("Added.")
    assert played.gateway.performed == ["run_1/1/1/1"]
    assert played.results() == [{"ok": True}]


async def test_a_question_that_was_put_before_the_death_is_put_once() -> None:
    played = set_up([[("delete_file", {"path": "a"})]], tools={"delete_file": "ask"})
    played.stage.journal.dies_at = "run_1/1/1/1"
    with pytest.raises(Died):
        await played.stage.say("delete a")
    ending = await played.stage.again()
    assert isinstance(ending, Park)
    assert [question.key for question in ending.questions] == ["run_1/1/1/1"]


async def test_a_resumed_segment_that_is_repeated_goes_the_same_way() -> None:
    played = set_up([[("delete_file", {"path": "a"})], "Gone."], tools={"delete_file": "ask"})
    played.guest.files["a"] = b"x"
    ending = await played.stage.say("delete a")
    played.gateway.approve("run_1/1/1/1")
    played.stage.journal.dies_at = "run_1/2/1/0"
    with pytest.raises(Died):
        await played.stage.resume(ending, approve=True)
    assert await played.stage.again() == Done("Gone.")
    assert played.stage.journal.begun.count("run_1/1/1/1/2") == 1
