"""The life of keys: when they end, how one takes another's place, whose they are, and who may change their rows."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import Conflict, Denied, Invalid, NotFound
from freehold.core.tenants import Caller, Key
from freehold.store.tenants import key_table
from freehold.tenants import keys
from freehold.tenants.caller import Presented, recognise
from freehold.testing.clock import START
from tests.webs import Web, client, made

OPERATOR = Caller(actor="operator", platform=frozenset({"*"}))


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


def asked(web: Web, header: str) -> Caller:
    presented = Presented(authorization=header)
    return recognise(web.state.store, presented, known=web.state.known, at=web.clock.now())


def make(web: Web, **wanted: Any) -> tuple[Key, str]:
    told: dict[str, Any] = {"tenant": None, "name": "", "scopes": ["*"], "creator": OPERATOR} | wanted
    with web.state.store.write() as platform:
        return keys.create(platform, seal=web.state.seal, ids=web.state.ids, clock=web.clock, **told)


def rotate(web: Web, key: Key, *, by: Caller = OPERATOR, hours: float = 24) -> tuple[Key, str]:
    with web.state.store.write() as platform:
        return keys.rotate(
            platform,
            tenant=key.tenant,
            key=key.id,
            overlap=timedelta(hours=hours),
            by=by,
            seal=web.state.seal,
            ids=web.state.ids,
            clock=web.clock,
        )


def tamper(web: Web, **changes: Any) -> None:
    with web.state.store.write() as platform:
        platform.connection.execute(key_table.update().values(**changes))


def opens(web: Web, text: str) -> bool:
    try:
        asked(web, f"Bearer {text}")
    except Denied:
        return False
    return True


def test_a_key_ends_when_it_should(web: Web) -> None:
    _, text = make(web, expires_at=web.clock.now() + timedelta(days=1))
    assert opens(web, text)
    web.clock.wind(86_400)
    assert not opens(web, text)


def test_a_rotated_key_works_beside_the_new_one_until_the_overlap_is_over(web: Web) -> None:
    acme = web.tenant("acme")
    old, old_text = make(web, tenant=acme.id, scopes=["runs:read"], name="ci")
    new, new_text = rotate(web, old, hours=2)
    assert (new.scopes, new.tenant, new.name) == (old.scopes, old.tenant, old.name)
    assert asked(web, f"Bearer {new_text}").within == asked(web, f"Bearer {old_text}").within
    web.clock.wind(2 * 3600)
    assert not opens(web, old_text)
    assert opens(web, new_text)


def test_a_key_is_rotated_once_and_not_when_it_is_over(web: Web) -> None:
    key, _ = make(web)
    new, _ = rotate(web, key, hours=0)
    for over in (key, new):
        if over is new:
            with web.state.store.write() as platform:
                keys.revoke(platform, tenant=None, key=new.id, by="x", seal=web.state.seal, clock=web.clock)
        with pytest.raises(Conflict) as refused:
            rotate(web, over)
        assert refused.value.code == "key_over"
    again, _ = make(web)
    rotate(web, again)
    with pytest.raises(Conflict) as refused:
        rotate(web, again)
    assert refused.value.code == "already_rotated"


def test_whoever_rotates_a_key_may_do_what_it_can(web: Web) -> None:
    acme = web.tenant("acme")
    key, _ = make(web, tenant=acme.id, scopes=["secrets:write"])
    with pytest.raises(Denied) as refused:
        rotate(web, key, by=Caller(actor="key:1", within={acme.id: frozenset({"keys:admin"})}))
    assert refused.value.code == "wider_than_creator"


@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": ["*"]},
        {"tenant": None},
        {"agent": None},
        {"expires_at": None},
        {"revoked_at": None},
        {"replaced_by": None},
        {"created_by": "person:per_1"},
        {"revoked_at": START + timedelta(days=900)},
    ],
)
def test_a_row_that_another_process_changed_is_no_key(web: Web, changes: dict[str, Any]) -> None:
    acme = web.tenant("acme")
    agent = web.agent(acme).id
    key, text = make(
        web, tenant=acme.id, scopes=["runs:read"], agent=agent, expires_at=web.clock.now() + timedelta(days=9)
    )
    rotate(web, key)
    assert opens(web, text)
    tamper(web, **changes)
    assert not opens(web, text)


def test_a_revoked_key_is_not_brought_back_by_clearing_its_row(web: Web) -> None:
    key, text = make(web)
    with web.state.store.write() as platform:
        keys.revoke(platform, tenant=None, key=key.id, by="x", seal=web.state.seal, clock=web.clock)
    tamper(web, revoked_at=None)
    assert not opens(web, text)


@pytest.mark.parametrize("scopes", [["*"], ["runs:read", "secrets:read"], ["keys:read"]])
def test_a_key_for_one_agent_has_scopes_about_agents_alone(web: Web, scopes: list[str]) -> None:
    acme = web.tenant("acme")
    web.agent(acme, "helper")
    with pytest.raises(Invalid) as refused:
        make(web, tenant=acme.id, scopes=scopes, agent="helper")
    assert refused.value.code == "scope_not_for_agent"


def test_a_key_for_an_agent_names_one_of_its_tenant(web: Web) -> None:
    acme, other = web.tenant("acme"), web.tenant("other")
    helper = web.agent(acme, "helper")
    assert make(web, tenant=acme.id, scopes=["runs:read"], agent="helper")[0].agent == helper.id
    with pytest.raises(NotFound):
        make(web, tenant=other.id, scopes=["runs:read"], agent=helper.id)
    with pytest.raises(Invalid):
        make(web, scopes=["runs:read"], agent=helper.id)


@pytest.mark.parametrize("scope", ["people:read", "platform:read", "provisioning:write", "tiers:write"])
def test_a_tenants_key_says_nothing_about_the_platform(web: Web, scope: str) -> None:
    with pytest.raises(Invalid) as refused:
        make(web, tenant=web.tenant("acme").id, scopes=[scope])
    assert refused.value.code == "scope_not_for_tenant"


def test_a_key_lasts_no_longer_than_the_key_that_makes_it(web: Web) -> None:
    end = web.clock.now() + timedelta(days=2)
    _, text = make(web, expires_at=end)
    maker = asked(web, f"Bearer {text}")
    assert make(web, creator=maker)[0].expires_at == end
    assert make(web, creator=maker, expires_at=end - timedelta(days=1))[0].expires_at == end - timedelta(days=1)
    with pytest.raises(Denied) as refused:
        make(web, creator=maker, expires_at=end + timedelta(seconds=1))
    assert refused.value.code == "wider_than_creator"


def test_a_key_does_not_end_before_it_begins(web: Web) -> None:
    with pytest.raises(Invalid) as refused:
        make(web, expires_at=web.clock.now())
    assert refused.value.code == "bad_expiry"


def test_its_last_use_is_known_to_the_minute_and_costs_one_write_a_minute(web: Web) -> None:
    key, text = make(web)
    uses, store = web.state.known.uses, web.state.store
    web.clock.wind(61)
    assert opens(web, text)
    assert (uses.write(store), uses.write(store)) == (1, 0)
    web.clock.wind(1)
    assert opens(web, text)
    assert uses.write(store) == 0
    with store.read() as platform:
        assert platform.keys.get(None, key.id).last_used_at == START + timedelta(seconds=60)
    assert opens(web, text)


def test_keys_of_a_test_platform_say_so(tmp_path: Path) -> None:
    web = made(tmp_path, test=True)
    with client(web) as api:
        assert api.post("/api/v1/keys", json={"scopes": ["runs:read"]}).json()["key"].startswith("fh_test_")
