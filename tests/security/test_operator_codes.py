"""Codes an operator makes: only where no mail goes out and nobody but this machine reaches the platform."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from freehold.core.people import Person
from tests.crowd import person, signed_in
from tests.webs import OPERATOR, Web, bearer, client, made

ADA = "ada@example.com"


@pytest.fixture
def web(tmp_path: Path) -> Web:
    built = made(tmp_path)
    built.gateway.mail = False
    return built


@pytest.fixture
def ada(web: Web) -> Person:
    return person(web, ADA)


@pytest.fixture
def asking(web: Web) -> Iterator[TestClient]:
    with client(web, key=None) as one:
        yield one


def make(asking: TestClient, name: str = ADA) -> Any:
    return asking.post(f"/api/v1/people/{name}/login-code", headers=bearer(OPERATOR))


def show(asking: TestClient, code: str) -> int:
    return int(asking.post("/api/v1/login", json={"email": ADA, "code": code}).status_code)


def test_a_code_of_an_operator_lets_somebody_in_once_from_any_browser(asking: TestClient, ada: Person) -> None:
    answer = make(asking)
    assert (answer.status_code, answer.json()["person"]) == (201, ada.id)
    code = answer.json()["code"]
    assert [show(asking, code) for _ in range(2)] == [200, 401]


def test_it_is_good_for_ten_minutes_and_until_the_next_one(web: Web, asking: TestClient, ada: Person) -> None:
    first, second = (make(asking, ada.id).json()["code"] for _ in range(2))
    assert show(asking, first) == 401
    web.clock.wind(600)
    assert show(asking, second) == 401


def test_its_tries_are_counted_as_any_others(asking: TestClient, ada: Person) -> None:
    code = make(asking).json()["code"]
    for n in range(1, 6):
        show(asking, f"{(int(code) + n) % 10**8:08}")
    assert show(asking, code) == 401


def test_none_is_made_that_could_not_be_used(asking: TestClient, ada: Person) -> None:
    code = make(asking).json()["code"]
    for n in range(1, 6):
        show(asking, f"{(int(code) + n) % 10**8:08}")
    answer = make(asking)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_tries")
    asking.patch(f"/api/v1/people/{ADA}", headers=bearer(OPERATOR), json={"state": "closed"})
    answer = make(asking)
    assert (answer.status_code, answer.json()["code"]) == (409, "person_closed")


def test_it_keeps_nobody_from_asking_for_one_themselves(web: Web, asking: TestClient, ada: Person) -> None:
    for _ in range(6):
        make(asking)
    asking.post("/api/v1/login/code", json={"email": ADA})
    assert [mail["decoy"] for mail in web.gateway.mails] == [False]


def test_there_is_none_for_nobody(asking: TestClient, ada: Person) -> None:
    assert make(asking, "nobody@example.com").status_code == 404


def test_people_who_are_no_operators_make_none(web: Web, asking: TestClient, ada: Person) -> None:
    answer = asking.post(f"/api/v1/people/{ADA}/login-code", headers=signed_in(web, ada))
    assert answer.status_code == 403


def test_a_key_that_may_see_to_people_makes_none(web: Web, asking: TestClient, ada: Person) -> None:
    """Whoever has a code is whom it is for, and that may be an owner."""
    key = bearer(web.key(None, "people:admin"))
    answer = asking.post(f"/api/v1/people/{ADA}/login-code", headers=key)
    assert (answer.status_code, answer.json()["code"]) == (403, "wider_than_creator")


@pytest.mark.parametrize(("address", "mail"), [("127.0.0.1:7070", True), ("192.0.2.1:7070", False)])
def test_there_is_none_where_mail_goes_out_or_others_reach_us(tmp_path: Path, *, address: str, mail: bool) -> None:
    web = made(tmp_path, address=address, hosts="127.0.0.1:7070")
    web.gateway.mail = mail
    person(web, ADA)
    with client(web) as asking:
        answer = make(asking)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_here")


def test_that_one_was_made_is_in_the_record(asking: TestClient, ada: Person) -> None:
    make(asking)
    rows = asking.get("/api/v1/audit", headers=bearer(OPERATOR)).json()["items"]
    assert [(row["actor"], row["subject"]) for row in rows if row["action"] == "person.login_code"] == [
        ("operator", ada.id)
    ]
