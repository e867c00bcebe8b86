"""A limit that is neared is told to those who can do something about it: once, in their language, whatever dies between."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import Unavailable
from freehold.core.ids import Ids
from freehold.core.money import NANO
from freehold.core.people import MemberState, PersonState, PlatformRole, Role
from freehold.core.tenants import Tenant
from freehold.web.warning import since
from freehold.web.watching import Seen, look
from tests import crowd
from tests.webs import Web, made


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def acme(web: Web) -> Tenant:
    return web.tenant("acme")


@pytest.fixture
def seen() -> Seen:
    return Seen()


def neared(web: Web, tenant: Tenant, percent: int = 80, scope: str = "tenant", **told: Any) -> str:
    """Let the gateway note that a mark was passed."""
    warning = {
        "id": web.state.ids("wrn"),
        "tenant": tenant.id,
        "scope": scope,
        "subject": "",
        "period": "month",
        "window": "2026-01",
        "percent": percent,
        "spent_nano": percent * NANO // 10,
        "limit_nano": 10 * NANO,
        "at": 0,
    }
    web.gateway.warned.append(warning | told)
    return str(warning["id"])


def to(web: Web) -> list[str]:
    return sorted(mail["to"] for mail in web.gateway.mails)


async def test_owners_and_admins_are_told_and_nobody_else(web: Web, acme: Tenant, seen: Seen) -> None:
    people = {role: crowd.person(web, f"{role}@acme.example") for role in Role}
    for role, person in people.items():
        crowd.member(web, acme, role, person)
    crowd.member(web, web.tenant("other"), Role.OWNER, crowd.person(web, "owner@other.example"))
    crowd.member(web, acme, Role.OWNER, crowd.person(web, "out@acme.example"), state=MemberState.SUSPENDED)
    crowd.member(web, acme, Role.OWNER, crowd.person(web, "closed@acme.example", state=PersonState.CLOSED))
    crowd.person(web, "operator@example.com", platform_role=PlatformRole.OPERATOR)
    neared(web, acme)
    await look(web.state, seen)
    assert to(web) == ["admin@acme.example", "owner@acme.example"]


@pytest.mark.parametrize("scope", ["tier", "credit"])
async def test_of_what_is_the_operators_operators_are_told_too(web: Web, acme: Tenant, seen: Seen, scope: str) -> None:
    crowd.member(web, acme, Role.OWNER, crowd.person(web, "owner@acme.example"))
    crowd.person(web, "operator@example.com", platform_role=PlatformRole.OPERATOR)
    neared(web, acme, scope=scope)
    await look(web.state, seen)
    assert to(web) == ["operator@example.com", "owner@acme.example"]


async def test_an_operator_who_owns_the_tenant_is_told_once(web: Web, acme: Tenant, seen: Seen) -> None:
    both = crowd.person(web, "both@example.com", platform_role=PlatformRole.OPERATOR)
    crowd.member(web, acme, Role.OWNER, both)
    neared(web, acme, scope="tier")
    await look(web.state, seen)
    assert to(web) == ["both@example.com"]


@pytest.mark.parametrize(
    ("language", "subject", "words"),
    [
        ("en", "acme: 80 % of its budget is spent", ["8.00 of 10.00 US dollars", "this month", "Work goes on"]),
        (
            "de-AT",
            "acme: 80 % verbraucht (das Budget)",
            ["8,00 von 10,00 US-Dollar", "Monat", "Die Arbeit geht weiter"],
        ),
    ],
)
async def test_each_reads_it_in_their_own_language(
    web: Web, acme: Tenant, seen: Seen, language: str, subject: str, words: list[str]
) -> None:
    crowd.member(web, acme, Role.OWNER, crowd.person(web, language=language))
    neared(web, acme)
    await look(web.state, seen)
    (mail,) = web.gateway.mails
    assert mail["subject"] == subject
    for word in words:
        assert word in mail["text"], mail["text"]


async def test_at_the_whole_of_it_people_are_told_what_stops(web: Web, acme: Tenant, seen: Seen) -> None:
    crowd.member(web, acme, Role.OWNER)
    agent = web.agent(acme)
    neared(web, acme, 100, "agent", subject=agent.id, period="day", window="2026-01-01")
    await look(web.state, seen)
    (mail,) = web.gateway.mails
    assert mail["subject"] == "acme: 100 % of the budget of the agent helper is spent"
    assert "refused now" in mail["text"]
    assert "today" in mail["text"]


async def test_of_marks_that_are_passed_at_once_the_highest_is_told(web: Web, acme: Tenant, seen: Seen) -> None:
    crowd.member(web, acme, Role.OWNER)
    for percent in (50, 80, 100):
        neared(web, acme, percent)
    await look(web.state, seen)
    assert [mail["subject"].split()[1] for mail in web.gateway.mails] == ["100"]


async def test_nobody_is_told_twice(web: Web, acme: Tenant, seen: Seen) -> None:
    crowd.member(web, acme, Role.OWNER)
    neared(web, acme, 50)
    await look(web.state, seen)
    await look(web.state, seen)
    assert len(web.gateway.mails) == 1
    neared(web, acme, 80)
    await look(web.state, seen)
    assert len(web.gateway.mails) == 2


async def test_who_begins_anew_asks_again_under_the_same_keys(web: Web, acme: Tenant) -> None:
    crowd.member(web, acme, Role.OWNER)
    neared(web, acme)
    for _ in range(2):
        await look(web.state, Seen())
    first, second = (mail["key"] for mail in web.gateway.mails)
    assert first == second  # the gateway sends one of them


async def test_what_is_long_past_is_left_alone(web: Web, acme: Tenant, seen: Seen) -> None:
    crowd.member(web, acme, Role.OWNER)
    neared(web, acme)
    web.clock.wind(3 * 86_400)
    await look(web.state, seen)
    assert web.gateway.mails == []


async def test_a_gateway_that_goes_away_in_between_is_asked_for_all_of_it_again(
    web: Web, acme: Tenant, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd.member(web, acme, Role.OWNER)
    neared(web, acme)

    async def away(**_mail: Any) -> None:
        raise Unavailable("It is away.", code="gateway_away")

    with monkeypatch.context() as patched:
        patched.setattr(web.gateway, "send_mail", away)
        with pytest.raises(Unavailable):
            await look(web.state, seen)
    await look(web.state, seen)
    assert len(web.gateway.mails) == 1


async def test_a_server_that_takes_no_mail_keeps_nobody_from_going_on(
    web: Web, acme: Tenant, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd.member(web, acme, Role.OWNER)
    last = neared(web, acme)

    async def refused(**_mail: Any) -> None:
        raise Unavailable("No mail server is set.", code="no_mail")

    monkeypatch.setattr(web.gateway, "send_mail", refused)
    await look(web.state, seen)
    assert seen.warned == last


async def test_limits_of_single_runs_are_shown_and_not_mailed(web: Web, acme: Tenant, seen: Seen) -> None:
    crowd.member(web, acme, Role.OWNER)
    neared(web, acme, scope="run", subject="run_1", period="ever", window="")
    await look(web.state, seen)
    assert web.gateway.mails == []


async def test_a_tenant_that_is_gone_has_nobody_to_tell(web: Web, acme: Tenant, seen: Seen) -> None:
    neared(web, replace(acme, id="ten_gone"))
    await look(web.state, seen)
    assert web.gateway.mails == []


def test_ids_of_the_last_days_are_behind_where_somebody_begins(web: Web) -> None:
    now = web.clock.now()
    assert since(now) < Ids(lambda: now)("wrn")
    web.clock.wind(3 * 86_400)
    assert since(web.clock.now()) > Ids(lambda: now)("wrn")
