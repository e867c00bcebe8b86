"""How people see that something may have happened already, and what it does to the world."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from freehold.cli.questions import beside, question
from freehold.core.approvals import OUTCOME_UNKNOWN, Approval
from freehold.core.effects import EffectKind
from freehold.core.people import Role
from freehold.store.journal import approval_table
from freehold.web.pages.words import LANGUAGES, texts
from tests import crowd
from tests.webs import Web, client, made

ABOUT: dict[str, Any] = {"connection": "crm", "operation": "add", "arguments": {"name": "Ann"}}


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def browser(web: Web) -> Iterator[TestClient]:
    with client(web, None) as asking:
        asking.headers["Accept"] = "text/html"
        yield asking


@pytest.fixture
def asked(web: Web) -> Approval:
    acme = web.tenant("acme")
    web.agent(acme)
    with client(web) as api:
        run = api.post("/api/v1/tenants/acme/agents/helper/messages", json={"text": "do"}).json()["run"]["id"]
    return web.ask(acme, run, OUTCOME_UNKNOWN, "message", **ABOUT)


@pytest.mark.parametrize(
    ("language", "before", "after"),
    [
        (
            "en",
            ["Do this once more?", "it may have happened, or it may not", "Tells somebody outside something."],
            "It does not run again",
        ),
        (
            "de",
            ["Noch einmal ausführen?", "Vielleicht ist es geschehen", "Teilt jemandem draußen etwas mit."],
            "Es geschieht nicht noch einmal",
        ),
    ],
)
def test_the_page_says_that_it_may_have_happened_and_what_it_does(
    web: Web, asked: Approval, browser: TestClient, language: str, before: list[str], after: str
) -> None:
    with web.state.store.read() as platform:
        acme = platform.tenants.find("acme")
    who = crowd.signed_in(web, crowd.member(web, acme, Role.MEMBER, crowd.person(web, language=language)))
    shown = browser.get(f"/approve/{asked.id}", headers=who).text
    assert [words for words in [*before, asked.run] if words not in shown] == []
    assert OUTCOME_UNKNOWN not in shown
    browser.post(f"/approve/{asked.id}", data={"decision": "deny", "hash": asked.hash}, headers=who)
    assert after in browser.get(f"/approve/{asked.id}", headers=who).text


@pytest.mark.parametrize("row", [{"reason": ""}, {"attempts": 0}, {"reason": "It is harmless."}])
def test_a_row_that_says_one_thing_and_counts_another_cannot_be_decided(
    web: Web, asked: Approval, row: dict[str, Any]
) -> None:
    with web.state.store.write() as platform:
        platform.connection.execute(update(approval_table).where(approval_table.c.id == asked.id).values(**row))
    with client(web) as api:
        told = api.post(f"/api/v1/tenants/acme/approvals/{asked.id}/approve", json={"hash": asked.hash})
    assert (told.status_code, told.json()["code"]) == (409, "altered")
    assert web.gateway.decided == {}


def test_the_api_says_so_in_words_for_programs(web: Web, asked: Approval) -> None:
    with client(web) as api:
        told = api.get(f"/api/v1/tenants/acme/approvals/{asked.id}").json()
    assert (told["reason"], told["kind"], told["hash"]) == (OUTCOME_UNKNOWN, "message", asked.hash)


def test_what_was_shown_goes_along_with_the_decision(web: Web, asked: Approval) -> None:
    with client(web) as api:
        api.post(f"/api/v1/tenants/acme/approvals/{asked.id}/approve", json={"hash": asked.hash}).raise_for_status()
    assert web.gateway.shown == {asked.key: {"kind": "message", "attempts": 1}}


def test_the_command_line_says_it_in_a_line_and_what_to_do_first() -> None:
    told = {"reason": OUTCOME_UNKNOWN, "kind": "destroy"} | ABOUT
    assert question(told) == 'Once more? crm.add {"name": "Ann"}'
    assert beside(told)[0] == "It destroys something."
    assert "Look at the other side" in beside(told)[1]
    assert beside(told | {"reason": "", "kind": ""}) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_effect_has_its_words(language: str) -> None:
    assert {name for name in texts(language) if name.startswith("effect.")} == {f"effect.{kind}" for kind in EffectKind}
    assert all(beside({"reason": "", "kind": kind}) for kind in EffectKind)
