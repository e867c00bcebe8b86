"""What two versions differ in."""

import time

from freehold.agents.comparing import changed_lines, compare
from freehold.cli.comparing import compared
from freehold.core.agents import Spec, Version
from freehold.core.effects import EffectKind, Verdict
from freehold.core.tools import Pinned
from freehold.testing.clock import START
from freehold.web.differences import DifferenceView

ADD = Pinned(hash="a" * 64, description="Add one.", parameters={"type": "object"}, kind=EffectKind.MESSAGE)
OTHER = Pinned(hash="b" * 64, description="Add two.", parameters={"type": "object"}, kind=EffectKind.SPEND)
BEFORE = Spec(
    model="rehearsal",
    instructions="Be kind.\nAnswer in English.",
    tools={"shell": Verdict.ALLOW, "crm.add": Verdict.ASK, "delegate": Verdict.DENY},
    egress=("a.example", "b.example"),
    pinned={"crm.add": ADD},
)
AFTER = Spec(
    model="coordinator",
    instructions="Be kind.\nAnswer in German.",
    tools={"shell": Verdict.ASK, "crm.add": Verdict.ASK, "read_file": Verdict.ALLOW},
    egress=("b.example", "c.example"),
    pinned={"crm.add": OTHER},
)


def shown(before: Spec, after: Spec) -> list[str]:
    sides = [
        Version(id=f"ver_{number}", agent="agt_1", number=number, spec=spec, created_at=START)
        for number, spec in ((1, before), (2, after))
    ]
    return list(compared(DifferenceView.of(*sides).model_dump(mode="json", by_alias=True)))


def test_all_that_a_version_is_is_compared() -> None:
    found = compare(BEFORE, AFTER)
    assert found.model == ("rehearsal", "coordinator")
    assert found.instructions == ("@@ -1,2 +1,2 @@", " Be kind.", "-Answer in English.", "+Answer in German.")
    assert [(one.tool, one.before, one.after) for one in found.tools] == [
        ("delegate", "deny", None),
        ("read_file", None, "allow"),
        ("shell", "allow", "ask"),
    ]
    [reworded] = found.pinned
    assert {"-Add one.", "+Add two."} <= set(reworded.words)
    assert (found.egress_removed, found.egress_added) == (("a.example",), ("c.example",))


def test_the_same_differs_in_nothing() -> None:
    assert not compare(BEFORE, BEFORE)
    assert shown(BEFORE, BEFORE) == ["version 1 → version 2", "They are the same."]


def test_people_read_it_line_by_line() -> None:
    assert shown(BEFORE, AFTER) == [
        "version 1 → version 2",
        "",
        "model",
        "  -rehearsal",
        "  +coordinator",
        "",
        "instructions",
        "  @@ -1,2 +1,2 @@",
        "   Be kind.",
        "  -Answer in English.",
        "  +Answer in German.",
        "",
        "tools",
        "  -delegate=deny",
        "  +read_file=allow",
        "  -shell=allow",
        "  +shell=ask",
        "",
        "what crm.add is",
        "  -kind: message",
        "  +kind: spend",
        "  @@ -1,4 +1,4 @@",
        "  -Add one.",
        "  +Add two.",
        "   {",
        '     "type": "object"',
        "   }",
        "",
        "hosts",
        "  -a.example",
        "  +c.example",
    ]


def test_a_tool_of_which_only_the_way_it_is_called_changed_shows_its_hash() -> None:
    called_otherwise = Pinned(hash="c" * 64, description="Add one.", parameters={"type": "object"}, kind=ADD.kind)
    lines = shown(Spec(model="m", pinned={"crm.add": ADD}), Spec(model="m", pinned={"crm.add": called_otherwise}))
    assert lines[2:] == ["what crm.add is", f"  -hash: {'a' * 64}", f"  +hash: {'c' * 64}"]


def test_what_an_agent_was_told_does_not_steer_the_terminal() -> None:
    lines = shown(Spec(model="m"), Spec(model="m", instructions="\x1b[2Jboo\rgone\u202e"))
    assert lines[-1] == "  +[2Jboogone"


def test_places_are_counted_from_the_beginning_of_the_text() -> None:
    long = [f"line {number}" for number in range(1, 1001)]
    other = [*long[:499], "else", *long[500:]]
    found = changed_lines("\n".join(long), "\n".join(other))
    assert found[0] == "@@ -497,7 +497,7 @@"
    assert found[1:] == (
        *(f" line {n}" for n in (497, 498, 499)),
        "-line 500",
        "+else",
        *(f" line {n}" for n in (501, 502, 503)),
    )


def test_texts_made_to_take_long_are_compared_soon() -> None:
    numbers = [str(number * 7919 % 20_011) for number in range(20_000)]
    began = time.process_time()
    found = changed_lines("\n".join(numbers), "\n".join(sorted(numbers)))
    assert time.process_time() - began < 2
    assert len([line for line in found if line.startswith("-")]) >= 19_990
