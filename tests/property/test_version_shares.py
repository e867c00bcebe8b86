"""Whoever is chosen by a share stays chosen, and a share is as large as it says; a diff says how one text becomes another."""

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from freehold.agents.comparing import changed_lines
from freehold.core.agents import Agent
from freehold.testing.clock import START

AGENT = Agent(id="agt_1", name="clerk", version="ver_1", created_at=START, trial="ver_2", share=10)
PLACE = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")

shares = st.integers(1, 99)
names = st.text(max_size=40)


@given(names, shares)
def test_the_same_conversation_is_always_answered_the_same(whose: str, share: int) -> None:
    agent = replace(AGENT, share=share)
    assert agent.begins(whose) == agent.begins(whose)
    assert agent.begins(whose) in {"ver_1", "ver_2"}


@given(names, shares, shares)
def test_whom_a_share_reached_a_larger_one_reaches_too(whose: str, one: int, other: int) -> None:
    less, more = sorted((one, other))
    if replace(AGENT, share=less).begins(whose) == "ver_2":
        assert replace(AGENT, share=more).begins(whose) == "ver_2"


@given(shares, st.sampled_from(["ver_2", "ver_3", "ver_a"]))
def test_a_share_is_about_as_large_as_it_says(share: int, trial: str) -> None:
    agent = replace(AGENT, share=share, trial=trial)
    tried = sum(agent.begins(f"cnv_{number}") == trial for number in range(4000))
    assert abs(tried / 40 - share) < 4


@given(names, shares)
def test_a_conversation_stays_where_it_is_while_another_version_is_tried(whose: str, share: int) -> None:
    agent = replace(AGENT, share=share)
    first = agent.begins(whose)
    assert agent.goes_on(first) == first
    assert replace(agent, share=99).goes_on("ver_1") == "ver_1"
    assert agent.goes_on("ver_0") == "ver_1"
    assert agent.fixed("ver_1").goes_on("ver_2") == "ver_1"


lines = st.lists(st.sampled_from(["a", "b", "c", "", "@@ -1 +1 @@", "-x", "+y"]), max_size=30)


@given(lines, lines)
def test_a_diff_leads_from_one_text_to_the_other(old: list[str], new: list[str]) -> None:
    before, after = "\n".join(old), "\n".join(new)
    found = changed_lines(before, after)
    assert bool(found) is (before != after)
    assert patched(before.split("\n") if before else [], found) == (after.split("\n") if after else [])


def patched(old: list[str], diff: tuple[str, ...]) -> list[str]:
    """Return what `diff` makes of `old`, as `patch` would."""
    made: list[str] = []
    at = 0
    for line in diff:
        if place := PLACE.fullmatch(line):
            start = int(place[1]) - (place[2] != "0")
            made += old[at:start]
            at = start
        elif line[0] == "+":
            made.append(line[1:])
        else:
            assert old[at] == line[1:]
            made += [line[1:]] if line[0] == " " else []
            at += 1
    return made + old[at:]
