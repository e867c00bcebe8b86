"""The rehearsal model does what it is told, and its page tells what it does."""

import re
from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import Invalid, Unavailable
from freehold.drivers.model.rehearsal.driver import RehearsalModel
from freehold.drivers.model.rehearsal.knobs import KNOBS, knobs
from freehold.drivers.model.rehearsal.phrases import PHRASES, plan
from freehold.gateway.asked import Units
from freehold.gateway.money.prices import REHEARSAL
from freehold.gateway.ports import Credential, ModelCall, ModelReply
from freehold.testing.clock import START, FakeClock

PAGE = (Path(__file__).parents[2] / "docs/reference/rehearsal.md").read_text()


def said(*texts: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text} for text in texts]


async def chat(
    messages: list[dict[str, Any]], model: str = "rehearsal", driver: RehearsalModel | None = None, tools: Any = ()
) -> ModelReply:
    call = ModelCall(
        model=model,
        body={"messages": messages, "tools": [{"function": {"name": name}} for name in tools]},
        config={},
        credential=Credential(),
        run="run_1",
        sent=lambda: None,
        on_text=lambda _: None,
    )
    return await (driver or RehearsalModel(FakeClock())).chat(call)


def test_the_page_lists_every_phrase_and_knob_and_no_other() -> None:
    phrases = re.findall(r"^\| `([^`]+)` \| (?:`|what)", PAGE, re.MULTILINE)
    turned = set(re.findall(r"^\| `(\w+)=", PAGE, re.MULTILINE))
    assert tuple(phrases) == PHRASES
    assert turned == set(KNOBS)


def test_the_page_tells_the_price() -> None:
    assert REHEARSAL.cost(Units(input=1)) == 1_000
    assert REHEARSAL.cost(Units(output=1)) == 4_000
    assert "1,000 nano-USD for each token in and 4,000 for each token out" in PAGE


@pytest.mark.parametrize(
    ("phrase", "tool", "arguments"),
    [
        ("run: echo hi", "shell", {"command": "echo hi"}),
        ("write a.txt: one\\ntwo", "write_file", {"path": "a.txt", "content": "one\ntwo"}),
        ("read a.txt", "read_file", {"path": "a.txt"}),
        ("list", "list_files", {}),
        ("delete a.txt", "delete_file", {"path": "a.txt"}),
        ("delegate: run: date", "delegate", {"task": "run: date"}),
        ('call mail send {"to": "a@b.c"}', "mail.send", {"to": "a@b.c"}),
        ("call mail send", "mail.send", {}),
        ("call mail send not json", "mail.send", "not json"),
    ],
)
async def test_a_phrase_becomes_one_call(phrase: str, tool: str, arguments: Any) -> None:
    reply = await chat(said(phrase))
    assert [(call.name, call.arguments) for call in reply.calls] == [(tool, arguments)]


def test_phrases_on_several_lines_are_called_at_once_and_a_repeated_one_step_by_step() -> None:
    steps = plan("run: a\nplease\nrepeat 3: run: b\nlist")
    assert [[wish.arguments for wish in step] for step in steps] == [
        [{"command": "a"}, {"command": "b"}, {}],
        [{"command": "b"}],
        [{"command": "b"}],
    ]


async def test_it_goes_step_by_step_and_then_tells_what_came_back() -> None:
    messages = said("repeat 2: run: date")
    for step in range(2):
        reply = await chat(messages)
        call = reply.calls[0]
        messages.append({"role": "assistant", "tool_calls": [{"id": call.id, "function": {"name": call.name}}]})
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"output {step}"})
    assert (await chat(messages)).text == "shell: output 0\nshell: output 1"


async def test_ids_of_calls_are_the_same_when_asked_again_and_differ_between_calls() -> None:
    first, second = await chat(said("run: a\nrun: a")), await chat(said("run: a\nrun: a"))
    assert first.calls == second.calls
    assert len({call.id for call in first.calls}) == 2


async def test_an_operation_goes_by_the_name_it_was_offered_under() -> None:
    reply = await chat(said("call mail send {}"), tools=["mail__send"])
    assert reply.calls[0].name == "mail__send"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"error": {"code": "x", "message": "no such file"}}', "it failed: no such file"),
        ('{"refused": {"message": "not granted"}}', "it was refused: not granted"),
        ('{"denied": "a person said no"}', "it was denied: a person said no"),
        ("", "done, nothing came back"),
    ],
)
async def test_what_went_wrong_with_a_tool_is_said(content: str, told: str) -> None:
    calls = [{"id": "c", "function": {"name": "shell"}}]
    messages = [
        *said("run: x"),
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c", "content": content},
    ]
    assert (await chat(messages)).text == f"shell: {told}"


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        (["Hello!"], "rehearsal model"),
        (["are you a model?"], "no language model"),
        (["my name is Ada", "what is my name?"], "Your name is Ada."),
        (["the sky is blue", "what did I say?"], "You said: the sky is blue"),
        (["flurb"], "You said: flurb"),
    ],
)
async def test_it_holds_a_short_and_honest_conversation(texts: list[str], answer: str) -> None:
    assert answer in (await chat(said(*texts))).text


async def test_a_delay_is_the_whole_time_the_answer_takes() -> None:
    clock = FakeClock()
    await chat(said("hello"), "rehearsal?delay=2&pieces=4", RehearsalModel(clock))
    assert (clock.now() - START).total_seconds() == pytest.approx(2)


async def test_it_can_fail_a_few_times_and_then_work() -> None:
    driver = RehearsalModel(FakeClock())
    for _ in range(2):
        with pytest.raises(Unavailable):
            await chat(said("hello"), "rehearsal?fail=429x2", driver)
    assert (await chat(said("hello"), "rehearsal?fail=429x2", driver)).text


@pytest.mark.parametrize(
    "model",
    ["rehearsal?speed=2", "rehearsal?delay=-1", "rehearsal?delay=x", "rehearsal?fail=200", "rehearsal?usage=1", "other",
     "rehearsal?delay=nan"],
)  # fmt: skip
def test_a_knob_that_does_not_exist_is_an_unknown_model(model: str) -> None:
    with pytest.raises(Invalid) as caught:
        knobs(model)
    assert caught.value.code == "unknown_model"
