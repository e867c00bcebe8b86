"""What a model is shown, and in which spelling."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.agents.chat import NO_RESULT, body, messages, wire_name
from freehold.agents.context import MAX_RESULT, Context, bounded
from freehold.agents.sources import ToolSpec
from freehold.core.effects import Verdict
from freehold.core.parts import Label, Origin, Part, Role

MEMBER = Label(origins=frozenset({Origin.MEMBER}))


def part(role: Role, label: Label = MEMBER, **content: Any) -> Part:
    return Part(role=role, content=content, label=label)


def user(text: str) -> Part:
    return part(Role.USER, text=text)


def assistant(text: str = "", key: str = "run_1/1/1/0") -> Part:
    return part(Role.ASSISTANT, text=text, key=key)


def call(call_id: str, name: str = "shell", arguments: object = None, key: str = "run_1/1/1/1") -> Part:
    return part(Role.CALL, id=call_id, name=name, arguments={} if arguments is None else arguments, key=key)


def result(call_id: str, value: object = "ok") -> Part:
    return part(Role.RESULT, id=call_id, name="shell", value=value)


def test_instructions_come_first_as_one_message() -> None:
    parts = [user("hi"), part(Role.INSTRUCTIONS, text="a"), part(Role.INSTRUCTIONS, text="b")]
    assert messages(parts) == [{"role": "system", "content": "a\n\nb"}, {"role": "user", "content": "hi"}]


def test_results_stand_behind_their_reply_in_the_order_of_its_calls() -> None:
    shown = messages([user("go"), assistant("hm"), call("1"), call("2"), result("2"), result("1", {"a": 1})])
    assert [message["role"] for message in shown] == ["user", "assistant", "tool", "tool"]
    assert shown[1]["content"] == "hm"
    assert [(message["tool_call_id"], message["content"]) for message in shown[2:]] == [("1", '{"a": 1}'), ("2", "ok")]


def test_a_call_without_a_result_says_so() -> None:
    shown = messages([user("go"), assistant(), call("1"), user("again")])
    assert shown[2] == {"role": "tool", "tool_call_id": "1", "content": NO_RESULT}


def test_a_call_id_that_comes_again_in_a_later_reply_keeps_its_own_result() -> None:
    shown = messages([assistant(), call("1"), result("1", "a"), assistant(), call("1"), result("1", "b")])
    assert [message["content"] for message in shown if message["role"] == "tool"] == ["a", "b"]


def test_arguments_that_are_no_object_are_not_sent_back_to_the_provider() -> None:
    shown = messages([assistant(), call("1", arguments="{broken")])
    assert shown[0]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_an_attachment_is_named_by_where_it_lies() -> None:
    shown = messages([part(Role.USER, text="see", attachments=[{"name": "a.pdf"}])])
    assert shown[0]["content"] == "see\n[attached: attachments/a.pdf]"


def test_a_tool_of_a_connection_goes_by_a_name_that_providers_allow() -> None:
    tool = ToolSpec(
        name="crm.add", description="d", parameters={}, verdict=Verdict.ALLOW, origin=Origin.CONNECTION, alone=False
    )
    shown = body([assistant(), call("1", name="crm.add")], [tool])
    assert shown["tools"][0]["function"]["name"] == "crm__add"
    assert shown["messages"][0]["tool_calls"][0]["function"]["name"] == "crm__add"


def test_without_tools_none_are_mentioned() -> None:
    assert "tools" not in body([user("hi")], [])


def test_what_is_too_long_is_cut_and_says_by_how_much() -> None:
    (shown,) = bounded([result("1", "x" * (MAX_RESULT + 7))])
    assert shown.content["value"].endswith("[7 more characters are left out]")


def test_the_oldest_goes_first_and_what_was_said_last_stays() -> None:
    old, said = user("o" * 500), user("s" * 500)
    replies = [assistant("r" * 500) for _ in range(3)]
    shown = bounded([old, assistant("a" * 500), said, *replies], limit=1800)
    assert old not in shown
    assert shown[0] == said
    assert len(shown) == 3


ROLES = st.sampled_from(["said", "reply", "reply with calls"])


@given(st.lists(ROLES, max_size=20), st.integers(0, 3000))
def test_nothing_is_torn_apart_however_little_room_there_is(history: list[str], limit: int) -> None:
    parts: list[Part] = []
    for n, what in enumerate(history):
        parts.append(user("u" * 100) if what == "said" else assistant("a" * 100))
        if what == "reply with calls":
            parts += [call(f"c{n}"), result(f"c{n}", "r" * 100)]
    shown = bounded(parts, limit=limit)
    calls = [part.content["id"] for part in shown if part.role is Role.CALL]
    assert calls == [part.content["id"] for part in shown if part.role is Role.RESULT]
    if any(part.role is Role.USER for part in parts):
        assert any(part.role is Role.USER for part in shown)
    assert not parts or shown[-1] == parts[-1]
    assert messages(shown)[-1:] == messages(parts)[-1:]


@pytest.mark.parametrize("run", ["run_1", "run_2"])
def test_only_calls_of_the_runs_own_last_reply_are_open(run: str) -> None:
    context = Context([], [user("a"), assistant(), call("1"), user("b")])
    assert context.calls(run) == []


def test_a_call_with_a_result_is_answered() -> None:
    context = Context([], [user("a"), assistant(), call("1"), call("2", key="run_1/1/1/2"), result("2")])
    assert [(found.id, answer is not None) for found, answer in context.calls("run_1")] == [("1", False), ("2", True)]


def test_readers_of_a_context_are_those_who_may_read_all_of_it() -> None:
    only = Label(origins=frozenset({Origin.MEMBER}), readers=frozenset({"ann", "bob"}))
    also = Label(origins=frozenset({Origin.WEB}), readers=frozenset({"bob"}))
    context = Context([part(Role.INSTRUCTIONS, text="x")], [part(Role.USER, only, text="a")])
    context.add([part(Role.RESULT, also, id="1", name="x", value="v")])
    assert context.label.readers == frozenset({"bob"})
    assert context.label.tainted


@given(st.lists(st.from_regex(r"([a-z_.]{1,6}|[a-z_]{1,70}\.[a-z_.]{1,70})", fullmatch=True), unique=True, max_size=8))
def test_no_two_tools_go_by_the_same_name_and_every_name_is_one_that_providers_take(tools: list[str]) -> None:
    names = [wire_name(tool) for tool in tools]
    assert len(set(names)) == len(tools)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in names)
