"""The rehearsal model does what it is told, and its page tells what it does."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import Invalid, Unavailable
from freehold.drivers.model.rehearsal.driver import RehearsalModel
from freehold.drivers.model.rehearsal.knobs import KNOBS, knobs
from freehold.drivers.model.rehearsal.phrases import PHRASES, plan
from freehold.gateway.asked import Api, Asked, Behalf, Units
from freehold.gateway.calls.collecting import Collected
from freehold.gateway.calls.sse import Events
from freehold.gateway.money.prices import REHEARSAL
from freehold.gateway.ports import Call, Credential
from freehold.testing.clock import START, FakeClock

PAGE = (Path(__file__).parents[2] / "docs/reference/rehearsal.md").read_text()


def said(*texts: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text} for text in texts]


@dataclass(frozen=True)
class Reply:
    text: str
    calls: tuple[Call, ...]


async def sent(
    api: Api, body: dict[str, Any], model: str = "rehearsal", driver: RehearsalModel | None = None
) -> tuple[int, bytes]:
    """Return the status of an answer, and what a caller is given of it."""
    rehearsal = driver or RehearsalModel(FakeClock())
    asked = Asked(api=api, model=model, body=json.dumps(body).encode(), stream=bool(body.get("stream")))
    request = rehearsal.request(asked, model=model, config={}, credential=Credential())
    answer = await rehearsal.send(request, Behalf("ten_1"), lambda: None)
    came = b"".join([chunk async for chunk in answer.chunks])
    reading = rehearsal.reading(asked, answer)
    return answer.status, reading.feed(came) + reading.end() if answer.status == 200 else came


async def chat(
    messages: list[dict[str, Any]], model: str = "rehearsal", driver: RehearsalModel | None = None, tools: Any = ()
) -> Reply:
    offered = [{"function": {"name": name}} for name in tools]
    _, events = await sent(Api.CHAT, {"messages": messages, "tools": offered, "stream": True}, model, driver)
    collected = Collected(lambda _: None)
    for event in Events().feed(events):
        collected.take(event.data)
    return Reply(collected.text, collected.calls())


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
    asked = {"messages": said("hello")}
    found = [(await sent(Api.CHAT, asked, "rehearsal?fail=429x2", driver))[0] for _ in range(4)]
    assert found == [429, 429, 200, 200]


@pytest.mark.parametrize("fault", ["timeout", "cut", "malformed"])
async def test_it_can_fail_without_an_answer(fault: str) -> None:
    with pytest.raises(Unavailable) as caught:
        await chat(said("hello"), f"rehearsal?fail={fault}")
    assert caught.value.code == f"provider_{fault}"


async def test_a_document_says_the_same_as_a_stream() -> None:
    _, body = await sent(Api.CHAT, {"messages": said("hello")})
    assert json.loads(body)["choices"][0]["message"]["content"] == (await chat(said("hello"))).text


@pytest.mark.parametrize("packed", ["float", "base64"])
async def test_the_same_text_has_the_same_vector_and_another_one_another(packed: str) -> None:
    asked = {"input": ["a", "b", "a"], "encoding_format": packed}
    _, body = await sent(Api.EMBEDDINGS, asked)
    told = json.loads(body)
    first, other, again = (one["embedding"] for one in told["data"])
    assert first == again != other
    assert isinstance(first, str) == (packed == "base64")
    assert told["usage"]["prompt_tokens"] == 3


@pytest.mark.parametrize(
    "model",
    ["rehearsal?speed=2", "rehearsal?delay=-1", "rehearsal?delay=x", "rehearsal?fail=200", "rehearsal?usage=1", "other",
     "rehearsal?delay=nan"],
)  # fmt: skip
def test_a_knob_that_does_not_exist_is_an_unknown_model(model: str) -> None:
    with pytest.raises(Invalid) as caught:
        knobs(model)
    assert caught.value.code == "unknown_model"
