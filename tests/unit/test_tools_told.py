"""What servers tell of their tools, and which of it can be had."""

from typing import Any

import pytest

from freehold.core.effects import EffectKind
from freehold.core.errors import Invalid
from freehold.core.tools import Tool
from freehold.gateway.changing_tools import MOST, fit, kind_of
from freehold.gateway.telling_tools import LONGEST, pinned
from freehold.gateway.tools import hash_of


def tool(name: str = "add", **said: Any) -> Tool:
    stated: dict[str, Any] = {"description": "d", "parameters": {}, "kind": EffectKind.READ, "how": {"tool": name}}
    return Tool(name=name, **stated | said)


def nested(depth: int) -> dict[str, Any]:
    return {"items": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (tool(""), "its name is no name"),
        (tool("a b"), "its name is no name"),
        (tool("a*"), "its name is no name"),
        (tool("a" * 65), "its name is no name"),
        (tool("ä"), "its name is no name"),
        (tool("get"), "there is another one of this name"),
        (tool("first"), "there is another one of this name"),
        (tool(description="d" * 16_385), "its description is too long"),
        (tool(parameters={"x": "p" * 16_384}), "its schema is too big"),
        (tool(parameters=nested(33)), "its schema is nested too deeply"),
        (tool(parameters=nested(5_000 // 10)), "its schema is nested too deeply"),
        (tool(parameters={"default": float("nan")}), "what it says of itself cannot be written down"),
        (tool(parameters={"default": 1 << 60}), "what it says of itself cannot be written down"),
        (tool(parameters={"default": "\ud800"}), "what it says of itself cannot be written down"),
        (tool(description="\udfff"), "what it says of itself cannot be written down"),
    ],
    ids=lambda told: told.name[:8] or "none" if isinstance(told, Tool) else "",
)
def test_a_tool_that_cannot_be_had_costs_no_other_tool(odd: Tool, why: str) -> None:
    had, left_out = fit([tool("first"), odd, tool("last")], {"get"})
    assert [one.name for one in had] == ["first", "last"]
    assert list(left_out.values()) == [why]


def test_there_are_only_so_many() -> None:
    had, left_out = fit([tool(f"t{n}") for n in range(MOST + 2)], set())
    assert len(had) == MOST
    assert set(left_out.values()) == {"there are too many"}


def test_whatever_a_tool_says_counts_in_its_hash_and_a_model_is_shown_the_readable_part_of_it() -> None:
    long = tool(description="a\x1b" + "b" * 2_000)
    assert len(pinned(long).description) == LONGEST
    assert pinned(long).description.startswith("a bbb")
    others = [
        tool(description=long.description + "!"),
        tool(description=long.description, parameters={"title": "x"}),
        tool(description=long.description, kind=EffectKind.SPEND),
        tool(description=long.description, how={"tool": "other"}),
    ]
    assert len({hash_of(one) for one in (long, *others)}) == len(others) + 1


def test_what_a_tool_does_to_the_world_is_one_of_few_words() -> None:
    assert kind_of("spend") is EffectKind.SPEND
    with pytest.raises(Invalid) as refused:
        kind_of("fun")
    assert refused.value.code == "bad_kind"
