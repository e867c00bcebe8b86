"""Sessions: what the cookie is, when it counts, and that nothing is left open once it does not."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert, update

from freehold.core.people import MemberState, Person, PersonState, PlatformRole, Role, SignIn
from freehold.core.tenants import Tenant
from freehold.store.people import member_table, person_table
from freehold.store.sessions import session_table
from freehold.tenants.marks import mark_of
from freehold.tenants.sealing import Seal
from freehold.tenants.sessions import hashed
from freehold.web.cookies import BROWSER
from freehold.web.head import COOKIE
from freehold.web.lapsing import lapse
from tests.crowd import changed, member, person, signed_in
from tests.webs import ADDRESS, OPERATOR, Web, bearer, client, made

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
NONCE = "n" * 43
ME = "/api/v1/me"


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def ada(web: Web) -> Person:
    return person(web, "ada@example.com", name="Ada")


@pytest.fixture
def acme(web: Web) -> Tenant:
    return web.tenant("acme")


@pytest.fixture
def asking(web: Web) -> Iterator[TestClient]:
    with client(web, key=None) as one:
        yield one


def sign_in(web: Web, asking: TestClient, who: Person, session: str = "") -> Any:
    """Sign in as people do, in a browser that may still show another session."""
    cookie = f"{BROWSER}={NONCE}" + (f"; {COOKIE}={session}" if session else "")
    web.clock.wind(2 * MINUTE)
    asking.post("/api/v1/login/code", json={"email": who.email}, headers={"Cookie": cookie})
    code = re.findall(r"\b[0-9]{8}\b", web.gateway.mails[-1]["text"])[0]
    return asking.post("/api/v1/login", json={"email": who.email, "code": code}, headers={"Cookie": cookie})


def value_in(answer: Any) -> str:
    (cookie,) = [line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{COOKIE}=")]
    return str(cookie.partition("=")[2].partition(";")[0])


def shown(value: str) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={value}", "Origin": f"http://{ADDRESS}"}


def status(asking: TestClient, headers: dict[str, str], path: str = ME) -> int:
    return asking.get(path, headers=headers).status_code


def test_the_cookie_keeps_to_this_host_to_a_safe_way_and_out_of_scripts(
    web: Web, asking: TestClient, ada: Person
) -> None:
    answer = sign_in(web, asking, ada)
    for line in answer.headers.get_list("set-cookie"):
        name, _, rest = line.partition("=")
        attributes = {part.strip().lower() for part in rest.split(";")[1:]}
        assert name.startswith("__Host-")
        assert {"httponly", "secure", "samesite=lax", "path=/"} <= attributes
        assert not any(attribute.startswith("domain") for attribute in attributes)
    assert answer.headers["cache-control"] == "no-store"
    assert len(value_in(answer)) == 43


def test_what_the_cookie_holds_is_kept_nowhere(web: Web, asking: TestClient, ada: Person) -> None:
    value = value_in(sign_in(web, asking, ada))
    assert value not in asking.get(ME, headers=shown(value)).text
    for file in web.state.settings.data.rglob("freehold.db*"):
        assert value.encode() not in file.read_bytes()


def test_a_cookie_that_somebody_was_made_to_show_is_never_taken_on(web: Web, asking: TestClient, ada: Person) -> None:
    planted = "p" * 43
    value = value_in(sign_in(web, asking, ada, session=planted))
    assert value != planted
    assert (status(asking, shown(planted)), status(asking, shown(value))) == (401, 200)


def test_whoever_signs_in_leaves_the_session_they_were_in(web: Web, asking: TestClient, ada: Person) -> None:
    first = value_in(sign_in(web, asking, ada))
    second = value_in(sign_in(web, asking, ada, session=first))
    assert (status(asking, shown(first)), status(asking, shown(second))) == (401, 200)


def test_a_session_in_use_lasts_a_week(web: Web, asking: TestClient, ada: Person) -> None:
    browser = signed_in(web, ada)
    for _ in range(13):
        web.clock.wind(12 * HOUR - MINUTE)
        assert status(asking, browser) == 200
    web.clock.wind(12 * HOUR - MINUTE + 14 * MINUTE)
    assert status(asking, browser) == 401


def test_a_session_nobody_uses_lasts_half_a_day(web: Web, asking: TestClient, ada: Person) -> None:
    browser = signed_in(web, ada)
    web.clock.wind(12 * HOUR)
    assert status(asking, browser) == 401


@pytest.mark.parametrize("over", [12 * HOUR, 8 * DAY])
def test_a_clock_that_is_set_back_makes_no_session_good_again(
    web: Web, asking: TestClient, ada: Person, over: float
) -> None:
    browser = signed_in(web, ada)
    web.clock.wind(over)
    lapse(web.state)
    web.clock.wind(-over)
    assert status(asking, browser) == 401


def test_that_it_is_in_use_is_written_down_once_a_minute(web: Web, asking: TestClient, ada: Person) -> None:
    browser, writes = signed_in(web, ada), 0
    seen = web.clock.now()
    for _ in range(6):
        web.clock.wind(MINUTE / 2)
        asking.get(ME, headers=browser)
        with web.state.store.read() as platform:
            (session,) = platform.sessions.of(ada.id)
        writes += session.seen_at != seen
        seen = session.seen_at
    assert writes == 3


def test_signing_out_ends_the_session_and_clears_the_browser(web: Web, asking: TestClient, ada: Person) -> None:
    browser = signed_in(web, ada)
    answer = asking.post("/api/v1/logout", headers=browser)
    assert answer.status_code == 204
    assert "cookies" in answer.headers["clear-site-data"]
    assert all("Max-Age=0" in line for line in answer.headers.get_list("set-cookie"))
    assert status(asking, browser) == 401


def test_people_see_and_end_their_own_sessions_and_nobody_elses(web: Web, asking: TestClient, ada: Person) -> None:
    here, there, eves = signed_in(web, ada), signed_in(web, ada), signed_in(web, person(web))
    listed = asking.get("/api/v1/sessions", headers=here).json()["items"]
    assert [session["current"] for session in listed] == [False, True]
    path = f"/api/v1/sessions/{listed[0]['id']}"
    foreign = asking.delete(path, headers=eves)
    missing = asking.delete("/api/v1/sessions/ses_none", headers=eves)
    assert (foreign.status_code, foreign.json()) == (404, missing.json())
    assert asking.delete(path, headers=here).status_code == 204
    assert [status(asking, browser) for browser in (here, there, eves)] == [200, 401, 200]


def test_all_but_this_session_end_at_once(web: Web, asking: TestClient, ada: Person) -> None:
    here, *others = [signed_in(web, ada) for _ in range(4)]
    assert asking.delete("/api/v1/sessions", headers=here).status_code == 204
    assert [status(asking, browser) for browser in (here, *others)] == [200, 401, 401, 401]


def test_an_operator_signs_somebody_out_everywhere(web: Web, asking: TestClient, ada: Person) -> None:
    browser = signed_in(web, ada)
    for name in (ada.id, ada.email):
        answer = asking.delete(f"/api/v1/people/{name}/sessions", headers=bearer(OPERATOR))
        assert answer.status_code == 204
    assert status(asking, browser) == 401
    missing = asking.delete("/api/v1/people/nobody@example.com/sessions", headers=bearer(OPERATOR))
    assert missing.status_code == 404


def test_what_was_ended_stays_ended_after_a_restart(web: Web, asking: TestClient, ada: Person, tmp_path: Path) -> None:
    ended, kept = signed_in(web, ada), signed_in(web, ada)
    asking.post("/api/v1/logout", headers=ended)
    with client(made(tmp_path), key=None) as again:
        assert [status(again, browser) for browser in (ended, kept)] == [401, 200]


def test_a_closed_person_is_signed_in_nowhere(web: Web, asking: TestClient, ada: Person) -> None:
    browser = signed_in(web, ada)
    closed = replace(ada, state=PersonState.CLOSED)
    with web.state.store.write() as platform:
        platform.people.save(replace(closed, seal=mark_of(web.state.seal, closed)))
    assert status(asking, browser) == 401


def test_a_role_counts_from_the_next_request_on(web: Web, asking: TestClient, ada: Person, acme: Tenant) -> None:
    member(web, acme, Role.OWNER, ada)
    browser = signed_in(web, ada)
    assert status(asking, browser, "/api/v1/tenants/acme/keys") == 200
    changed(web, acme, ada, role=Role.MEMBER)
    assert status(asking, browser, "/api/v1/tenants/acme/keys") == 403
    changed(web, acme, ada, state=MemberState.SUSPENDED)
    assert status(asking, browser, "/api/v1/tenants/acme/runs") == 404


def test_who_writes_the_database_makes_no_session_no_role_and_no_operator(
    web: Web, asking: TestClient, ada: Person, acme: Tenant
) -> None:
    browser, value, at = signed_in(web, ada), "v" * 43, web.clock.now()
    member(web, acme, Role.VIEWER, ada)
    forged: dict[str, Any] = {
        "id": "ses_forged", "person": ada.id, "way": SignIn.PASSKEY, "hash": hashed(value), "strong": True, "client": "",
        "address": "", "created_at": at, "seen_at": at, "expires_at": at.replace(year=2030),
    }  # fmt: skip
    mark = Seal("of a worker").mark("session", id="ses_forged", person=ada.id)
    with web.state.store.write() as platform:
        platform.connection.execute(insert(session_table).values(forged | {"seal": mark}))
        platform.connection.execute(update(member_table).values(role=Role.OWNER))
    assert status(asking, shown(value)) == 401
    assert status(asking, browser, "/api/v1/tenants/acme/runs") == 404
    with web.state.store.write() as platform:
        platform.connection.execute(update(person_table).values(platform_role=PlatformRole.OPERATOR))
    assert status(asking, browser) == 401


def test_a_session_cannot_be_given_more_time_in_the_database(web: Web, asking: TestClient, ada: Person) -> None:
    browser = signed_in(web, ada)
    with web.state.store.write() as platform:
        platform.connection.execute(update(session_table).values(expires_at=web.clock.now().replace(year=2030)))
    assert status(asking, browser) == 401


@pytest.mark.parametrize(("strong", "expected"), [(True, 200), (False, 403)])
def test_where_passkeys_are_demanded_a_code_makes_no_operator(tmp_path: Path, *, strong: bool, expected: int) -> None:
    web = made(tmp_path, operator_passkey=True)
    browser = signed_in(web, person(web, platform_role=PlatformRole.OPERATOR), strong=strong)
    with client(web, key=None) as asking:
        assert status(asking, browser) == 200
        assert status(asking, browser, "/api/v1/usage") == expected


def test_whoever_has_an_allowance_may_create_tenants_and_see_no_others(
    web: Web, asking: TestClient, acme: Tenant
) -> None:
    browser = signed_in(web, person(web, allowance=2))
    assert asking.get(ME, headers=browser).json()["scopes"] == ["provisioning:write"]
    assert status(asking, browser, f"/api/v1/tenants/{acme.slug}") == 404


def test_a_key_is_no_person(web: Web, asking: TestClient) -> None:
    answer = asking.get(ME, headers=bearer(OPERATOR))
    assert (answer.status_code, answer.json()["code"]) == (403, "not_a_person")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"http://{ADDRESS}.evil.example"])
def test_a_foreign_page_changes_nothing(web: Web, asking: TestClient, ada: Person, origin: str) -> None:
    browser = signed_in(web, ada)
    answers = [asking.post("/api/v1/logout", headers=browser | {"Origin": origin})]
    answers.append(asking.post("/api/v1/login/code", json={"email": ada.email}, headers={"Origin": origin}))
    bare = {"Cookie": browser["Cookie"]}
    answers.append(asking.post("/api/v1/logout", headers=bare))
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert status(asking, browser) == 200


def test_people_change_what_is_theirs_to_change(web: Web, asking: TestClient, ada: Person, acme: Tenant) -> None:
    member(web, acme, Role.ADMIN, ada)
    browser = signed_in(web, ada)
    wanted = {"name": "Ada L.", "time_zone": "Europe/Berlin", "language": "de-AT"}
    answer = asking.patch(ME, json=wanted, headers=browser).json()
    assert {name: answer[name] for name in wanted} == wanted
    assert [(place["slug"], place["role"]) for place in answer["tenants"]] == [("acme", "admin")]
    assert "agents:write" in answer["tenants"][0]["scopes"]
    assert asking.get(ME, headers=browser).json() == answer


@pytest.mark.parametrize(
    "wanted",
    [{"time_zone": "Mars/Olympus"}, {"time_zone": "../../etc/passwd"}, {"language": "?"}, {"email": "e@x.org"}],
)
def test_what_makes_no_sense_about_oneself_is_refused(
    web: Web, asking: TestClient, ada: Person, wanted: dict[str, str]
) -> None:
    assert asking.patch(ME, json=wanted, headers=signed_in(web, ada)).status_code == 422
