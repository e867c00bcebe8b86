"""An account that ran out is told to its owners and to whoever connected it: once, in their language, with the way on."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import Unavailable
from freehold.core.people import MemberState, PersonState, PlatformRole, Role
from freehold.core.tenants import Tenant
from freehold.web.watching import Seen, look
from tests import crowd
from tests.journey.test_connecting import connected
from tests.webs import ADDRESS, Web, client, made


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def acme(web: Web) -> Tenant:
    return web.tenant("acme")


def ran_out(web: Web, tenant: Tenant | None, what: str = "expired", **told: Any) -> None:
    """Let the gateway have something to say about an account."""
    warning = {"id": f"wrn_{len(web.gateway.account_warnings)}", "tenant": tenant.id if tenant else None}
    warning |= {"connection": "crm", "what": what, "account": "mira@provider.example", "connected_by": "operator"}
    web.gateway.account_warnings.append(warning | {"expires_at": 1_767_441_600_000} | told)


def to(web: Web) -> list[str]:
    return sorted(mail["to"] for mail in web.gateway.mails)


async def test_owners_and_whoever_connected_it_are_told_once(web: Web, acme: Tenant) -> None:
    people = {role: crowd.person(web, f"{role}@acme.example") for role in Role}
    for role, person in people.items():
        crowd.member(web, acme, role, person)
    mira = crowd.member(web, acme, Role.ADMIN, crowd.person(web, "mira@acme.example"))
    crowd.member(web, web.tenant("other"), Role.OWNER, crowd.person(web, "owner@other.example"))
    crowd.member(web, acme, Role.OWNER, crowd.person(web, "out@acme.example"), state=MemberState.SUSPENDED)
    crowd.member(web, acme, Role.OWNER, crowd.person(web, "closed@acme.example", state=PersonState.CLOSED))
    ran_out(web, acme, connected_by=f"person:{mira.id}")
    seen = Seen()
    await look(web.state, seen)
    assert to(web) == ["mira@acme.example", "owner@acme.example"]
    assert web.gateway.account_warnings == []
    web.clock.wind(600)
    await look(web.state, seen)
    assert len(to(web)) == 2


async def test_who_connected_it_and_left_is_not_told(web: Web, acme: Tenant) -> None:
    gone = crowd.person(web, "gone@acme.example")
    crowd.member(web, acme, Role.OWNER, crowd.person(web, "owner@acme.example"))
    ran_out(web, acme, connected_by=f"person:{gone.id}")
    await look(web.state, Seen())
    assert to(web) == ["owner@acme.example"]


async def test_the_mail_leads_to_the_page_where_it_is_connected_anew(web: Web, acme: Tenant) -> None:
    connected(web, acme.id)
    owner = crowd.member(web, acme, Role.OWNER)
    ran_out(web, acme)
    await look(web.state, Seen())
    (mail,) = web.gateway.mails
    assert mail["subject"] == "acme: sign crm in again"
    assert "The account (mira@provider.example) that the connection crm of acme uses" in mail["text"]
    assert "freehold connection connect crm --tenant acme" in mail["text"]
    found = re.search(rf"http://{re.escape(ADDRESS)}(/connect/\S+)", mail["text"])
    assert found
    web.clock.wind(13 * 86_400)
    with client(web, None) as browser:
        shown = browser.get(found[1], headers=crowd.signed_in(web, owner))
    assert "it has to be connected" in shown.text


async def test_one_that_will_run_out_says_when(web: Web, acme: Tenant) -> None:
    crowd.member(web, acme, Role.OWNER, crowd.person(web, language="de"))
    crowd.member(web, acme, Role.OWNER)
    ran_out(web, acme, what="expires", account="two\nlines")
    await look(web.state, Seen())
    german, english = sorted(web.gateway.mails, key=lambda mail: "signed in" in mail["subject"])
    assert english["subject"] == "acme: crm has to be signed in again by 2026-01-03 12:00 UTC"
    assert german["subject"] == "acme: crm bis 2026-01-03 12:00 UTC neu anmelden"
    assert "(two lines)" in english["text"]


async def test_of_the_platforms_own_operators_are_told(web: Web, acme: Tenant) -> None:
    crowd.member(web, acme, Role.OWNER)
    crowd.person(web, "operator@example.com", platform_role=PlatformRole.OPERATOR)
    ran_out(web, None)
    await look(web.state, Seen())
    (mail,) = web.gateway.mails
    assert (mail["to"], mail["subject"]) == ("operator@example.com", "The platform: sign crm in again")
    assert "freehold connection connect crm --platform" in mail["text"]


async def test_of_a_tenant_that_is_gone_nobody_is_told(web: Web, acme: Tenant) -> None:
    ran_out(web, replace(acme, id="ten_none"))
    await look(web.state, Seen())
    assert (web.gateway.mails, web.gateway.account_warnings) == ([], [])


async def test_a_gateway_that_goes_away_in_between_is_asked_again(
    web: Web, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd.member(web, acme, Role.OWNER)
    ran_out(web, acme)
    seen = Seen()

    async def away(**mail: Any) -> None:
        raise Unavailable("The gateway is away.", code="gateway_away")

    monkeypatch.setattr(web.gateway, "send_mail", away)
    with pytest.raises(Unavailable):
        await look(web.state, seen)
    monkeypatch.undo()
    assert len(web.gateway.account_warnings) == 1
    await look(web.state, seen)
    assert len(web.gateway.mails) == 1
    assert web.gateway.account_warnings == []
