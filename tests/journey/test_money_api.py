"""Budgets, accounts, levels, model keys and usage, as whoever may ask web for them sees them."""

import csv
import io
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.webs import Web, bearer, client, made

API = "/api/v1"
HERE = f"{API}/tenants/acme"
DOLLAR = 1_000_000_000


@pytest.fixture
def web(tmp_path: Path) -> Web:
    web = made(tmp_path)
    web.tenant("acme")
    return web


def put(asking: TestClient, budget: str, nano: int = DOLLAR) -> dict[str, object]:
    answer = asking.put(f"{HERE}/budgets/{budget}", json={"limit_nano": nano})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_budget_is_called_by_what_it_limits_and_shows_what_is_left(web: Web) -> None:
    with client(web) as asking:
        told = put(asking, "tenant.month")
        listed = asking.get(f"{HERE}/budgets").json()["items"]
    assert told["id"] == "tenant.month"
    assert (told["left_nano"], told["resets_at"]) == (DOLLAR - 7, "2026-02-01T00:00:00.000Z")
    assert listed == [told]


def test_a_budget_of_an_agent_is_set_by_its_name_and_kept_by_its_id(web: Web) -> None:
    agent = _agent(web)
    with client(web) as asking:
        assert put(asking, "agent.day.ada")["id"] == f"agent.day.{agent}"
        told = put(asking, f"agent.day.{agent}")
        assert (told["subject"], told["name"]) == (agent, "ada")
        assert asking.get(f"{HERE}/budgets").json()["items"][0]["name"] == "ada"
        assert asking.put(f"{HERE}/budgets/agent.day.nobody", json={"limit_nano": 1}).status_code == 404
        assert asking.delete(f"{HERE}/budgets/agent.day.ada").status_code == 204
        assert asking.delete(f"{HERE}/budgets/agent.day.agt_gone").status_code == 404


def _agent(web: Web) -> str:
    with web.state.store.read() as platform:
        tenant = platform.tenants.find("acme")
    return web.agent(tenant, "ada").id


def test_each_run_and_each_level_can_have_a_limit(web: Web) -> None:
    with client(web) as asking:
        assert put(asking, "run.ever")["id"] == "run.ever"
        assert put(asking, "level.month.embed")["subject"] == "embed"
        assert put(asking, "unattended.day")["scope"] == "unattended"


@pytest.mark.parametrize(
    ("budget", "code"),
    [
        ("tenant", "bad_budget"),
        ("tenant.week", "bad_budget"),
        ("tenant.month.acme", "bad_budget"),
        ("agent.month", "bad_budget"),
        ("run.day", "bad_budget"),
        ("tenant.ever", "bad_budget"),
        ("level.month.thinking", "unknown_level"),
        ("tier.month", "operators_budget"),
        ("credit.ever", "operators_budget"),
    ],
)
def test_what_is_no_budget_of_a_tenants_is_refused(web: Web, budget: str, code: str) -> None:
    with client(web) as asking:
        refused = asking.put(f"{HERE}/budgets/{budget}", json={"limit_nano": 1})
    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert refused.json()["remedy"]


@pytest.mark.parametrize("limit", [-1, 1.5, "1", True, None, 10**17])
def test_a_limit_is_a_whole_number_of_nano_dollars(web: Web, limit: object) -> None:
    with client(web) as asking:
        assert asking.put(f"{HERE}/budgets/tenant.month", json={"limit_nano": limit}).status_code == 422


def test_who_sees_the_tenant_sees_its_budgets_and_who_runs_it_sets_them(web: Web) -> None:
    with web.state.store.read() as platform:
        tenant = platform.tenants.find("acme")
    reads, writes = web.key(tenant, "budgets:read"), web.key(tenant, "budgets:write")
    with client(web, None) as asking:
        assert asking.get(f"{HERE}/budgets", headers=bearer(reads)).status_code == 200
        for key, status in ((reads, 403), (writes, 200)):
            answer = asking.put(f"{HERE}/budgets/tenant.day", json={"limit_nano": 1}, headers=bearer(key))
            assert answer.status_code == status
        assert asking.put(f"{HERE}/account", json={"markup_ppm": 0}, headers=bearer(writes)).status_code == 403
        assert asking.post(f"{HERE}/account/credit", json={"nano": 1}, headers=bearer(writes)).status_code == 403


def test_usage_says_how_the_month_stands_to_its_limit(web: Web) -> None:
    with client(web) as asking:
        before = asking.get(f"{HERE}/usage").json()
        put(asking, "tenant.month")
        after = asking.get(f"{HERE}/usage").json()
    assert (before["spent_nano"], before["held_nano"], before["limit_nano"]) == (5, 2, None)
    assert (after["limit_nano"], after["resets_at"]) == (DOLLAR, "2026-02-01T00:00:00.000Z")
    assert [budget["id"] for budget in after["budgets"]] == ["tenant.month"]


def test_usage_is_summed_by_what_is_asked_and_agents_have_their_names(web: Web) -> None:
    web.gateway.groups = [{"key": _agent(web), "count": 2, "cost_nano": 3}, {"key": "agt_gone", "count": 1}]
    with client(web) as asking:
        told = asking.get(f"{HERE}/usage?by=agent&since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z").json()
        assert asking.get(f"{HERE}/usage?by=tenant").status_code == 422
        assert asking.get(f"{HERE}/usage?since=yesterday").status_code == 422
    assert [group["name"] for group in told["groups"]] == ["ada", ""]
    assert (told["groups"][0]["count"], web.gateway.asked["by"]) == (2, "agent")


def test_the_platform_sees_usage_by_tenant(web: Web) -> None:
    with web.state.store.read() as platform:
        acme = platform.tenants.find("acme").id
    web.gateway.groups = [{"key": acme, "count": 2}]
    with client(web) as asking:
        told = asking.get(f"{API}/usage?by=tenant").json()
    assert told["groups"] == [{"name": "acme", "key": acme, "count": 2}]
    assert "budgets" not in told


@pytest.mark.parametrize(("query", "accept"), [("&format=csv", "*/*"), ("", "text/csv, */*;q=0.1")])
def test_usage_comes_as_a_sheet_that_holds_no_formula(web: Web, query: str, accept: str) -> None:
    web.gateway.groups = [{"key": '=HYPERLINK("https://example.com")', "count": 2, "charge_nano": 7}]
    with client(web) as asking:
        answer = asking.get(f"{HERE}/usage?by=model{query}", headers={"Accept": accept})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "usage-by-model.csv" in answer.headers["content-disposition"]
    (line,) = csv.DictReader(io.StringIO(answer.text))
    assert (line["model"], line["charge_nano"]) == ('\'=HYPERLINK("https://example.com")', "7")


def test_a_sheet_is_by_day_where_nothing_is_said(web: Web) -> None:
    with client(web) as asking:
        answer = asking.get(f"{HERE}/usage?format=csv")
    assert answer.text.partition(",")[0] == "day"
    assert web.gateway.asked["by"] == "day"


def test_an_account_shows_what_is_left_of_credit(web: Web) -> None:
    with client(web) as asking:
        assert asking.get(f"{HERE}/account").json()["credit_left_nano"] is None
        changed = asking.put(f"{HERE}/account", json={"markup_ppm": 200_000, "prepaid": True}).json()
        assert asking.put(f"{HERE}/account", json={}).json()["code"] == "nothing_to_change"
        added = asking.post(f"{HERE}/account/credit", json={"nano": 5 * DOLLAR}).json()
    assert (changed["markup_ppm"], changed["prepaid"], changed["credit_left_nano"]) == (200_000, True, 0)
    assert added["credit_left_nano"] == 5 * DOLLAR


def test_credit_asked_for_twice_under_one_key_is_added_once(web: Web) -> None:
    with client(web) as asking:
        headers = {"Idempotency-Key": "invoice 7"}
        told = [asking.post(f"{HERE}/account/credit", json={"nano": DOLLAR}, headers=headers).json() for _ in "ab"]
    assert [one["credit_nano"] for one in told] == [DOLLAR, DOLLAR]


def test_a_tenant_says_itself_where_its_models_may_be(web: Web) -> None:
    with web.state.store.read() as platform:
        tenant = platform.tenants.find("acme")
    with client(web, web.key(tenant, "models:write")) as asking:
        told = asking.put(f"{HERE}/regions", json={"regions": ["eu", "eu"]})
        wrong = asking.put(f"{HERE}/regions", json={"regions": ["E U"]})
    assert (told.json()["regions"], wrong.status_code) == (["eu"], 422)


def test_a_level_of_the_platforms_holds_until_the_tenant_sets_its_own(web: Web) -> None:
    with client(web) as asking:
        asking.put(f"{API}/levels/coordinator", json={"routes": ["big/model"]})
        asking.put(f"{HERE}/levels/coordinator", json={"routes": ["own/model", "big/model"]})
        own = asking.get(f"{HERE}/levels").json()["items"]
        assert asking.delete(f"{HERE}/levels/coordinator").status_code == 204
        again = asking.get(f"{HERE}/levels").json()["items"]
        assert asking.delete(f"{HERE}/levels/coordinator").status_code == 404
        assert asking.put(f"{HERE}/levels/coordinator", json={"routes": []}).status_code == 422
    assert [(one["own"], one["routes"]) for one in own] == [(True, ["own/model", "big/model"])]
    assert [(one["own"], one["routes"]) for one in again] == [(False, ["big/model"])]


def test_a_model_key_is_shown_once_and_then_only_by_name(web: Web) -> None:
    agent = _agent(web)
    with client(web) as asking:
        body = {"name": "editor", "agent": "ada", "models": ["executor"], "expires_in_days": 1}
        made = asking.post(f"{HERE}/model-keys", json=body).json()
        (listed,) = asking.get(f"{HERE}/model-keys").json()["items"]
        assert asking.delete(f"{HERE}/model-keys/{made['id']}").status_code == 204
        (over,) = asking.get(f"{HERE}/model-keys").json()["items"]
    assert (made["key"], made["agent"], made["expires_at"]) == ("fhm_shown-once", agent, "2026-01-02T12:00:00.000Z")
    assert "key" not in listed
    assert over["revoked_at"] == "2026-01-01T12:00:00.000Z"


def test_a_connection_is_changed_in_part_and_tried(web: Web) -> None:
    config = {"base_url": "https://api.example.com/v1", "region": "us"}
    with client(web) as asking:
        asking.post(f"{HERE}/connections", json={"kind": "openai", "name": "big", "config": config, "secret": None})
        wants = asking.post(f"{HERE}/connections/big/test").json()
        changed = asking.patch(f"{HERE}/connections/big", json={"config": {"region": "eu"}, "secret": "key"}).json()
        kept = asking.patch(f"{HERE}/connections/big", json={"config": {"price": None}}).json()
        tried = asking.post(f"{HERE}/connections/big/test").json()
        assert asking.post(f"{HERE}/connections/none/test").status_code == 404
    assert (wants["ok"], wants["error"]["remedy"]) == (False, "Give the connection a secret.")
    assert (changed["config"], changed["secret"]) == (config | {"region": "eu"}, "key")
    assert kept["secret"] == "key"
    assert (tried["ok"], tried["models"]) == (True, 3)
