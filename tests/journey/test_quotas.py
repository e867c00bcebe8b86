"""What a tenant may have: its tier, its quotas, and what happens when one is used up."""

import asyncio
import base64
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from freehold.core.errors import Denied
from freehold.core.quotas import Quota
from freehold.core.tenants import Tenant
from freehold.tenants.quotas import admit
from freehold.web.views import moment
from tests.webs import Web, bearer, client, made

ACME = "/api/v1/tenants/acme"
MESSAGES = f"{ACME}/agents/helper/messages"
MB = 1 << 20
HOUR = 3600


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def acme(web: Web) -> Tenant:
    tenant = web.tenant("acme")
    web.agent(tenant)
    return tenant


@pytest.fixture
def api(web: Web, acme: Tenant) -> Iterator[TestClient]:
    with client(web) as asking:
        yield asking


def limited(api: TestClient, **limits: float | None) -> None:
    """Let acme have a tier with these limits."""
    assert api.put("/api/v1/tiers/small", json={"limits": limits}).status_code == 200
    assert api.put(f"{ACME}/tier", json={"tier": "small"}).status_code == 200


def quota(api: TestClient, name: str) -> dict[str, Any]:
    (found,) = [one for one in api.get(f"{ACME}/quotas").json()["items"] if one["quota"] == name]
    return {word: found[word] for word in ("limit", "used", "over")}


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def new_agent(api: TestClient, name: str) -> Any:
    return api.post(f"{ACME}/agents", json={"name": name, "model": "rehearsal"})


def new_channel(web: Web, api: TestClient, name: str) -> Any:
    web.gateway.secrets[api.get(ACME).json()["id"], "hook"] = 1
    body = {"kind": "webhook", "name": name, "agent": "helper", "secret": "hook", "reply_url": "https://example.com/"}
    return api.post(f"{ACME}/channels", json=body)


def test_a_new_tenant_has_no_limits_until_somebody_sets_some(api: TestClient) -> None:
    assert api.get(ACME).json()["tier"] == "sovereign"
    assert all(one["limit"] is None for one in api.get(f"{ACME}/quotas").json()["items"])
    assert quota(api, "agents") == {"limit": None, "used": 1, "over": False}


def test_the_default_tier_is_the_operators_choice(tmp_path: Path) -> None:
    with client(made(tmp_path, default_tier="starter")) as api:
        assert api.post("/api/v1/tenants", json={"slug": "acme"}).json()["tier"] == "starter"
    with client(made(tmp_path, default_tier="starer")) as api:
        assert refused(api.post("/api/v1/tenants", json={"slug": "other"})) == (422, "unknown_tier")


def test_one_agent_too_many_is_refused_with_what_a_program_needs(web: Web, api: TestClient) -> None:
    limited(api, agents=2)
    assert new_agent(api, "second").status_code == 201
    told = web.gateway.published.copy()
    answer = new_agent(api, "third")
    assert refused(answer) == (403, "quota_exceeded")
    assert {name: answer.json()[name] for name in ("quota", "limit", "used")} == {
        "quota": "agents",
        "limit": 2,
        "used": 2,
    }
    assert answer.json()["remedy"]
    assert web.gateway.published == told
    version = {"model": "rehearsal", "instructions": "Be brief."}
    assert api.post(f"{ACME}/agents/second/versions", json=version).status_code == 201


def test_twenty_at_once_get_just_the_places_there_are(web: Web, acme: Tenant, api: TestClient) -> None:
    limited(api, agents=6)
    barrier = threading.Barrier(20)

    def one(n: int) -> int:
        barrier.wait()
        return int(new_agent(api, f"agent-{n}").status_code)

    with ThreadPoolExecutor(20) as pool:
        answers = sorted(pool.map(one, range(20)))
    assert answers == [201] * 5 + [403] * 15
    assert quota(api, "agents") == {"limit": 6, "used": 6, "over": False}


def test_twenty_messages_at_once_are_as_many_as_the_day_allows(api: TestClient) -> None:
    limited(api, messages_per_day=7)
    barrier = threading.Barrier(20)

    def say(n: int) -> int:
        barrier.wait()
        return int(api.post(MESSAGES, json={"text": f"hello {n}"}).status_code)

    with ThreadPoolExecutor(20) as pool:
        answers = sorted(pool.map(say, range(20)))
    assert answers == [202] * 7 + [403] * 13
    assert quota(api, "messages_per_day") == {"limit": 7, "used": 7, "over": False}


def test_messages_are_counted_by_the_day_of_the_tenant(web: Web, acme: Tenant, api: TestClient) -> None:
    with web.state.store.write() as platform:
        platform.tenants.save(replace(platform.tenants.find("acme"), time_zone="Pacific/Auckland"))
    limited(api, messages_per_day=1)
    web.clock.wind(22 * HOUR + 59 * 60)  # from noon in UTC to a minute before midnight there
    assert api.post(MESSAGES, json={"text": "one"}).status_code == 202
    assert refused(api.post(MESSAGES, json={"text": "two"})) == (403, "quota_exceeded")
    web.clock.wind(120)
    assert quota(api, "messages_per_day")["used"] == 0
    assert api.post(MESSAGES, json={"text": "two"}).status_code == 202


def test_a_run_by_the_api_counts_as_a_message_and_a_repeat_as_none(api: TestClient) -> None:
    limited(api, messages_per_day=2)
    sent = [api.post(MESSAGES, json={"text": "once"}, headers={"Idempotency-Key": "k"}) for _ in range(3)]
    assert [one.status_code for one in sent] == [202] * 3
    assert api.post(f"{ACME}/runs", json={"agent": "helper", "input": "go"}).status_code == 202
    assert refused(api.post(f"{ACME}/runs", json={"agent": "helper", "input": "go"})) == (403, "quota_exceeded")
    assert refused(api.post(MESSAGES, json={"text": "twice"})) == (403, "quota_exceeded")
    again = api.post(MESSAGES, json={"text": "once"}, headers={"Idempotency-Key": "k"})
    assert again.json()["message"]["id"] == sent[0].json()["message"]["id"]


def test_a_limit_set_at_noon_knows_of_the_morning(api: TestClient) -> None:
    for text in ("one", "two", "three"):
        api.post(MESSAGES, json={"text": text})
    limited(api, messages_per_day=2)
    assert quota(api, "messages_per_day") == {"limit": 2, "used": 3, "over": True}
    assert refused(api.post(MESSAGES, json={"text": "four"})) == (403, "quota_exceeded")


def test_channels_are_counted_and_one_that_is_closed_makes_room(web: Web, api: TestClient) -> None:
    limited(api, channels=1)
    assert new_channel(web, api, "one").status_code == 201
    assert refused(new_channel(web, api, "two")) == (403, "quota_exceeded")
    assert len(web.gateway.connections) == 1
    assert api.delete(f"{ACME}/channels/one").status_code == 204
    assert new_channel(web, api, "two").status_code == 201


def test_a_hook_is_told_the_same(web: Web, api: TestClient) -> None:
    path = new_channel(web, api, "one").json()["path"]
    limited(api, messages_per_day=0)
    answer = api.post(path, json={"sender": "ann", "text": "hi"}, headers={"webhook-id": "w1"})
    assert refused(answer) == (403, "quota_exceeded")
    assert answer.json()["quota"] == "messages_per_day"


def test_files_that_do_not_fit_are_not_kept(web: Web, acme: Tenant, api: TestClient) -> None:
    limited(api, storage_mb=0.1)
    data = b"x" * 60_000

    def send(name: str) -> Any:
        attached = {"name": name, "content": base64.b64encode(data + name.encode()).decode()}
        body = {"text": "look", "attachments": [attached]}
        return api.post(MESSAGES, json=body, headers={"Idempotency-Key": name})

    first = send("one")
    assert first.status_code == 202
    assert refused(send("two")) == (403, "quota_exceeded")
    assert send("one").json()["message"]["id"] == first.json()["message"]["id"]
    assert len(asyncio.run(web.state.files(acme.id).list())) == 1
    assert quota(api, "storage_mb")["used"] == pytest.approx(60_003 / MB, abs=0.001)
    assert api.post(MESSAGES, json={"text": "no file"}).status_code == 202


def test_lowering_a_tier_destroys_nothing_and_allows_nothing_new(api: TestClient) -> None:
    new_agent(api, "second")
    limited(api, agents=1)
    assert quota(api, "agents") == {"limit": 1, "used": 2, "over": True}
    assert refused(new_agent(api, "third")) == (403, "quota_exceeded")
    assert api.post(MESSAGES, json={"text": "still here?"}).status_code == 202


def test_a_trial_ends_by_itself_and_leaves_everything_readable(web: Web) -> None:
    with client(web) as api:
        both = api.post("/api/v1/tenants", json={"slug": "acme", "trial": True, "tier": "team"})
        assert refused(both) == (422, "trial_has_tier")
        begun = api.post("/api/v1/tenants", json={"slug": "acme", "trial": True}).json()
        assert (begun["tier"], begun["tier_source"]) == ("pro", "trial")
        assert begun["tier_until"] == moment(web.clock.now() + timedelta(days=14))
        api.post(f"{ACME}/deploy")
        with web.state.store.read() as platform:
            web.agent(platform.tenants.find("acme"))
        assert quota(api, "messages_per_day")["limit"] == 500
        assert quota(api, "agents")["limit"] == 5
        assert api.post(MESSAGES, json={"text": "hi"}).status_code == 202
        web.clock.wind(14 * 24 * HOUR)
        for answer in (new_agent(api, "late"), api.post(MESSAGES, json={"text": "hi"}), new_channel(web, api, "late")):
            assert refused(answer) == (403, "tier_ended")
        assert len(api.get(MESSAGES).json()["items"]) == 1
        assert api.get(f"{ACME}/quotas").status_code == 200
        api.put(f"{ACME}/tier", json={"tier": "pro", "source": "billing"})
        assert api.post(MESSAGES, json={"text": "paid"}).status_code == 202


def test_a_tier_that_is_changed_holds_for_all_who_have_it(api: TestClient) -> None:
    api.put(f"{ACME}/tier", json={"tier": "team"})
    assert quota(api, "agents")["limit"] == 10
    changed = api.put("/api/v1/tiers/team", json={"limits": {"agents": 3, "members": None}}).json()
    assert (changed["limits"]["agents"], changed["limits"]["members"], changed["limits"]["stacks"]) == (3, None, 10)
    assert quota(api, "agents")["limit"] == 3
    assert api.delete("/api/v1/tiers/team").status_code == 204
    assert quota(api, "agents")["limit"] == 10


def test_a_tier_that_somebody_has_is_not_removed(api: TestClient) -> None:
    limited(api, agents=1)
    assert refused(api.delete("/api/v1/tiers/small")) == (409, "tier_in_use")
    api.put(f"{ACME}/tier", json={"tier": "team"})
    assert api.delete("/api/v1/tiers/small").status_code == 204
    assert refused(api.delete("/api/v1/tiers/small")) == (404, "unknown_tier")
    assert refused(api.put(f"{ACME}/tier", json={"tier": "small"})) == (422, "unknown_tier")


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"agnets": 1}, "unknown_quota"),
        ({"agents": 1.5}, "bad_limit"),
        ({"agents": -1}, "invalid"),
        ({"agents": "5"}, "invalid"),
        ({"cpu": 1e300}, "invalid"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(api: TestClient, limits: dict[str, Any], code: str) -> None:
    answer = api.put("/api/v1/tiers/team", json={"limits": limits})
    assert answer.status_code == 422
    assert answer.json()["code"] == code
    assert api.put("/api/v1/tiers/No%20Name", json={"limits": {}}).json()["code"] == "bad_name"


def test_a_tenants_own_key_changes_no_tier(web: Web, acme: Tenant, api: TestClient) -> None:
    mine = bearer(web.key(acme))
    assert api.get(f"{ACME}/quotas", headers=mine).status_code == 200
    assert api.get("/api/v1/tiers", headers=mine).status_code == 200
    for answer in (
        api.put(f"{ACME}/tier", json={"tier": "sovereign"}, headers=mine),
        api.put("/api/v1/tiers/team", json={"limits": {"agents": 99}}, headers=mine),
        api.delete("/api/v1/tiers/team", headers=mine),
    ):
        assert refused(answer) == (403, "missing_scope")


def test_what_is_spent_this_month_is_shown_and_the_gateway_holds_it_back(
    web: Web, acme: Tenant, api: TestClient
) -> None:
    limited(api, spend_usd=5)
    assert web.gateway.tiers == {acme.id: 5_000_000_000}
    assert quota(api, "spend_usd") == {"limit": 5, "used": 0, "over": False}


def test_a_member_more_than_allowed_is_not_let_in(web: Web, acme: Tenant, api: TestClient) -> None:
    limited(api, members=0)
    with pytest.raises(Denied, match="members"), web.state.store.tenant(acme.id).write() as scope:
        admit(scope.connection, scope.tenant, Quota.MEMBERS, at=web.clock.now())


def test_who_may_create_tenants_does_not_choose_their_tier(web: Web, api: TestClient) -> None:
    agency = bearer(web.key(None, "provisioning:write"))
    asked = {"slug": "client", "tier": "sovereign"}
    assert refused(api.post("/api/v1/tenants", json=asked, headers=agency)) == (403, "missing_scope")
    assert api.post("/api/v1/tenants", json={"slug": "client"}, headers=agency).status_code == 201
    assert api.post("/api/v1/tenants", json={"slug": "other", "tier": "team"}).json()["tier"] == "team"
