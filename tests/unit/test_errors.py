"""An error crosses a process boundary and stays the same kind."""

import pytest

from freehold.core.errors import (
    KINDS,
    BadTransition,
    Exhausted,
    FreeholdError,
    Unavailable,
    from_problem,
    to_problem,
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_survives_the_way_over_http(kind: type[FreeholdError]) -> None:
    error = kind("It went wrong.", code="some_code", remedy="Do this.")
    back = from_problem(error.status, to_problem(error))
    assert type(back) is kind
    assert to_problem(back) == to_problem(error)


def test_an_unavailable_says_when_to_ask_again() -> None:
    back = from_problem(503, to_problem(Unavailable("away", after=7)), after=7)
    assert isinstance(back, Unavailable)
    assert back.after == 7


def test_a_status_of_its_own_is_kept() -> None:
    full = Exhausted("no room", code="disk_full", status=507)
    assert from_problem(507, to_problem(full)).status == 507


def test_an_illegal_arrow_names_state_and_event() -> None:
    problem = to_problem(BadTransition("run", "done", "cancel"))
    assert problem["status"] == 409
    assert problem["code"] == "bad_transition"
    assert "done" in str(problem["detail"])
    assert "cancel" in str(problem["detail"])


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_tells_programs_besides_is_kept(kind: type[FreeholdError]) -> None:
    error = kind("It went wrong.")
    error.facts = {"quota": "agents", "limit": 3.0, "used": 3}
    back = from_problem(error.status, to_problem(error))
    assert to_problem(back) == to_problem(error)


@pytest.mark.parametrize("status", [418, 500, 302])
def test_an_answer_nobody_expected_is_still_an_error(status: int) -> None:
    assert isinstance(from_problem(status, {}), FreeholdError)
