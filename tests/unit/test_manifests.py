"""What was put back, moved or taken away in the vault is noticed, and nothing of it is opened."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection as Tx
from sqlalchemy import delete, select, update

from freehold.core.errors import Denied, FreeholdError
from freehold.gateway import ledger, mending, pairs, secrets
from freehold.gateway.keeping import Keep
from freehold.gateway.manifests import RolledBack
from freehold.gateway.tables import audit, effects, key_pairs, manifests, tenant_keys
from freehold.gateway.tables import secrets as secret_table
from tests.vaults import carried_out, forget, kept, opened, put


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    with kept(tmp_path) as keep:
        yield keep


def row(keep: Keep, name: str, tenant: str = "ten_1") -> dict[str, Any]:
    which = secret_table.c.tenant == tenant, secret_table.c.name == name
    return dict(keep._read(lambda tx: tx.execute(select(secret_table).where(*which)).mappings().one()))


def put_back(keep: Keep, row: dict[str, Any]) -> None:
    which = secret_table.c.tenant == row["tenant"], secret_table.c.name == row["name"]
    keep.written(lambda tx: tx.execute(update(secret_table).where(*which).values(row)))


def test_an_older_value_that_is_put_back_is_not_opened(keep: Keep) -> None:
    put(keep, "api", "leaked")
    older = row(keep, "api")
    put(keep, "api", "fresh")
    assert opened(keep, "api") == "fresh"
    put_back(keep, older)
    with pytest.raises(RolledBack) as told:
        opened(keep, "api")
    assert told.value.code == "vault_rolled_back"
    assert told.value.remedy
    forget(keep)
    with pytest.raises(RolledBack):
        opened(keep, "api")
    put(keep, "api", "set anew")
    assert opened(keep, "api") == "set anew"


async def test_that_something_was_put_back_stands_in_the_record_once(keep: Keep) -> None:
    put(keep, "api", "leaked")
    older = row(keep, "api")
    put(keep, "api", "fresh")
    put_back(keep, older)
    for _ in range(3):
        with pytest.raises(RolledBack):
            await keep.read(lambda tx: secrets.opened(tx, keep, tenant="ten_1", name="api"))
    rows = await keep.read(lambda tx: tx.execute(select(audit.c.action, audit.c.subject)).all())
    assert [tuple(row) for row in rows if row.action == "vault.rolled_back"] == [("vault.rolled_back", "secret 'api'")]


def test_a_secret_that_was_deleted_does_not_come_back(keep: Keep) -> None:
    put(keep, "api", "gone")
    older = row(keep, "api")
    keep.written(lambda tx: secrets.remove(tx, keep, tenant="ten_1", name="api", by="tester"))
    keep.written(lambda tx: tx.execute(secret_table.insert().values(older)))
    with pytest.raises(RolledBack):
        opened(keep, "api")


def test_a_list_that_is_put_back_as_well_is_noticed_by_who_saw_the_newer(keep: Keep) -> None:
    put(keep, "api", "leaked")
    older, list_before = row(keep, "api"), listed(keep)
    put(keep, "api", "fresh")
    opened(keep, "api")
    put_back(keep, older)
    keep.written(lambda tx: tx.execute(update(manifests).values(list_before)))
    with pytest.raises(RolledBack):
        opened(keep, "api")


def test_the_record_tells_of_a_list_that_was_put_back_while_nobody_looked(tmp_path: Path) -> None:
    with kept(tmp_path) as keep:
        put(keep, "api", "leaked")
        older, list_before = row(keep, "api"), listed(keep)
        put(keep, "api", "fresh")
        assert keep._read(lambda tx: keep.manifests.faults(tx, "ten_1")) == []
        put_back(keep, older)
        keep.written(lambda tx: tx.execute(update(manifests).values(list_before)))
    with kept(tmp_path) as keep:
        assert keep._read(lambda tx: keep.manifests.faults(tx, "ten_1")) == ["the list of the vault"]


def test_a_list_that_was_taken_away_is_not_made_again(keep: Keep) -> None:
    put(keep, "api", "value")
    keep.written(lambda tx: tx.execute(delete(manifests)))
    forget(keep)
    keep.written(lambda tx: mending.adopt(tx, keep))
    with pytest.raises(RolledBack):
        opened(keep, "api")


def test_secrets_from_before_there_were_lists_are_listed_at_the_start(keep: Keep) -> None:
    def before(tx: Tx) -> None:
        sealed = keep.sealer(tx, "ten_1").seal(b"value", name="api", purpose=secrets.PURPOSE)
        told = {"tenant": "ten_1", "name": "api", "version": 1, "set_by": "tester", "set_at": keep.now()}
        tx.execute(secret_table.insert().values(sealed=sealed, **told))
        keep.note(tx, "ten_1", actor="tester", action="secret.set", subject="api", detail={"version": 1})

    keep.written(before)
    keep.written(lambda tx: mending.adopt(tx, keep))
    keep.written(lambda tx: mending.adopt(tx, keep))
    assert opened(keep, "api") == "value"
    assert keep._read(lambda tx: keep.manifests.faults(tx, "ten_1")) == []


def test_a_change_that_is_undone_raises_no_alarm(keep: Keep) -> None:
    put(keep, "api", "first")

    def fails(tx: Tx) -> None:
        secrets.put(tx, keep, tenant="ten_1", name="api", value="second", by="tester")
        assert secrets.opened(tx, keep, tenant="ten_1", name="api").reveal() == "second"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        keep.written(fails)
    forget(keep)
    assert opened(keep, "api") == "first"
    put(keep, "api", "third")
    assert opened(keep, "api") == "third"


def test_who_reads_an_earlier_moment_raises_no_alarm(keep: Keep) -> None:
    put(keep, "api", "first")
    forget(keep)
    with keep._database.read() as tx:
        tx.execute(select(secret_table)).all()
        put(keep, "api", "second")
        assert opened(keep, "api") == "second"
        assert secrets.opened(tx, keep, tenant="ten_1", name="api").reveal() == "first"


def listed(keep: Keep) -> dict[str, Any]:
    return dict(keep._read(lambda tx: tx.execute(select(manifests)).mappings().one()))


def filled(keep: Keep) -> None:
    """Seal something of every kind, for two tenants and the platform."""
    for tenant in ("ten_1", "ten_2"):
        put(keep, "api", f"value of {tenant}", tenant)
        put(keep, "other", "value", tenant)
        carried_out(keep, tenant, "run_1/1/1/1")
        keep.written(partial(pairs.public_key, keep=keep, tenant=tenant, purpose="texts"))


Place = tuple[str, str, str]
PLACES: list[Place] = [
    (tenant, kind, name)
    for tenant in ("ten_1", "ten_2")
    for kind, name in (
        ("secret", "api"), ("secret", "other"), ("pair", "texts"), ("arguments", "run_1/1/1/1"), ("outcome", "run_1/1/1/1"),
    )
]  # fmt: skip
COLUMNS = {
    "secret": (secret_table, secret_table.c.name, "sealed"),
    "pair": (key_pairs, key_pairs.c.purpose, "sealed"),
    "arguments": (effects, effects.c.key, "arguments"),
    "outcome": (effects, effects.c.key, "outcome"),
}
OPEN: dict[str, Callable[[Tx, Keep, str, str], Any]] = {
    "secret": lambda tx, keep, tenant, name: secrets.opened(tx, keep, tenant=tenant, name=name),
    "pair": lambda tx, keep, tenant, name: pairs._private(tx, keep, tenant=tenant, purpose="texts"),
    "arguments": lambda tx, keep, tenant, name: keep.sealer(tx, tenant).open(
        ledger_row(tx, tenant).arguments, name=name, purpose=ledger.ARGUMENTS
    ),
    "outcome": lambda tx, keep, tenant, name: ledger.look(tx, keep, tenant=tenant, key=name),
}


def ledger_row(tx: Tx, tenant: str) -> Any:
    return tx.execute(select(effects).where(effects.c.tenant == tenant)).one()


def sealed_at(keep: Keep, place: Place) -> bytes:
    tenant, kind, name = place
    table, named, column = COLUMNS[kind]
    chosen = select(table.c[column]).where(table.c.tenant == tenant, named == name)
    return bytes(keep._read(lambda tx: tx.execute(chosen).scalar_one()))


def lay(keep: Keep, place: Place, sealed: bytes) -> None:
    tenant, kind, name = place
    table, named, column = COLUMNS[kind]
    keep.written(
        lambda tx: tx.execute(update(table).where(table.c.tenant == tenant, named == name).values({column: sealed}))
    )
    forget(keep)


def look(keep: Keep, place: Place) -> None:
    tenant, kind, name = place
    keep._read(lambda tx: OPEN[kind](tx, keep, tenant, name))


def test_nothing_sealed_opens_where_something_else_was(keep: Keep) -> None:
    filled(keep)
    for source, goal in itertools.permutations(PLACES, 2):
        right = sealed_at(keep, goal)
        lay(keep, goal, sealed_at(keep, source))
        with pytest.raises(Denied):
            look(keep, goal)
        lay(keep, goal, right)
        look(keep, goal)


@pytest.mark.parametrize("place", PLACES[:5], ids=str)
def test_no_flipped_byte_goes_unseen(keep: Keep, place: Place) -> None:
    filled(keep)
    right = sealed_at(keep, place)
    for at in range(len(right)):
        lay(keep, place, right[:at] + bytes([right[at] ^ 1]) + right[at + 1 :])
        with pytest.raises(Denied):
            look(keep, place)
    lay(keep, place, right)
    look(keep, place)


def change_key(keep: Keep, values: dict[str, Any]) -> None:
    keep.written(lambda tx: tx.execute(update(tenant_keys).where(tenant_keys.c.tenant == "ten_1").values(values)))


def test_a_tenants_key_under_another_name_or_number_opens_nothing(keep: Keep) -> None:
    filled(keep)
    right = keep._read(lambda tx: {row.tenant: row.wrapped for row in tx.execute(select(tenant_keys))})
    swapped: list[dict[str, Any]] = [{"wrapped": right["ten_2"]}, {"generation": 2}, {"wrapped": b""}]
    for change in swapped:
        change_key(keep, change)
        for place in PLACES[:5]:
            forget(keep)
            with pytest.raises(FreeholdError):
                look(keep, place)
        change_key(keep, {"generation": 1, "wrapped": right["ten_1"]})


def test_another_master_key_opens_nothing(tmp_path: Path) -> None:
    with kept(tmp_path) as keep:
        filled(keep)
    with kept(tmp_path, bytes(32)) as keep:
        for place in PLACES:
            with pytest.raises(Denied):
                look(keep, place)


def test_a_secret_that_did_not_change_is_not_opened_again(keep: Keep) -> None:
    put(keep, "api", "value")
    assert opened(keep, "api") == "value"
    keep.written(lambda tx: tx.execute(delete(tenant_keys)))
    assert opened(keep, "api") == "value"
