"""Codes that are guessed at: one after the other, all at once, from many browsers, over restarts and clocks set back."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from freehold.store.logins import login_code_table, login_try_table
from freehold.tenants import codes
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


def test_five_wrong_tries_are_all_there_are(web: Web, asking: TestClient) -> None:
    ask(asking)
    code = mailed(web)
    refused = [told(show(asking, wrong(code, n))) for n in range(1, 6)]
    assert told(show(asking, code)) == refused[0]


@pytest.mark.parametrize("email", [ADA, "nobody@example.com"])
def test_neither_a_fresh_code_nor_another_browser_nor_a_restart_gives_more_tries(
    web: Web, tmp_path: Path, email: str
) -> None:
    with client(web, key=None) as asking:
        ask(asking, email)
        for n in range(5):
            show(asking, f"{n:08}", email, nonce=f"{n}" * 43)
        web.clock.wind(2 * MINUTE)
        ask(asking, email, nonce=THEIRS)
    again = made(tmp_path)
    again.clock.wind(2 * MINUTE)
    with client(again, key=None) as asking:
        code = mailed(web) if email == ADA else "0" * 8
        assert show(asking, code, email, nonce=THEIRS).status_code == 401
    with again.state.store.read() as platform:
        assert len(platform.connection.execute(select(login_try_table)).all()) == 5


def test_after_an_hour_there_are_tries_again(web: Web, asking: TestClient) -> None:
    for n in range(5):
        show(asking, f"{n:08}")
    web.clock.wind(61 * MINUTE)
    ask(asking)
    assert show(asking, mailed(web)).status_code == 200


def test_setting_the_clock_back_gives_no_tries(web: Web, asking: TestClient) -> None:
    for n in range(5):
        show(asking, f"{n:08}")
    web.clock.wind(-2 * DAY)
    ask(asking)
    assert show(asking, mailed(web)).status_code == 401


def test_of_fifty_guesses_at_once_five_are_looked_at(web: Web, asking: TestClient) -> None:
    ask(asking)
    code, barrier = mailed(web), threading.Barrier(50)

    def guess(n: int) -> bool:
        barrier.wait()
        with web.state.store.write() as platform:
            found = codes.redeem(platform, ADA, wrong(code, n + 1), browser=HERS, seal=web.state.seal, clock=web.clock)
        return found is not None

    with ThreadPoolExecutor(50) as pool:
        assert not any(pool.map(guess, range(50)))
    with web.state.store.read() as platform:
        assert len(platform.connection.execute(select(login_try_table)).all()) == 5
        assert platform.connection.execute(select(login_code_table.c.tries)).scalar_one() >= 5
    assert show(asking, code).status_code == 401


def test_of_fifty_who_show_the_right_code_at_once_one_is_let_in(web: Web, asking: TestClient) -> None:
    ask(asking)
    code, barrier = mailed(web), threading.Barrier(50)

    def enter(_: int) -> bool:
        barrier.wait()
        with web.state.store.write() as platform:
            found = codes.redeem(platform, ADA, code, browser=HERS, seal=web.state.seal, clock=web.clock)
        return found is not None

    with ThreadPoolExecutor(50) as pool:
        assert Counter(pool.map(enter, range(50)))[True] == 1


@pytest.mark.long
def test_ten_thousand_guesses_open_nothing(web: Web, asking: TestClient) -> None:
    ask(asking)
    code = mailed(web)
    with web.state.store.write() as platform:
        for n in range(1, 10_001):
            guess = wrong(code, n) if n < 10_000 else code
            assert codes.redeem(platform, ADA, guess, browser=HERS, seal=web.state.seal, clock=web.clock) is None
