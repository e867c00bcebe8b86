"""The small decisions of web: what is waited for, what is said twice, what OpenAI's shapes mean, where to listen."""

import socket
from pathlib import Path

import pytest

from freehold.app.address import bound
from freehold.core.errors import Invalid
from freehold.web.chat_completions import Said
from freehold.web.events import after_number
from freehold.web.openai_shapes import Request
from freehold.web.tail import BACKLOG, LONGEST, Tail, Watch
from freehold.web.waiting import seconds
from tests.webs import made


@pytest.mark.parametrize(
    ("prefer", "wait"),
    [
        ("", 0),
        ("wait=5", 5),
        ("respond-async, wait=10", 10),
        ("wait=0", 0),
        ("wait=100000", 300),
        ("wait=-1", 0),
        ("wait=soon", 0),
        ("await=5", 0),
    ],
)
def test_a_preference_is_read_and_bounded(prefer: str, wait: float) -> None:
    assert seconds(prefer) == wait


@pytest.mark.parametrize(("header", "number"), [("", 0), ("7", 7), ("-1", 0), ("x", 0), ("9" * 20, 0), ("²", 0)])
def test_a_last_event_id_that_is_none_counts_as_no_event(header: str, number: int) -> None:
    assert after_number(header) == number


def said(*pieces: tuple[str, str, str]) -> tuple[Said, str]:
    told = Said()
    return told, "".join(told.hear({"live": kind, "key": key, "text": text}) for kind, key, text in pieces)


def test_a_step_that_is_said_again_is_heard_once() -> None:
    told, text = said(("delta", "k", "hel"), ("reset", "k", ""), ("delta", "k", "hell"), ("delta", "k", "o"))
    assert text + told.left_of("hello, world") == "hello, world"


def test_steps_are_told_apart_and_the_answer_is_not_repeated() -> None:
    told, text = said(("delta", "k1", "Let me look."), ("delta", "k2", "It is 42."))
    assert text == "Let me look.\n\nIt is 42."
    assert told.left_of("It is 42.") == ""


def test_an_answer_of_which_nothing_was_heard_is_told_whole() -> None:
    assert said()[0].left_of("hello") == "hello"
    assert said(("delta", "k1", "Let me look."))[0].left_of("It is 42.") == "\n\nIt is 42."


def request(*turns: tuple[str, object], **extra: object) -> Request:
    messages = [{"role": role, "content": content} for role, content in turns]
    return Request.model_validate({"model": "acme/helper", "messages": messages} | extra)


def test_the_last_user_message_is_what_the_agent_is_told() -> None:
    assert request(("system", "Be rude."), ("user", "hi")).text() == "hi"
    assert request(("user", [{"type": "text", "text": "a"}, {"type": "image_url"}])).text() == "a"


def test_a_history_of_the_clients_own_is_told_before_it() -> None:
    text = request(("user", "I am Ann."), ("assistant", "Hello Ann."), ("user", "Who am I?")).text()
    assert text == "Earlier in this conversation:\nuser: I am Ann.\nassistant: Hello Ann.\n\nWho am I?"


def test_in_a_conversation_we_keep_no_history_is_repeated() -> None:
    turns = (("user", "I am Ann."), ("assistant", "Hello Ann."), ("user", "Who am I?"))
    assert request(*turns, metadata={"conversation": "cnv_1"}).text() == "Who am I?"


def test_a_request_that_does_not_end_with_the_user_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        request(("user", "hi"), ("assistant", "hello")).text()
    assert refused.value.code == "no_user_message"


async def test_a_listener_that_is_too_slow_is_cut_off() -> None:
    watch = Watch()
    for n in range(BACKLOG + 10):
        watch.tell({"seq": n})
    heard = 0
    while await watch.next(0) is not None:
        heard += 1
    assert heard == BACKLOG
    assert watch.over


async def test_of_a_step_that_is_very_long_late_listeners_get_the_recorded_whole(tmp_path: Path) -> None:
    tail = Tail(made(tmp_path).state.store)
    for piece in ("x" * LONGEST, "y"):
        tail.live({"live": "delta", "run": "run_1", "key": "k", "text": piece})
    async with tail.watch("run_1") as watch:
        assert await watch.next(0) is None
    tail.live({"live": "delta", "run": "run_1", "key": "k2", "text": "next"})
    async with tail.watch("run_1") as watch:
        assert await watch.next(0) == {"live": "reset", "run": "run_1", "key": "k2"}


def test_an_address_that_is_taken_is_told_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Invalid) as refused:
        bound(f"127.0.0.1:{taken.getsockname()[1]}")
    assert refused.value.code == "port_taken"
    assert "FREEHOLD_ADDRESS" in refused.value.remedy


@pytest.mark.parametrize("address", ["", "nonsense", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "192.0.2.1:7070"])
def test_an_address_that_is_none_of_ours_is_refused(address: str) -> None:
    with pytest.raises(Invalid) as refused:
        bound(address)
    assert refused.value.code == "bad_address"
