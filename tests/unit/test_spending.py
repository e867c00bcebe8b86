"""What a run does whose money has run out: asks the person who waits for it, or ends."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from freehold.core.effects import EffectState
from freehold.core.errors import Exhausted, Invalid, Unavailable
from freehold.core.extending import Extension, most, wanted
from freehold.core.money import NANO, BudgetScope, Period
from freehold.core.runs import WaitsFor
from freehold.runs.endings import Done, Fail, Park
from freehold.testing.clock import START
from freehold.testing.segments import Died
from tests.turns import Set, set_up

AT = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
SPENT = "The budget of the tenant for the month is spent: $10.00."
KEY = "run_1/1/1/1"


def spent(scope: str = "tenant", subject: str = "", **facts: Any) -> Exhausted:
    error = Exhausted(SPENT, code="budget_exhausted", remedy="Raise it.", status=402)
    told = {"scope": scope, "subject": subject, "period": "month", "limit_nano": 10 * NANO, "left_nano": 0}
    error.facts = told | facts
    return error


def attended(played: Set, *, by_somebody: bool) -> Set:

    played.stage.run = replace(played.stage.run, attended=by_somebody)
    return played


async def test_a_run_that_somebody_attends_asks_whether_it_may_go_on() -> None:
    played = set_up([spent(), "Done after all."])
    ending = await played.stage.say("work")
    assert isinstance(ending, Park)
    assert ending.waits_for is WaitsFor.PERSON
    (question,) = ending.questions
    assert (question.key, question.connection, question.operation) == (KEY, "budget", "extend")
    window = f"{START:%Y-%m}"
    assert question.arguments == {"scope": "tenant", "subject": "", "period": "month", "window": window, "usd": 2}
    assert question.reason == SPENT


async def test_approved_the_same_question_is_asked_again_and_answered() -> None:
    played = set_up([spent(), "Done after all."])
    ending = await played.stage.say("work")
    played.gateway.approve(KEY)
    assert await played.stage.resume(ending, approve=True) == Done("Done after all.")
    assert played.gateway.effects[KEY].state is EffectState.DONE
    assert played.gateway.performed == [KEY]
    first, second = played.gateway.asked
    assert first == second


@pytest.mark.parametrize("how", [{"approve": False}, {"expire": True}])
async def test_denied_or_unanswered_the_run_is_over_and_says_why(how: dict[str, bool]) -> None:
    played = set_up([spent()])
    ending = await played.stage.resume(await played.stage.say("work"), **how)
    assert isinstance(ending, Fail)
    assert ending.code == "budget_exhausted"
    assert SPENT in ending.message
    assert ending.remedy
    assert played.gateway.performed == []


async def test_a_second_limit_is_asked_about_by_itself() -> None:
    played = set_up([spent(), spent("agent", "agt_1"), "Done after all."])
    ending = await played.stage.say("work")
    played.gateway.approve(KEY)
    again = await played.stage.resume(ending, approve=True)
    assert isinstance(again, Park)
    (question,) = again.questions
    assert (question.key, question.arguments["scope"]) == ("run_1/2/1/1", "agent")
    played.gateway.approve(question.key)
    assert await played.stage.resume(again, approve=True) == Done("Done after all.")
    assert played.gateway.performed == [KEY, "run_1/2/1/1"]


async def test_what_was_approved_is_taken_up_even_after_an_outage_in_between() -> None:
    played = set_up([spent(), "Done after all."])
    ending = await played.stage.say("work")
    played.gateway.approve(KEY)
    played.gateway.away = [Unavailable("Paused.", code="effects_paused")]
    out = await played.stage.resume(ending, approve=True)
    assert isinstance(out, Park)
    assert out.waits_for is WaitsFor.OUTAGE
    assert await played.stage.resume(out) == Done("Done after all.")
    assert played.gateway.performed == [KEY]


async def test_what_was_taken_up_once_is_not_taken_up_in_every_later_segment() -> None:
    played = set_up([spent(), [("delete_file", {"path": "a"})], "Done."], tools={"delete_file": "ask"})
    ending = await played.stage.say("work")
    played.gateway.approve(KEY)
    asked = await played.stage.resume(ending, approve=True)
    assert await played.stage.resume(asked, approve=False) == Done("Done.")
    assert [key for key in played.stage.journal.begun if key.startswith(KEY)] == [KEY, f"{KEY}/2"]


async def test_a_run_that_nobody_attends_is_over_at_once() -> None:
    played = attended(set_up([spent()]), by_somebody=False)
    ending = await played.stage.say("work")
    assert ending == Fail("budget_exhausted", SPENT, "Raise it.")
    assert played.gateway.effects == {}


@pytest.mark.parametrize("by_somebody", [True, False])
async def test_money_that_others_only_hold_is_waited_for_and_nobody_is_asked(*, by_somebody: bool) -> None:
    busy = spent(retry_after=10.0)
    played = attended(set_up([busy, busy, "Done after all."]), by_somebody=by_somebody)
    assert await played.stage.say("work") == Done("Done after all.")
    assert played.gateway.effects == {}


@pytest.mark.parametrize("scope", ["tier", "credit", "nonsense"])
async def test_what_only_the_operator_can_raise_is_not_asked_for(scope: str) -> None:
    played = set_up([spent(scope)])
    assert isinstance(await played.stage.say("work"), Fail)
    assert played.gateway.effects == {}


@pytest.mark.parametrize("code", ["price_unknown", "credit_exhausted"])
async def test_other_reasons_to_refuse_money_end_the_run_with_their_own_words(code: str) -> None:
    played = set_up([Exhausted("No.", code=code, remedy="Do this.", status=402)])
    assert await played.stage.say("work") == Fail(code, "No.", "Do this.")


async def test_a_worker_that_dies_at_each_step_asks_once_and_extends_once() -> None:
    played = set_up([spent(), spent(), "Done after all."])
    stage = played.stage
    stage.journal.dies_at = KEY
    with pytest.raises(Died):
        await stage.say("work")
    ending = await stage.again()
    assert isinstance(ending, Park)
    played.gateway.approve(KEY)
    played.gateway.lines.pop(0)
    stage.journal.dies_at = f"{KEY}/2"
    with pytest.raises(Died):
        await stage.resume(ending, approve=True)
    assert await stage.again() == Done("Done after all.")
    assert played.gateway.performed == [KEY]


def test_a_fifth_of_the_limit_is_asked_for_and_a_dollar_at_least() -> None:
    assert [most(limit * NANO) for limit in (0, 1, 5, 10, 50, 1_000)] == [1, 1, 1, 2, 10, 200]


def test_a_limit_for_each_run_is_passed_by_this_one_alone() -> None:
    facts = {"scope": "run", "subject": "*", "period": "ever", "limit_nano": NANO}
    more = wanted(facts, run="run_7", at=AT)
    assert more == Extension(scope=BudgetScope.RUN, subject="run_7", period=Period.EVER, window="", usd=1)
    assert Extension.of(more.arguments()) == more


@pytest.mark.parametrize(
    "change",
    [{"usd": 0}, {"usd": -5}, {"usd": True}, {"usd": 1.5}, {"scope": "tier"}, {"scope": "credit"}, {"period": "year"},
     {"subject": "x" * 81}, {"window": "x" * 81}, {"further": 1}],
)  # fmt: skip
def test_what_means_no_extension_is_none(change: dict[str, Any]) -> None:
    good = {"scope": "tenant", "subject": "", "period": "day", "window": "2026-11-21", "usd": 1}
    with pytest.raises(Invalid):
        Extension.of(good | change)
