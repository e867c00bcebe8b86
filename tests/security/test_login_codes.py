"""Codes by mail: guessed at, asked for too often, tried elsewhere, too late or twice, and for addresses nobody has."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, event, select, update

from freehold.core.people import PersonState
from freehold.store.logins import login_code_table
from freehold.store.people import person_table
from freehold.tenants.marks import mark_of
from freehold.tenants.sealing import Seal
from freehold.web.lapsing import lapse
from tests.crowd import person
from tests.logins import ADA, DAY, HERS, MINUTE, THEIRS, ask, mailed, show, told, wrong
from tests.webs import Web, client, made


@pytest.fixture
def web(tmp_path: Path) -> Web:
    built = made(tmp_path)
    person(built, ADA, name="Ada")
    return built


@pytest.fixture
def asking(web: Web) -> Iterator[TestClient]:
    with client(web, key=None) as one:
        yield one


def test_whoever_reads_the_mail_is_signed_in(web: Web, asking: TestClient) -> None:
    assert ask(asking).status_code == 202
    mail = web.gateway.mails[-1]
    assert (mail["to"], mail["decoy"]) == (ADA, False)
    answer = show(asking, mailed(web))
    assert answer.status_code == 200
    assert answer.json()["person"]["email"] == ADA
    assert answer.json()["way"] == "otp"


def test_spaces_and_spellings_do_not_stand_in_the_way(web: Web, asking: TestClient) -> None:
    ask(asking, email="  ADA@Example.COM ")
    code = mailed(web)
    assert show(asking, f" {code[:4]} {code[4:]} ", email="\uff21da@EXAMPLE.com").status_code == 200


def test_a_code_is_good_once(web: Web, asking: TestClient) -> None:
    ask(asking)
    code = mailed(web)
    assert [show(asking, code).status_code for _ in range(2)] == [200, 401]


def test_a_code_is_good_for_ten_minutes(web: Web, asking: TestClient) -> None:
    ask(asking)
    web.clock.wind(10 * MINUTE)
    assert show(asking, mailed(web)).status_code == 401


def test_a_code_is_good_in_the_browser_that_asked(web: Web, asking: TestClient) -> None:
    ask(asking)
    code = mailed(web)
    assert show(asking, code, nonce=THEIRS).status_code == 401
    assert asking.post("/api/v1/login", json={"email": ADA, "code": code}).status_code == 401
    assert show(asking, code).status_code == 200


def test_a_code_is_good_for_its_address(web: Web, asking: TestClient) -> None:
    person(web, "eve@example.com")
    ask(asking, "eve@example.com")
    assert show(asking, mailed(web)).status_code == 401


def test_a_new_code_puts_the_old_one_of_its_browser_out_of_force(web: Web, asking: TestClient) -> None:
    ask(asking)
    old = mailed(web)
    web.clock.wind(2 * MINUTE)
    ask(asking)
    fresh = mailed(web)
    assert [show(asking, code).status_code for code in (old, fresh)] == [401, 200]


def test_a_stranger_who_asks_too_leaves_the_code_of_another_browser_alone(web: Web, asking: TestClient) -> None:
    ask(asking)
    code = mailed(web)
    web.clock.wind(2 * MINUTE)
    ask(asking, nonce=THEIRS)
    assert show(asking, code).status_code == 200


@pytest.mark.parametrize("back", [5 * MINUTE, 2 * DAY])
def test_a_clock_that_is_set_back_makes_no_code_good_again(web: Web, asking: TestClient, back: float) -> None:
    ask(asking)
    web.clock.wind(11 * MINUTE)
    lapse(web.state)
    web.clock.wind(-back)
    assert show(asking, mailed(web)).status_code == 401


def test_a_code_from_the_future_is_none(web: Web, asking: TestClient) -> None:
    ask(asking)
    web.clock.wind(-2 * DAY)
    assert show(asking, mailed(web)).status_code == 401
    web.clock.wind(2 * DAY)
    assert show(asking, mailed(web)).status_code == 401


def test_all_that_is_wrong_is_answered_the_same(web: Web, asking: TestClient) -> None:
    ask(asking)
    code = mailed(web)
    ask(asking, "nobody@example.com")
    answers = [
        show(asking, wrong(code)),
        show(asking, code, nonce=THEIRS),
        show(asking, code, email="nobody@example.com"),
        show(asking, code, email="never-asked@example.com"),
        show(asking, "no digits"),
        show(asking, "1" * 40),
    ]
    assert {str(told(answer)) for answer in answers} == {str(told(answers[0]))}
    assert answers[0].json()["code"] == "bad_code"
    assert not [name for answer in answers for name in answer.headers if name == "set-cookie"]


def test_a_code_is_kept_as_a_mark_that_only_web_can_make(web: Web, asking: TestClient) -> None:
    ask(asking)
    ask(asking, "nobody@example.com", THEIRS)
    code = mailed(web)
    for file in web.state.settings.data.rglob("freehold.db*"):
        content = file.read_bytes()
        assert code.encode() not in content
        assert HERS.encode() not in content
        assert b"nobody@example.com" not in content
    with web.state.store.write() as platform:
        kept = platform.connection.execute(select(login_code_table).where(login_code_table.c.told)).one()
        told = {"id": kept.id, "account": kept.account, "browser": kept.browser, "code": "12345678"}
        forged = Seal("of a worker").mark("login.code", **told, expires_at=round(kept.expires_at.timestamp() * 1000))
        platform.connection.execute(update(login_code_table).values(hash=forged))
    assert show(asking, "12345678").status_code == 401


def test_codes_go_out_once_a_minute_and_five_times_an_hour_and_nobody_is_told(web: Web, asking: TestClient) -> None:
    answers = [told(ask(asking)) for _ in range(3)]
    assert [mail["decoy"] for mail in web.gateway.mails] == [False, True, True]
    for _ in range(8):
        web.clock.wind(2 * MINUTE)
        answers.append(told(ask(asking, nonce=THEIRS)))
    assert sum(not mail["decoy"] for mail in web.gateway.mails) == 5
    assert {str(answer) for answer in answers} == {str(answers[0])}


def test_asking_twice_in_a_minute_leaves_the_code_that_was_sent_in_force(web: Web, asking: TestClient) -> None:
    for _ in range(2):
        ask(asking)
    assert show(asking, mailed(web)).status_code == 200


def test_somebody_who_was_closed_is_told_nothing_and_let_in_nowhere(web: Web, asking: TestClient) -> None:
    ask(asking)
    code = mailed(web)
    with web.state.store.write() as platform:
        ada = platform.people.by_email(ADA)
        assert ada is not None
        ada = replace(ada, state=PersonState.CLOSED)
        platform.people.save(replace(ada, seal=mark_of(web.state.seal, ada)))
    assert show(asking, code).status_code == 401
    web.clock.wind(2 * MINUTE)
    ask(asking)
    assert web.gateway.mails[-1]["decoy"]


def test_a_person_whom_web_did_not_write_down_is_nobody(web: Web, asking: TestClient) -> None:
    with web.state.store.write() as platform:
        platform.connection.execute(update(person_table).values(platform_role="operator"))
    ask(asking)
    assert web.gateway.mails[-1]["decoy"]


@contextmanager
def counted(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count statements by their kind and table, and marks that are made."""
    counts: Counter[str] = Counter()
    mark = Seal.mark

    def marking(self: Seal, kind: str, **fields: Any) -> str:
        counts[f"mark {kind}"] += 1
        return mark(self, kind, **fields)

    def executing(_c: Any, _k: Any, statement: str, *_rest: Any) -> None:
        counts[re.sub(r"\s+", " ", statement)] += 1

    monkeypatch.setattr(Seal, "mark", marking)
    event.listen(engine, "before_cursor_execute", executing)
    yield counts
    event.remove(engine, "before_cursor_execute", executing)
    monkeypatch.undo()


def test_an_address_nobody_has_costs_the_same_work(
    web: Web, asking: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, shown = [], []
    for email in (ADA, "nobody@example.com"):
        with counted(web.state.store.database.engine, monkeypatch) as counts:
            answer = ask(asking, email, nonce=HERS)
        asked.append((counts, told(answer), answer.headers["set-cookie"]))
    for email in (ADA, "nobody@example.com", "never-asked@example.com"):
        with counted(web.state.store.database.engine, monkeypatch) as counts:
            show(asking, "not the code", email)
        shown.append(counts)
    assert asked[0] == asked[1]
    assert shown[0] == shown[1] == shown[2]
    known, unknown = web.gateway.mails
    assert (known["decoy"], unknown["decoy"]) == (False, True)
    assert len(known["text"]) == len(unknown["text"])
    assert unknown["to"] != "nobody@example.com"


def test_a_failed_try_is_in_the_record_without_the_address_in_clear(web: Web, asking: TestClient) -> None:
    show(asking, "12345678")
    with client(web) as operator:
        rows = operator.get("/api/v1/audit").json()["items"]
    (row,) = [row for row in rows if row["action"] == "person.sign_in_failed"]
    assert (row["verdict"], row["way"]) == ("deny", "otp")
    assert ADA not in str({name: value for name, value in row.items() if name != "personal"})


@pytest.mark.parametrize("email", ["", "ada", "ada@example.com\r\nBcc: eve@example.com", "x" * 501])
def test_what_is_no_address_gets_no_mail(web: Web, asking: TestClient, email: str) -> None:
    assert ask(asking, email).status_code == 422
    assert web.gateway.mails == []
