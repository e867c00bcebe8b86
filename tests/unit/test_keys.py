"""Keys: what they look like, what they may do, and that a wrong one is told from a mistyped one."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.access import good_scopes
from freehold.core.errors import Conflict, Denied, Invalid, NotFound
from freehold.core.tenants import Caller
from freehold.tenants import keys
from freehold.tenants.caller import Presented, recognise
from freehold.tenants.creating import RESERVED, good_slug
from freehold.tenants.operator import ensure_operator_key
from freehold.tenants.sealing import Seal
from tests.webs import SEAL, Web, made


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


def asked(web: Web, header: str) -> Caller:
    presented = Presented(authorization=header)
    return recognise(web.state.store, presented, known=web.state.known, at=web.clock.now())


def id_of(caller: Caller) -> str:
    assert caller.key is not None
    return caller.key


def test_a_key_says_what_it_is_and_never_repeats() -> None:
    one, other = keys.mint("key_01"), keys.mint("key_01")
    assert re.fullmatch(r"fh_live_01_[0-9A-Za-z]{49}", one)
    assert one != other
    assert keys.well_formed(one)


@given(place=st.integers(0, 60), letter=st.sampled_from("0aZ_9"))
def test_a_mistyped_key_is_noticed_before_anybody_is_asked(place: int, letter: str) -> None:
    key = keys.mint("key_0192f3")
    place %= len(key)
    mistyped = key[:place] + letter + key[place + 1 :]
    assert keys.well_formed(mistyped) is (mistyped == key)


def test_only_a_hash_is_kept(web: Web, tmp_path: Path) -> None:
    key = web.key(web.tenant("acme"))
    web.state.store.database.close()
    assert all(key.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_a_key_is_recognised_until_it_is_revoked(web: Web) -> None:
    acme = web.tenant("acme")
    header = f"Bearer {web.key(acme, 'runs:read')}"
    caller = asked(web, header)
    assert caller.within == {acme.id: frozenset({"runs:read"})}
    assert caller.platform == frozenset()
    with web.state.store.write() as platform:
        keys.revoke(platform, tenant=acme.id, key=id_of(caller), by="operator", seal=web.state.seal, clock=web.clock)
    with pytest.raises(Denied) as refused:
        asked(web, header)
    assert refused.value.status == 401


def test_a_neighbours_key_cannot_be_revoked(web: Web) -> None:
    acme, other = web.tenant("acme"), web.tenant("other")
    caller = asked(web, f"Bearer {web.key(acme)}")
    with web.state.store.write() as platform, pytest.raises(NotFound):
        keys.revoke(platform, tenant=other.id, key=id_of(caller), by="x", seal=web.state.seal, clock=web.clock)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer nonsense", "fh_live_1_2"])
def test_what_is_no_key_is_not_let_in(web: Web, header: str) -> None:
    with pytest.raises(Denied) as refused:
        asked(web, header)
    assert refused.value.status == 401


@pytest.mark.parametrize(
    ("tenant", "scopes", "wanted_tenant", "wanted"),
    [
        ("ten_1", {"*"}, None, ["runs:read"]),
        ("ten_1", {"*"}, "ten_2", ["runs:read"]),
        ("ten_1", {"keys:write", "runs:read"}, "ten_1", ["runs:write"]),
        ("ten_1", {"keys:write", "runs:admin"}, "ten_1", ["*"]),
        (None, {"keys:write"}, "ten_1", ["secrets:read"]),
    ],
)
def test_a_key_is_never_wider_than_its_creator(
    web: Web, tenant: str | None, scopes: set[str], wanted_tenant: str | None, wanted: list[str]
) -> None:
    held = frozenset(scopes)
    creator = Caller(actor="key:1", platform=held) if tenant is None else Caller(actor="key:1", within={tenant: held})
    with web.state.store.write() as platform, pytest.raises(Denied) as refused:
        keys.create(
            platform,
            tenant=wanted_tenant,
            name="",
            scopes=wanted,
            creator=creator,
            seal=Seal(SEAL),
            ids=web.state.ids,
            clock=web.clock,
        )
    assert refused.value.code == "wider_than_creator"


@pytest.mark.parametrize("scopes", [[], ["runs"], ["runs:delete"], ["everything:read"], ["*:*"]])
def test_a_scope_that_there_is_not_is_refused(scopes: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        good_scopes(scopes)
    assert refused.value.code == "unknown_scope"


@pytest.mark.parametrize(
    "slug",
    ["", "a", "Acme", "1acme", "-acme", "acme-", "ac--me", "acme_x", "acmé", "a" * 32, "acme\n", *sorted(RESERVED)],
)
def test_a_bad_slug_is_refused(slug: str) -> None:
    with pytest.raises(Invalid) as refused:
        good_slug(slug)
    assert refused.value.code == "bad_slug"


@pytest.mark.parametrize("slug", ["ac", "acme", "acme-2", "a" * 31])
def test_a_good_slug_is_taken(slug: str) -> None:
    assert good_slug(slug) == slug


def test_a_slug_is_given_once_and_a_uid_too(web: Web) -> None:
    assert web.tenant("acme").uid != web.tenant("other").uid
    with pytest.raises(Conflict) as refused:
        web.tenant("acme")
    assert refused.value.code == "slug_taken"


def test_the_operator_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    key = ensure_operator_key(tmp_path)
    assert ensure_operator_key(tmp_path) == key
    assert (tmp_path / "operator.key").read_text() == key + "\n"
    assert (tmp_path / "operator.key").stat().st_mode & 0o777 == 0o600
    assert keys.well_formed(key)
    assert [file.name for file in tmp_path.iterdir()] == ["operator.key"]


def test_an_operator_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    ensure_operator_key(tmp_path)
    (tmp_path / "operator.key").chmod(0o644)
    with pytest.raises(Invalid) as refused:
        ensure_operator_key(tmp_path)
    assert "chmod 600" in refused.value.remedy
