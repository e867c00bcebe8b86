"""What a request for an effect leads to, as a table."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.effects import EFFECT_TRANSITIONS, EffectState, Verdict
from freehold.core.errors import BadTransition, Conflict, Invalid
from freehold.gateway.grants import Grants, judge, target
from freehold.gateway.steps import Shown, Standing, Step, decide, next_step, settled
from freehold.gateway.tables import Decision
from freehold.testing.clock import START

STORED = Standing(hash="h", state=EffectState.DONE, connection="hook")
LATER = START + timedelta(hours=1)
SHOWN = Shown(hash="h")


def step(standing: Standing | None, *, verdict: Verdict = Verdict.ALLOW, asked: str = "h") -> Step:
    return next_step(standing, verdict=verdict, hash=asked, at=START)


@pytest.mark.parametrize(
    ("verdict", "expected"), [(Verdict.ALLOW, Step.OPEN), (Verdict.ASK, Step.ASK), (Verdict.DENY, Step.REFUSE)]
)
def test_the_first_request_goes_by_the_verdict(verdict: Verdict, expected: Step) -> None:
    assert step(None, verdict=verdict) is expected


@pytest.mark.parametrize("state", EffectState)
def test_other_bytes_under_a_key_are_a_conflict_whatever_stands_there(state: EffectState) -> None:
    with pytest.raises(Conflict) as caught:
        step(replace(STORED, state=state), asked="other")
    assert caught.value.code == "key_reused"


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (replace(STORED, state=EffectState.DONE), Step.TELL),
        (replace(STORED, state=EffectState.FAILED), Step.TELL),
        (replace(STORED, state=EffectState.REFUSED), Step.TELL),
        (replace(STORED, state=EffectState.EXPIRED), Step.TELL),
        (replace(STORED, state=EffectState.ASKED, expires_at=LATER), Step.TELL),
        (replace(STORED, state=EffectState.ASKED, expires_at=START), Step.EXPIRE),
        (replace(STORED, state=EffectState.ASKED, decision=Decision.APPROVED), Step.OPEN),
        (replace(STORED, state=EffectState.UNKNOWN), Step.TELL),
        (replace(STORED, state=EffectState.UNKNOWN, again=True), Step.OPEN),
        (replace(STORED, state=EffectState.UNKNOWN, decision=Decision.APPROVED), Step.OPEN),
        (replace(STORED, state=EffectState.OPEN), Step.TELL),
        (replace(STORED, state=EffectState.OPEN, again=True), Step.OPEN),
        (replace(STORED, state=EffectState.OPEN, connection="sandbox"), Step.TELL),
    ],
)
def test_a_repeat_goes_by_what_is_stored(standing: Standing, expected: Step) -> None:
    assert step(standing, verdict=Verdict.DENY) is expected


@pytest.mark.parametrize(
    "standing",
    [
        replace(STORED, state=EffectState.DONE),
        replace(STORED, state=EffectState.FAILED),
        replace(STORED, state=EffectState.OPEN, connection="sandbox"),
        replace(STORED, state=EffectState.OPEN, again=True),
        replace(STORED, state=EffectState.ASKED, decision=Decision.APPROVED),
        replace(STORED, state=EffectState.ASKED, expires_at=START),
        replace(STORED, state=EffectState.UNKNOWN, again=True),
    ],
)
def test_a_decision_is_good_once_and_only_where_one_is_asked_for(standing: Standing) -> None:
    with pytest.raises(Conflict) as caught:
        decide(standing, SHOWN, at=START)
    assert caught.value.code == "already_decided"


def test_what_is_under_way_cannot_be_decided_about_and_what_nobody_is_at_can() -> None:
    left = replace(STORED, state=EffectState.OPEN)
    with pytest.raises(Conflict):
        decide(left, SHOWN, at=START, under_way=True)
    decide(left, SHOWN, at=START)


def test_what_broke_off_can_be_decided_about_as_long_as_nobody_has() -> None:
    decide(replace(STORED, state=EffectState.UNKNOWN, expires_at=START), SHOWN, at=LATER)


@pytest.mark.parametrize("state", [EffectState.ASKED, EffectState.UNKNOWN])
@pytest.mark.parametrize("wrong", [{"kind": "read"}, {"attempts": 0}, {"attempts": 2}, {"kind": "", "attempts": 1}])
def test_who_was_shown_something_harmless_has_decided_nothing(state: EffectState, wrong: dict[str, object]) -> None:
    attempts = 0 if state is EffectState.ASKED else 1
    standing = replace(STORED, state=state, kind="destroy", attempts=attempts)
    told: dict[str, Any] = {"hash": "h", "kind": "destroy", "attempts": attempts}
    decide(standing, Shown(**told), at=START)
    lies = told | wrong if wrong != {"attempts": attempts} else told | {"attempts": 7}
    with pytest.raises(Conflict) as caught:
        decide(standing, Shown(**lies), at=START)
    assert caught.value.code == "altered"


@pytest.mark.parametrize("state", [EffectState.ASKED, EffectState.UNKNOWN])
def test_a_decision_must_name_the_bytes_that_were_shown(state: EffectState) -> None:
    decide(replace(STORED, state=state), SHOWN, at=START)
    with pytest.raises(Conflict) as caught:
        decide(replace(STORED, state=state), Shown(hash="other"), at=START)
    assert caught.value.code == "stale_hash"


@given(st.sampled_from(EffectState), st.sampled_from(EffectState))
def test_an_effect_settles_only_along_the_state_table(before: EffectState, after: EffectState) -> None:
    standing = replace(STORED, state=before, connection="sandbox")
    allowed = after in EFFECT_TRANSITIONS.get(before, frozenset()) and after is not EffectState.OPEN
    if before is after:
        assert settled(standing, after) is False
    elif allowed:
        assert settled(standing, after) is True
    else:
        with pytest.raises(BadTransition):
            settled(standing, after)


def grants(**tools: Verdict) -> Grants:
    named = {tool.replace("__", "."): verdict for tool, verdict in tools.items()}
    return Grants(tenant="ten_1", agent="agt_1", version="ver_1", model="m", tools=named)


@pytest.mark.parametrize(
    ("connection", "operation", "expected"),
    [
        ("sandbox", "shell", Verdict.ALLOW),
        ("sandbox", "delete_file", Verdict.ASK),
        ("sandbox", "write_file", Verdict.DENY),
        ("mail", "send", Verdict.ASK),
        ("mail", "read", Verdict.DENY),
        ("shell", "shell", Verdict.DENY),
        ("sandbox", "list_files", Verdict.DENY),
    ],
)
def test_what_no_grant_names_is_denied(connection: str, operation: str, expected: Verdict) -> None:
    published = grants(shell=Verdict.ALLOW, delete_file=Verdict.ASK, mail__send=Verdict.ASK, list_files=Verdict.DENY)
    assert judge(published, connection=connection, operation=operation) is expected
    assert judge(None, connection=connection, operation=operation) is Verdict.DENY


@pytest.mark.parametrize("tool", ["", ".", "mail.", ".send", "sandbox.shell", "mail", "rm"])
def test_a_tool_that_cannot_exist_is_invalid(tool: str) -> None:
    with pytest.raises(Invalid):
        target(tool)
