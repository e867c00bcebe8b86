"""Passkeys over HTTP: made by whoever is signed in, shown once, worth more than a mailbox."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from freehold.audit.database import table as audit_table
from freehold.core.people import Person, PersonState, PlatformRole
from freehold.store.ceremonies import Passkeys, passkey_table
from freehold.web.building import build
from freehold.web.head import COOKIE
from tests.authenticators import Device
from tests.crowd import person, signed_in
from tests.webs import Web, bearer, made

HOME = "https://agents.example.com"
Headers = dict[str, str]


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path, public_url=HOME)


@pytest.fixture
def ada(web: Web) -> Person:
    return person(web, "ada@example.com")


@contextmanager
def browser(web: Web) -> Iterator[TestClient]:
    """Give a browser on a page of ours, which keeps its cookies."""
    with TestClient(build(web.state), base_url=HOME, headers={"Origin": HOME}) as found:
        yield found


def session_of(web: Web, who: Person, **fields: Any) -> Headers:
    """Let somebody be signed in, by a code where nothing else is said."""
    return {"Cookie": signed_in(web, who, **{"strong": False} | fields)["Cookie"]}


def add(web: Web, headers: Headers, device: Device, name: str = "phone") -> Any:
    with browser(web) as here:
        begun = here.post("/api/v1/passkeys/challenge", headers=headers)
        if begun.status_code != 200:
            return begun
        body = {"credential": device.make(begun.json()), "name": name}
        return here.post("/api/v1/passkeys", headers=headers, json=body)


def device_of(web: Web, who: Person) -> Device:
    device = Device(origin=HOME)
    assert add(web, session_of(web, who), device).status_code == 201
    return device


def shown(here: TestClient, device: Device, **said: Any) -> Any:
    options = here.post("/api/v1/login/passkey/challenge").json()
    return here.post("/api/v1/login/passkey", json={"credential": device.show(options, **said)})


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def actions(web: Web) -> list[str]:
    with web.state.store.read() as platform:
        return list(platform.connection.execute(select(audit_table.c.action)).scalars())


def test_a_passkey_is_made_listed_shown_and_removed(web: Web, ada: Person) -> None:
    device = Device(origin=HOME)
    made_now = add(web, session_of(web, ada), device).json()
    assert made_now == {
        "id": made_now["id"],
        "name": "phone",
        "synced": False,
        "created_at": "2026-01-01T12:00:00.000Z",
        "used_at": None,
    }
    with browser(web) as here:
        told = shown(here, device)
        assert told.status_code == 200
        assert told.json()["person"] == ada.id
        listed = here.get("/api/v1/passkeys").json()["items"]
        assert [one["used_at"] for one in listed] == ["2026-01-01T12:00:00.000Z"]
        assert here.delete(f"/api/v1/passkeys/{made_now['id']}").status_code == 204
        assert here.get("/api/v1/passkeys").json()["items"] == []
        assert code_of(shown(here, device)) == (401, "bad_passkey")
    assert actions(web) == ["passkey.add", "person.sign_in", "passkey.remove", "person.sign_in_failed"]


def test_the_session_of_a_passkey_is_a_fresh_and_strong_one(web: Web, ada: Person) -> None:
    device = device_of(web, ada)
    before = session_of(web, ada)
    with browser(web) as here:
        here.cookies.set(COOKIE, before["Cookie"].partition("=")[2], domain="agents.example.com")
        answer = shown(here, device)
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{COOKIE}="))
    assert before["Cookie"] not in cookie
    for word in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert word in cookie
    with web.state.store.read() as platform:
        newest, *others = platform.sessions.of(ada.id)
    assert (newest.way, newest.strong) == ("passkey", True)
    assert len(others) == 1, "the session that the browser showed has ended, another browser's has not"


def test_an_operator_shows_a_passkey_where_that_is_asked_for(web: Web) -> None:
    web.state = replace(web.state, known=replace(web.state.known, operator_passkey=True))
    root = person(web, "root@example.com", platform_role=PlatformRole.OPERATOR)
    device = device_of(web, root)
    with browser(web) as here:
        weak = here.get("/api/v1/keys", headers=session_of(web, root))
        assert weak.status_code == 403
        assert shown(here, device).status_code == 200
        assert here.get("/api/v1/keys").status_code == 200
        last = here.get("/api/v1/passkeys").json()["items"][0]["id"]
        assert code_of(here.delete(f"/api/v1/passkeys/{last}")) == (409, "last_passkey")


def test_a_mailbox_adds_no_passkey_beside_one_that_is_there(web: Web, ada: Person) -> None:
    device_of(web, ada)
    assert code_of(add(web, session_of(web, ada), Device(origin=HOME))) == (403, "passkey_needed")
    assert add(web, session_of(web, ada, strong=True), Device(origin=HOME)).status_code == 201
    with web.state.store.read() as platform:
        found = Passkeys(platform.connection).of(ada.id)
    with browser(web) as here:
        answer = here.delete(f"/api/v1/passkeys/{found[0].id}", headers=session_of(web, ada))
    assert code_of(answer) == (403, "passkey_needed")


def test_an_operator_helps_somebody_who_lost_their_device(web: Web, ada: Person) -> None:
    device = device_of(web, ada)
    with browser(web) as here:
        operator = bearer(web.key(None, "people:admin"))
        assert here.delete(f"/api/v1/people/{ada.id}/passkeys", headers=operator).status_code == 204
        assert here.delete("/api/v1/people/per_none/passkeys", headers=operator).status_code == 404
        assert code_of(shown(here, device)) == (401, "bad_passkey")
    assert add(web, session_of(web, ada), Device(origin=HOME)).status_code == 201


def test_a_challenge_is_answered_once(web: Web, ada: Person) -> None:
    device = device_of(web, ada)
    with browser(web) as here:
        options = here.post("/api/v1/login/passkey/challenge").json()
        answer = {"credential": device.show(options)}
        assert here.post("/api/v1/login/passkey", json=answer).status_code == 200
        assert code_of(here.post("/api/v1/login/passkey", json=answer)) == (401, "bad_passkey")


def test_a_challenge_is_answered_in_the_browser_that_asked(web: Web, ada: Person) -> None:
    device = device_of(web, ada)
    with browser(web) as eve, browser(web) as victim:
        options = eve.post("/api/v1/login/passkey/challenge").json()
        victim.post("/api/v1/login/passkey/challenge")
        answer = victim.post("/api/v1/login/passkey", json={"credential": device.show(options)})
        assert code_of(answer) == (401, "bad_passkey")


def test_a_challenge_is_answered_in_five_minutes(web: Web, ada: Person) -> None:
    device = device_of(web, ada)
    with browser(web) as here:
        options = here.post("/api/v1/login/passkey/challenge").json()
        web.clock.wind(300)
        answer = here.post("/api/v1/login/passkey", json={"credential": device.show(options)})
        assert code_of(answer) == (401, "bad_passkey")


def test_a_challenge_to_sign_in_makes_no_passkey_and_one_to_make_signs_nobody_in(web: Web, ada: Person) -> None:
    device, session = device_of(web, ada), session_of(web, ada, strong=True)
    with browser(web) as here:
        to_make = here.post("/api/v1/passkeys/challenge", headers=session).json()
        to_show = here.post("/api/v1/login/passkey/challenge").json()
        crossed = device.show(to_show | {"challenge": to_make["challenge"]})
        assert code_of(here.post("/api/v1/login/passkey", json={"credential": crossed})) == (401, "bad_passkey")
        other = Device(origin=HOME).make(to_make | {"challenge": to_show["challenge"]})
        answer = here.post("/api/v1/passkeys", headers=session, json={"credential": other})
        assert code_of(answer) == (401, "bad_passkey")


def test_a_challenge_of_one_session_is_of_no_use_in_another(web: Web, ada: Person) -> None:
    eve = person(web, "eve@example.com")
    with browser(web) as here:
        options = here.post("/api/v1/passkeys/challenge", headers=session_of(web, ada)).json()
        body = {"credential": Device(origin=HOME).make(options)}
        assert code_of(here.post("/api/v1/passkeys", headers=session_of(web, eve), json=body)) == (401, "bad_passkey")


def test_a_copied_device_is_found_out(web: Web, ada: Person) -> None:
    device = device_of(web, ada)
    with browser(web) as here:
        assert shown(here, device).status_code == 200
        device.signs = 0
        assert code_of(shown(here, device)) == (401, "bad_passkey")
    assert "passkey.copied" in actions(web)


def test_a_device_that_does_not_count_is_no_copy(web: Web, ada: Person) -> None:
    device = device_of(web, ada)
    device.counts = False
    with browser(web) as here:
        assert shown(here, device).status_code == 200
        assert shown(here, device).status_code == 200


def test_a_passkey_that_the_worker_wrote_or_moved_is_none(web: Web, ada: Person) -> None:
    root = person(web, "root@example.com", platform_role=PlatformRole.OPERATOR)
    device = device_of(web, ada)
    with web.state.store.write() as platform:
        platform.connection.execute(update(passkey_table).values(person=root.id))
    with browser(web) as here:
        device.owner = root.id.encode()
        assert code_of(shown(here, device)) == (401, "bad_passkey")
        session = session_of(web, root, strong=True)
        assert here.get("/api/v1/passkeys", headers=session).json()["items"] == []


def test_somebody_closed_shows_a_passkey_for_nothing(web: Web, ada: Person) -> None:
    device = device_of(web, ada)
    with web.state.store.write() as platform:
        platform.people.save(replace(ada, state=PersonState.CLOSED))
    with browser(web) as here:
        assert code_of(shown(here, device)) == (401, "bad_passkey")


def test_a_known_and_an_unknown_passkey_are_refused_alike(web: Web, ada: Person) -> None:
    device = device_of(web, ada)
    with browser(web) as here:
        known = shown(here, device, origin="https://evil.example.com")
        unknown = shown(here, Device(origin=HOME))
    assert known.content == unknown.content


def test_a_foreign_page_neither_begins_nor_ends_a_sign_in(web: Web, ada: Person) -> None:
    device = device_of(web, ada)
    with browser(web) as here:
        options = here.post("/api/v1/login/passkey/challenge").json()
        body, foreign = {"credential": device.show(options)}, {"Origin": "https://evil.example.com"}
        assert here.post("/api/v1/login/passkey", json=body, headers=foreign).status_code == 403
        assert here.post("/api/v1/passkeys/challenge", headers=session_of(web, ada) | foreign).status_code == 403


def test_a_key_has_no_passkeys(web: Web) -> None:
    with browser(web) as here:
        answer = here.get("/api/v1/passkeys", headers=bearer(web.key(None, "*")))
    assert code_of(answer) == (403, "not_a_person")


def test_a_passkey_of_somebody_else_is_not_there(web: Web, ada: Person) -> None:
    eve = person(web, "eve@example.com")
    device_of(web, ada)
    with web.state.store.read() as platform:
        theirs = Passkeys(platform.connection).of(ada.id)[0].id
    with browser(web) as here:
        foreign = here.delete(f"/api/v1/passkeys/{theirs}", headers=session_of(web, eve))
        missing = here.delete("/api/v1/passkeys/pky_none", headers=session_of(web, eve))
    assert foreign.status_code == 404
    assert foreign.content == missing.content


def test_a_device_is_known_once(web: Web, ada: Person) -> None:
    device = device_of(web, ada)
    assert code_of(add(web, session_of(web, ada, strong=True), device)) == (409, "passkey_known")


def test_there_are_so_many_passkeys_and_no_more(web: Web, ada: Person) -> None:
    strong = session_of(web, ada, strong=True)
    for _ in range(20):
        assert add(web, strong, Device(origin=HOME)).status_code == 201
    assert code_of(add(web, strong, Device(origin=HOME))) == (409, "too_many_passkeys")


def test_where_browsers_make_none_none_are_offered(tmp_path: Path) -> None:
    web = made(tmp_path, public_url="http://agents.example.com")
    with TestClient(build(web.state), base_url="http://agents.example.com") as here:
        assert code_of(here.post("/api/v1/login/passkey/challenge")) == (422, "no_passkeys")


def test_neither_challenge_nor_device_is_kept_so_that_a_reader_could_use_it(web: Web, ada: Person) -> None:
    device_of(web, ada)
    with browser(web) as here:
        options = here.post("/api/v1/login/passkey/challenge").json()
    folder = json.dumps([path.read_bytes().hex() for path in web.state.settings.data.glob("freehold.db*")])
    assert options["challenge"].encode().hex() not in folder
