"""What people do in a browser: claim, sign in by code, decide, end sessions; with no script running."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from starlette.testclient import TestClient

from freehold.core.access import ROLES
from freehold.core.approvals import Approval
from freehold.core.people import Person, Role
from freehold.core.tenants import Caller, Tenant
from freehold.tenants import inviting
from freehold.tenants.inviting import Invited
from freehold.web.building import build
from tests import crowd
from tests.browser.conftest import LINK
from tests.browser.serving import served
from tests.platforms import until
from tests.webs import OPERATOR, Web

Window = Callable[..., BrowserContext]
Place = tuple[Web, str]


def code_in(web: Web) -> str:
    """Return the code of the newest mail, once it has gone out: it does behind the answer."""
    newest = until(lambda: web.gateway.mails[-1:], why="a mail")
    [code] = re.findall(r"\b\d{4} ?\d{4}\b", newest[0]["text"])
    return str(code)


def sign_in(page: Page, web: Web, base: str, email: str, *, start: str = "/sign-in") -> None:
    web.gateway.mails.clear()
    page.goto(base + start)
    page.get_by_label("E-mail").fill(email)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=re.compile(r"code", re.IGNORECASE))).to_be_visible()
    page.locator("#code").fill(code_in(web))
    page.keyboard.press("Enter")


def somebody(web: Web, tenant: Tenant, role: Role = Role.MEMBER) -> Person:
    return crowd.member(web, tenant, role, crowd.person(web, "ada@example.com", name="Ada Berg"))


def question(web: Web, base: str, tenant: Tenant) -> Approval:
    web.agent(tenant)
    asking = TestClient(build(web.state), base_url=base, headers={"Authorization": f"Bearer {OPERATOR}"})
    told = asking.post(f"/api/v1/tenants/{tenant.slug}/agents/helper/messages", json={"text": "do"})
    return web.ask(tenant, told.json()["run"]["id"])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_somebody_signs_in_by_code_on_a_plain_loopback_address(window: Window, tmp_path: Path, host: str) -> None:
    with served(tmp_path, host=host) as (web, base):
        somebody(web, web.tenant("acme"))
        context = window()
        page = context.new_page()
        sign_in(page, web, base, "Ada@Example.com")
        expect(page.get_by_role("heading", name="Ada Berg")).to_be_visible()
        expect(page).to_have_url(f"{base}/account")
        [cookie] = [one for one in context.cookies() if one["name"] == "__Host-freehold"]
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, True, "Lax", "/")
        page.goto(base)
        expect(page.get_by_text("acme")).to_be_visible()


def test_a_wrong_code_is_refused_kindly_and_the_right_one_still_works(window: Window, place: Place) -> None:
    web, base = place
    somebody(web, web.tenant("acme"))
    page = window().new_page()
    page.goto(f"{base}/sign-in")
    page.get_by_label("E-mail").fill("ada@example.com")
    page.keyboard.press("Enter")
    page.get_by_label("Code").fill("00000000" if code_in(web) != "00000000" else "11111111")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("This code does not open anything")).to_be_visible()
    field = page.get_by_label("Code")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill(code_in(web))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Ada Berg")).to_be_visible()


def test_an_address_that_nobody_has_is_answered_the_same(window: Window, place: Place) -> None:
    web, base = place
    somebody(web, web.tenant("acme"))
    told = []
    for email in ("ada@example.com", "eve@example.com"):
        page = window().new_page()
        page.goto(f"{base}/sign-in")
        page.get_by_label("E-mail").fill(email)
        page.keyboard.press("Enter")
        expect(page.get_by_label("Code")).to_be_visible()
        told.append(page.content().replace(email, ""))
    assert told[0] == told[1]
    until(lambda: len(web.gateway.mails) == 2, why="the second mail")
    assert [mail["decoy"] for mail in web.gateway.mails] == [False, True]


def test_whoever_follows_a_link_signs_in_and_lands_there(window: Window, place: Place) -> None:
    web, base = place
    tenant = web.tenant("acme")
    somebody(web, tenant)
    asked = question(web, base, tenant)
    page = window().new_page()
    sign_in(page, web, base, "ada@example.com", start=f"/approve/{asked.id}")
    expect(page).to_have_url(f"{base}/approve/{asked.id}")
    expect(page.get_by_text("delete_file", exact=True)).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", name="Approved")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("You approved this on")
    expect(page.get_by_role("button", name="Deny")).to_have_count(0)
    assert web.gateway.decided == {asked.key: True}


def test_a_session_that_is_ended_elsewhere_is_over(window: Window, place: Place) -> None:
    web, base = place
    somebody(web, web.tenant("acme"))
    phone, desk = window().new_page(), window().new_page()
    sign_in(phone, web, base, "ada@example.com")
    web.clock.wind(90)
    sign_in(desk, web, base, "ada@example.com")
    expect(desk.get_by_text("this browser")).to_have_count(1)
    desk.get_by_role("button", name="End the session").click()
    expect(desk.get_by_role("button", name="End the session")).to_have_count(0)
    phone.goto(f"{base}/account")
    expect(phone.get_by_role("heading", name="Sign in")).to_be_visible()
    desk.get_by_role("button", name="Sign out").click()
    expect(desk.get_by_text("You are signed out.")).to_be_visible()
    desk.goto(f"{base}/account")
    expect(desk.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_first_operator_claims_with_the_link_once(window: Window, place: Place) -> None:
    _, base = place
    page = window().new_page()
    page.goto(f"{base}/claim?token={LINK}")
    page.get_by_role("button", name="Become the operator").click()
    expect(page.get_by_label("Your name")).to_be_focused()
    page.get_by_label("Your name").fill("Mira Hansen")
    page.get_by_label("E-mail").fill("mira@example.com")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Mira Hansen")).to_be_visible()
    expect(page.get_by_text("Platform operator")).to_be_visible()
    other = window().new_page()
    other.goto(f"{base}/claim?token={LINK}")
    expect(other.get_by_role("heading", name="This platform has an operator")).to_be_visible()


def test_a_link_that_is_not_whole_claims_nothing(window: Window, place: Place) -> None:
    web, base = place
    page = window().new_page()
    page.goto(f"{base}/claim?token={LINK[:-1]}")
    expect(page.get_by_role("heading", name="This link does not open anything")).to_be_visible()
    with web.state.store.read() as platform:
        assert platform.installation.claimed_at is None


def invited(web: Web, tenant: Tenant, email: str) -> Invited:
    owner = crowd.member(web, tenant, Role.OWNER, crowd.person(web, name="Jonas Kraft"))
    by = Caller(actor=f"person:{owner.id}", person=owner.id, within={tenant.id: ROLES["owner"]})
    with web.state.store.tenant(tenant.id).write() as scope:
        told: dict[str, Any] = {"seal": web.state.seal, "ids": web.state.ids, "clock": web.clock}
        return inviting.invite(scope, email=email, role=Role.MEMBER, days=7, by=by, **told)


def test_a_link_from_a_mail_makes_a_member_and_signs_them_in_once(window: Window, place: Place) -> None:
    web, base = place
    made = invited(web, web.tenant("acme"), "eve@example.com")
    page = window().new_page()
    page.goto(f"{base}/invite/{made.mailed}")
    expect(page.get_by_text("Jonas Kraft invites you.")).to_be_visible()
    expect(page.get_by_text("eve@example.com")).to_be_visible()
    page.reload()  # looking takes nothing
    page.get_by_role("button", name="Accept and sign in").click()
    expect(page).to_have_url(f"{base}/account")
    expect(page.get_by_text("acme")).to_be_visible()
    expect(page.get_by_text("Member", exact=True)).to_be_visible()
    other = window().new_page()
    other.goto(f"{base}/invite/{made.mailed}")
    expect(other.get_by_text("It was accepted already")).to_be_visible()


def test_with_a_link_that_was_passed_on_people_sign_in_before_they_accept(window: Window, place: Place) -> None:
    web, base = place
    made = invited(web, web.tenant("acme"), "eve@example.com")
    page = window().new_page()
    page.goto(f"{base}/invite/{made.token}")
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_text("Sign in with the address that was invited")).to_be_visible()
    sign_in(page, web, base, "eve@example.com", start=page.url.removeprefix(base))
    expect(page).to_have_url(f"{base}/invite/{made.token}")
    page.get_by_role("button", name="Accept").click()
    expect(page).to_have_url(f"{base}/account")
    expect(page.get_by_text("acme")).to_be_visible()


def test_somebody_else_cannot_take_the_place(window: Window, place: Place) -> None:
    web, base = place
    tenant = web.tenant("acme")
    made = invited(web, tenant, "eve@example.com")
    somebody(web, web.tenant("other"))
    page = window().new_page()
    sign_in(page, web, base, "ada@example.com")
    expect(page.get_by_role("heading", name="Ada Berg")).to_be_visible()
    page.goto(f"{base}/invite/{made.mailed}")
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_text("This invitation is for another address than yours.")).to_be_visible()


def test_an_invitation_that_never_was_is_told_as_such(window: Window, place: Place) -> None:
    _, base = place
    page = window().new_page()
    page.goto(f"{base}/invite/nonsense")
    expect(page.get_by_text("there never was such an invitation")).to_be_visible()
