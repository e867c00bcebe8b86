"""How a turn goes, with everything around it in memory."""

import asyncio
from typing import Any

import pytest

from freehold.agents import loop
from freehold.core.effects import Effect, EffectState
from freehold.core.errors import Unavailable
from freehold.core.parts import Origin
from freehold.core.runs import WaitsFor
from freehold.gateway.client import ChatReply
from freehold.runs.endings import Done, Park
from freehold.testing.gateways import reply_of
from freehold.testing.guests import printing
from tests.turns import set_up


async def test_an_answer_ends_the_run_and_its_words_were_streamed() -> None:
    played = set_up(["Good morning to you"], instructions="Be kind.")
    assert await played.stage.say("Hello") == Done("Good morning to you")
    assert [data["text"] for kind, data in played.stage.journal.shown if kind == "delta"] == [
        "Good ",
        "morning ",
        "to ",
        "you",
    ]
    assert played.gateway.asked[0]["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
    ]


async def test_an_empty_reply_is_a_silent_answer() -> None:
    played = set_up([""])
    assert await played.stage.say("Say nothing") == Done("")
    assert len(played.gateway.asked) == 1


async def test_calls_of_one_reply_happen_in_the_order_it_made_them() -> None:
    played = set_up(
        [
            [("write_file", {"path": "a.py", "content": "print(1)"}), ("shell", {"command": "python3 a.py"})],
            "It says 1.",
        ],
        tools={"shell": "allow", "write_file": "allow"},
        commands={"python3 a.py": lambda guest: printing("1\n" if "a.py" in guest.files else "missing")(guest)},
    )
    assert await played.stage.say("Write and run it") == Done("It says 1.")
    assert played.results() == ["8 bytes are written to a.py.", "1"]
    assert {outcome.state for outcome in played.gateway.effects.values()} == {EffectState.DONE}


async def test_the_sandbox_rests_when_the_segment_ended() -> None:
    played = set_up(["fine"])
    await played.stage.say("go")
    assert played.sandboxes.rested == ["run_1"]


async def test_the_sandbox_rests_when_the_segment_broke() -> None:
    def breaks(body: dict[str, Any]) -> ChatReply:
        raise ZeroDivisionError

    played = set_up([breaks])
    with pytest.raises(ZeroDivisionError):
        await played.stage.say("go")
    assert played.sandboxes.rested == ["run_1"]


async def test_a_sandbox_that_does_not_come_to_rest_does_not_keep_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "REST_SECONDS", 0.01)
    played = set_up(["fine"])
    played.sandboxes.hangs = asyncio.Event()
    assert await played.stage.say("go") == Done("fine")
    played.sandboxes.hangs.set()


async def test_a_turn_without_tools_wakes_no_sandbox() -> None:
    played = set_up(["fine"], tools={"shell": "allow"})
    await played.stage.say("go")
    assert played.sandboxes.wakes == 0


class TestAsking:
    async def test_a_call_that_asks_parks_the_run_bound_to_its_bytes(self) -> None:
        played = set_up([[("delete_file", {"path": "a"})]], tools={"delete_file": "ask"})
        ending = await played.stage.say("delete a")
        assert isinstance(ending, Park)
        assert ending.waits_for is WaitsFor.PERSON
        (question,) = ending.questions
        assert (question.key, question.operation, question.arguments) == ("run_1/1/1/1", "delete_file", {"path": "a"})
        assert question.hash == played.gateway.effects[question.key].hash
        assert played.sandboxes.wakes == 0

    async def test_what_was_approved_runs_once_under_its_first_key(self) -> None:
        played = set_up([[("delete_file", {"path": "a"})], "Gone."], tools={"delete_file": "ask"})
        played.guest.files["a"] = b"x"
        ending = await played.stage.say("delete a")
        played.gateway.approve("run_1/1/1/1")
        assert await played.stage.resume(ending, approve=True) == Done("Gone.")
        assert played.guest.files == {}
        assert list(played.gateway.effects) == ["run_1/1/1/1"]

    async def test_what_the_gateway_knows_no_approval_of_does_not_run(self) -> None:
        """A worker that claims an approval finds the gateway of another mind."""
        played = set_up([[("delete_file", {"path": "a"})], "Gone."], tools={"delete_file": "ask"})
        played.guest.files["a"] = b"x"
        ending = await played.stage.say("delete a")
        again = await played.stage.resume(ending, approve=True)
        assert isinstance(again, Park)
        assert played.guest.files == {"a": b"x"}

    @pytest.mark.parametrize(("expire", "code"), [(False, "approval_denied"), (True, "approval_expired")])
    async def test_a_no_is_told_to_the_model_and_nothing_happens(self, *, expire: bool, code: str) -> None:
        played = set_up([[("delete_file", {"path": "a"})], "As you wish."], tools={"delete_file": "ask"})
        played.guest.files["a"] = b"x"
        ending = await played.stage.say("delete a")
        assert await played.stage.resume(ending, approve=False, expire=expire) == Done("As you wish.")
        assert played.guest.files == {"a": b"x"}
        (told,) = played.results()
        assert isinstance(told, dict)
        assert told["refused"]["code"] == code

    async def test_what_needs_no_question_beside_it_runs_at_once_and_only_once(self) -> None:
        played = set_up(
            [[("shell", {"command": "date"}), ("delete_file", {"path": "a"}), ("shell", {"command": "pwd"})], "ok"],
            tools={"shell": "allow", "delete_file": "ask"},
            commands={"date": printing("today"), "pwd": printing("/work")},
        )
        ending = await played.stage.say("go")
        assert played.guest.ran == ["date", "pwd"]
        assert await played.stage.resume(ending, approve=False) == Done("ok")
        assert played.guest.ran == ["date", "pwd"]
        answers = [
            message["tool_call_id"] for message in played.gateway.asked[1]["messages"] if message["role"] == "tool"
        ]
        assert answers == ["call_1_1", "call_1_2", "call_1_3"]


class TestDelegating:
    async def test_a_task_becomes_a_child_and_its_answer_a_result(self) -> None:
        played = set_up([[("delegate", {"task": "count"})], "It says 3."], tools={"delegate": "allow"})
        ending = await played.stage.say("delegate: count")
        assert isinstance(ending, Park)
        assert ending.waits_for is WaitsFor.CHILD
        (child,) = ending.children
        assert child.text == "count"
        played.stage.child_ended(child.call, output="3")
        assert await played.stage.resume(ending) == Done("It says 3.")
        assert played.results() == ["3"]

    async def test_a_child_that_failed_is_an_error_the_model_hears_of(self) -> None:
        played = set_up([[("delegate", {"task": "count"})], "It failed."], tools={"delegate": "allow"})
        ending = await played.stage.say("go")
        assert isinstance(ending, Park)
        error = {"code": "provider_busy", "message": "Too many.", "remedy": ""}
        played.stage.child_ended(ending.children[0].call, error=error)
        await played.stage.resume(ending)
        assert played.results() == [{"error": error}]

    async def test_a_question_and_a_child_of_one_reply_are_waited_for_together(self) -> None:
        played = set_up(
            [[("delegate", {"task": "t"}), ("delete_file", {"path": "a"})], "Both."],
            tools={"delegate": "allow", "delete_file": "ask"},
        )
        ending = await played.stage.say("go")
        assert isinstance(ending, Park)
        assert (len(ending.questions), len(ending.children)) == (1, 1)
        played.stage.child_ended(ending.children[0].call, output="t is done")
        assert await played.stage.resume(ending, approve=False) == Done("Both.")

    async def test_a_delegation_that_was_approved_starts_its_child_then(self) -> None:
        played = set_up([[("delegate", {"task": "t"})], "Done."], tools={"delegate": "ask"})
        asked = await played.stage.say("go")
        played.gateway.approve("run_1/1/1/1")
        delegated = await played.stage.resume(asked, approve=True)
        assert isinstance(delegated, Park)
        assert delegated.waits_for is WaitsFor.CHILD
        played.stage.child_ended(delegated.children[0].call, output="t")
        assert await played.stage.resume(delegated) == Done("Done.")


class TestTools:
    async def test_a_tool_that_does_not_exist_is_refused_and_the_run_goes_on(self) -> None:
        played = set_up([[("rm_rf", {})], "I cannot."])
        assert await played.stage.say("go") == Done("I cannot.")
        (told,) = played.results()
        assert isinstance(told, dict)
        assert told["refused"]["code"] == "unknown_tool"

    async def test_a_denied_tool_is_not_offered_and_refused_by_the_gateway(self) -> None:
        played = set_up([[("shell", {"command": "id"})], "I may not."], tools={"shell": "deny"})
        assert await played.stage.say("go") == Done("I may not.")
        assert "tools" not in played.gateway.asked[0]
        assert played.gateway.effects["run_1/1/1/1"].state is EffectState.REFUSED
        assert played.guest.ran == []

    @pytest.mark.parametrize("arguments", ["not json", {}, {"command": 3}, {"command": "ls", "sudo": True}])
    async def test_arguments_that_fit_no_tool_reach_neither_gateway_nor_sandbox(self, arguments: object) -> None:
        played = set_up([[("shell", arguments)], "Sorry."], tools={"shell": "allow"})
        assert await played.stage.say("go") == Done("Sorry.")
        (told,) = played.results()
        assert isinstance(told, dict)
        assert told["error"]["code"] == "bad_arguments"
        assert played.gateway.effects == {}

    async def test_a_sandbox_that_dies_costs_the_call_and_not_the_run(self) -> None:
        played = set_up([[("shell", {"command": "x"})], "It died."], tools={"shell": "allow"})
        played.guest.dead = True
        assert await played.stage.say("go") == Done("It died.")
        (told,) = played.results()
        assert isinstance(told, dict)
        assert told["error"]["code"] == "sandbox_died"
        assert played.gateway.effects["run_1/1/1/1"].state is EffectState.UNKNOWN

    async def test_a_sandbox_that_cannot_be_woken_did_nothing(self) -> None:
        played = set_up([[("shell", {"command": "x"})], "No sandbox."], tools={"shell": "allow"})
        played.sandboxes.broken = Unavailable("No room in /srv/freehold/run.", code="runtime_missing")
        await played.stage.say("go")
        assert played.gateway.effects["run_1/1/1/1"].state is EffectState.FAILED
        (told,) = played.results()
        assert "/srv" not in str(told), "the host's folders are not the model's business"

    async def test_the_same_call_id_twice_means_two_calls(self) -> None:
        played = set_up(
            [
                lambda body: reply_of([("shell", {"command": "a"}), ("shell", {"command": "b"})], call_id="same"),
                "Both.",
            ],
            tools={"shell": "allow"},
            commands={"a": printing("A"), "b": printing("B")},
        )
        assert await played.stage.say("go") == Done("Both.")
        ids = [content["id"] for role, content in played.stage.said() if role == "call"]
        assert len(set(ids)) == 2
        assert played.results() == ["A", "B"]

    async def test_a_counterpart_that_is_away_is_tried_again_under_the_same_key(self) -> None:
        played = set_up([[("crm.add", {})], "Added."], tools={"crm.add": "allow"})
        away = [Unavailable("Nobody answers.", code="not_sent", after=1)] * 2

        def perform(effect: Effect) -> dict[str, Any]:
            if away:
                raise away.pop()
            return {"id": 7}

        played.gateway.perform = perform
        assert await played.stage.say("add") == Done("Added.")
        assert played.gateway.performed == ["run_1/1/1/1"] * 3
        assert played.results() == [{"id": 7}]

    async def test_a_counterpart_that_stays_away_is_an_error_the_model_hears_of(self) -> None:
        played = set_up([[("crm.add", {})], "It is away."], tools={"crm.add": "allow"})

        def perform(effect: Effect) -> dict[str, Any]:
            raise Unavailable("Nobody answers.", code="not_sent", after=1)

        played.gateway.perform = perform
        assert await played.stage.say("add") == Done("It is away.")
        (told,) = played.results()
        assert isinstance(told, dict)
        assert told["error"]["code"] == "not_sent"


class TestLabels:
    async def test_a_reply_carries_all_it_was_shown_and_a_result_where_it_came_from(self) -> None:
        played = set_up(
            [[("shell", {"command": "a"})], "Read."], tools={"shell": "allow"}, commands={"a": printing("A")}
        )
        await played.stage.say("go", origin=Origin.CHANNEL)
        said, call, result, answer = (part.label.origins for _n, part in played.stage.journal.parts[1:])
        assert said == call == {Origin.OWNER, Origin.CHANNEL, Origin.MODEL}
        assert result == said | {Origin.SANDBOX}
        assert answer == said | {Origin.SANDBOX}

    async def test_an_answer_made_of_a_members_words_alone_carries_no_more(self) -> None:
        played = set_up(["Hello"])
        await played.stage.say("hi")
        assert played.stage.journal.parts[-1][1].label.origins == {Origin.MEMBER, Origin.MODEL}
