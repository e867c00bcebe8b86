"""The record cannot be changed quietly: the first link that is not as it was written is named."""

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import select, text

from freehold.audit.asking import Asking, asking, from_headers, request_id, to_headers
from freehold.audit.canonical import canonical, fingerprint
from freehold.audit.chain import FACTS, Head, Link, line_hash, line_of, link, start, verify
from freehold.audit.reading import Wanted, every_link, rows
from freehold.audit.sealing import _any, _waiting, heads, pending, seal
from freehold.core.errors import Invalid
from freehold.core.tenants import Tenant
from freehold.gateway.tables import audit
from freehold.store.db import Database
from tests.records import store, unguarded, write

STORE = "gateway"


def chain(length: int = 5, tenant: str = "ten_1") -> list[Link]:
    links: list[Link] = []
    head = start(STORE, tenant)
    for number in range(length):
        made = link(head, at=number, actor="a", action="b", subject="c", detail={"n": number}, run="run_1", way="")
        links.append(made)
        head = Head(store=STORE, tenant=tenant, seq=made.seq, hash=made.hash)
    return links


def rewritten(links: list[Link], at: int) -> list[Link]:
    """Change a link and mend its own hash, as somebody would who knows how."""
    changed = replace(links[at], subject="other")
    return [*links[:at], replace(changed, hash=line_hash(line_of(changed))), *links[at + 1 :]]


@pytest.mark.parametrize(
    ("tamper", "seq", "what", "row"),
    [
        (lambda links: [*links[:2], replace(links[2], actor="x"), *links[3:]], 3, "changed", 3),
        (lambda links: [*links[:2], replace(links[2], detail={"n": 99}), *links[3:]], 3, "changed", 3),
        (lambda links: [*links[:2], replace(links[2], detail={"n": 1 << 60}), *links[3:]], 3, "changed", 3),
        (lambda links: [*links[:2], replace(links[2], run=""), *links[3:]], 3, "changed", 3),
        (lambda links: [*links[:2], replace(links[2], way="otp"), *links[3:]], 3, "changed", 3),
        (lambda links: [*links[:2], replace(links[2], tenant="ten_2"), *links[3:]], 3, "changed", 3),
        (lambda links: rewritten(links, 2), 3, "replaced", 3),
        (lambda links: [*links[:2], *links[3:]], 3, "missing", 3),
        (lambda links: links[1:], 1, "missing", 1),
        (lambda links: [links[0], links[2], links[1], *links[3:]], 2, "reordered", 2),
        (lambda links: [*links[:3], links[1], *links[3:]], 2, "inserted", 4),
    ],
)
def test_the_first_fault_is_named(tamper: Callable[[list[Link]], list[Link]], seq: int, what: str, row: int) -> None:
    fault = verify(tamper(chain())).faults[0]
    assert (fault.seq, fault.what, fault.row) == (seq, what, row)


def test_a_whole_chain_verifies_and_tells_its_head() -> None:
    links = chain()
    report = verify([*links, *chain(2, "")])
    assert report.ok
    assert report.count == 7
    assert report.heads[0] == Head(store=STORE, tenant="ten_1", seq=5, hash=links[-1].hash)


def test_what_is_not_known_is_not_in_the_chain() -> None:
    told = line_of(chain(1)[0])
    assert set(told) == {
        "store", "tenant", "seq", "at", "actor", "action", "subject", "detail", "run", "prev", "hash",
    }  # fmt: skip


def test_a_cut_tail_shows_against_a_saved_head() -> None:
    links = chain()
    saved = [Head(store=STORE, tenant="ten_1", seq=5, hash=links[-1].hash)]
    assert verify(links[:3]).ok
    assert [(fault.seq, fault.what) for fault in verify(links[:3], saved=saved).faults] == [(4, "cut")]
    assert [(fault.seq, fault.what) for fault in verify([], saved=saved).faults] == [(1, "cut")]


def test_a_chain_written_anew_shows_against_a_saved_head() -> None:
    links = chain()
    head = Head(store=STORE, tenant="ten_1", seq=4, hash=links[3].hash)
    anew = chain(2)
    for number in (3, 4):
        end = Head(store=STORE, tenant="ten_1", seq=number - 1, hash=anew[-1].hash)
        anew.append(link(end, at=9, actor="x", action="y", subject="z", detail={}))
    assert verify(anew).ok
    assert [(fault.seq, fault.what) for fault in verify(anew, saved=[head]).faults] == [(4, "replaced")]


def test_what_has_no_canonical_form_is_refused() -> None:
    assert canonical({"b": 1, "a": [1.0, "ä"]}) == '{"a":[1,"ä"],"b":1}'.encode()
    for value in (1 << 53, float("nan"), {1: 2}, "\ud800", object()):
        with pytest.raises(Invalid):
            canonical(value)


def test_a_fingerprint_tells_whether_a_noun_changed_and_nothing_else() -> None:
    tenant = Tenant(id="ten_1", slug="acme", name="Acme", uid=1, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert fingerprint(None) == ""
    assert fingerprint(tenant) == fingerprint(replace(tenant)) != fingerprint(replace(tenant, name="Other"))
    assert fingerprint(tenant, "name") == fingerprint(replace(tenant, name="Other"), "name")
    assert fingerprint({"a": {"x", "y"}, "b": [tenant.state]})


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = store(tmp_path)
    with made.write() as tx:
        for tenant in ("ten_1", None, "ten_1"):
            write(tx, tenant)
    seal(made, audit, store=STORE)
    with made.write() as tx:
        write(tx)
    return made


def links_in(database: Database) -> list[Link]:
    with database.read() as tx:
        return list(every_link(tx, audit, store=STORE))


def test_a_row_gets_its_place_behind_the_act_and_only_once(database: Database) -> None:
    assert pending(database, audit)
    assert seal(database, audit, store=STORE) == 1
    assert not pending(database, audit)
    assert seal(database, audit, store=STORE) == 0
    with database.read() as tx:
        assert [(end.tenant, end.seq) for end in heads(tx, audit, store=STORE)] == [("", 1), ("ten_1", 3)]
    assert verify(links_in(database)).ok
    assert [(made.tenant, made.seq) for made in links_in(database)] == [
        ("", 1),
        ("ten_1", 1),
        ("ten_1", 2),
        ("ten_1", 3),
    ]


def test_looking_for_rows_without_a_place_reads_nothing_else(database: Database) -> None:
    with database.read() as tx:
        for asked in (_any(audit), _waiting(audit)):
            spelt = str(asked.compile(tx.engine))
            plan = tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {spelt}", (1,) * spelt.count("?")).all()
            assert [step[3].partition("INDEX ")[2] for step in plan] == ["audit_unsealed"]


PLACE = f"prev = '{'0' * 64}', hash = '{'0' * 64}'"
ROW = f"tenant, at, actor, action, subject, detail, {', '.join(FACTS)}"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'x'",
        "UPDATE audit SET seq = NULL WHERE seq = 2",
        "UPDATE audit SET hash = 'x' WHERE seq = 2",
        "UPDATE audit SET seq = 3 WHERE position = 4",
        f"UPDATE OR REPLACE audit SET seq = 2, {PLACE} WHERE position = 4",
        f"UPDATE audit SET position = 9, seq = 3, {PLACE} WHERE position = 4",
        f"UPDATE audit SET seq = 4, {PLACE} WHERE position = 4",
        f"UPDATE audit SET seq = 9007199254740993, {PLACE} WHERE position = 4",
        f"UPDATE audit SET seq = 'x', {PLACE} WHERE position = 4",
        f"UPDATE audit SET seq = 3, {PLACE[:-2]}' WHERE position = 4",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit WHERE seq IS NULL",
        "REPLACE INTO audit SELECT * FROM audit LIMIT 1",
        "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE position = 4",
        f"INSERT INTO audit SELECT 9, tenant, at, actor, action, subject, detail, {', '.join(FACTS)}, 3, prev, hash FROM audit",
        # What could not be hashed, or would stand elsewhere than at the end.
        *(
            f"INSERT INTO audit SELECT NULL, {ROW.replace(f', {column},', f', {value},', 1)}, NULL, NULL, NULL FROM audit LIMIT 1"
            for column, value in (("at", "1152921504606846976"), ("at", "'x'"), ("actor", "x'ff'"), ("detail", "x'7b'"))
        ),
        f"INSERT INTO audit SELECT -5, {ROW}, NULL, NULL, NULL FROM audit LIMIT 1",
        f"INSERT INTO audit SELECT 9223372036854775807, {ROW}, NULL, NULL, NULL FROM audit LIMIT 1",
        *(
            f"UPDATE audit SET seq = 3, {PLACE}, {name} = 'x' WHERE position = 4"
            for name in ("tenant", "at", "actor", "action", "subject", "detail", *FACTS)
        ),
    ],
)
def test_the_database_itself_refuses_to_change_the_record(database: Database, statement: str) -> None:
    before = links_in(database)
    with pytest.raises(sqlalchemy.exc.IntegrityError, match="audit record"), database.write() as tx:
        tx.execute(text(statement))
    seal(database, audit, store=STORE)
    assert links_in(database)[:3] == before
    assert verify(links_in(database)).ok


@pytest.mark.parametrize(
    "detail", ['{"a":1e999}', '{"a":9007199254740993}', '{"a": 1}', "[", "[" * 100_000, '"\\ud800"']
)
def test_a_detail_that_nobody_can_spell_holds_up_no_other_row(database: Database, detail: str) -> None:
    with database.write() as tx:
        row = ROW.replace("detail", ":detail", 1)
        put = f"INSERT INTO audit SELECT NULL, {row}, NULL, NULL, NULL FROM audit LIMIT 1"
        tx.execute(text(put), {"detail": detail})
        write(tx)
    assert seal(database, audit, store=STORE) == 3
    found = links_in(database)
    assert {"unreadable": detail} in [one.detail for one in found]
    assert verify(found).ok


def test_a_signed_head_is_never_changed_removed_or_replaced(database: Database) -> None:
    with database.write() as tx:
        tx.execute(text("INSERT INTO anchors VALUES ('', 1, 1, '{}')"))
    for statement in (
        "UPDATE anchors SET line = ''",
        "DELETE FROM anchors",
        "INSERT OR REPLACE INTO anchors VALUES ('', 1, 1, 'x')",
    ):
        with pytest.raises(sqlalchemy.exc.IntegrityError, match="a signed head"), database.write() as tx:
            tx.execute(text(statement))


@pytest.mark.parametrize("value", ["'{'", "'[]'", '\'{"d":"e"}\''])
def test_who_goes_around_the_guards_is_found_out(database: Database, value: str) -> None:
    unguarded(database, f"UPDATE audit SET detail = {value} WHERE tenant = 'ten_1' AND seq = 2")
    faults = verify(links_in(database)).faults
    assert [(fault.seq, fault.what) for fault in faults] == [(2, "changed")]


def test_a_number_that_is_none_is_found_out(database: Database) -> None:
    unguarded(database, "UPDATE audit SET seq = 'two' WHERE tenant = 'ten_1' AND seq = 2")
    assert [fault.what for fault in verify(links_in(database)).faults] == ["changed"]


def test_a_row_is_undone_with_what_it_tells_about(database: Database) -> None:
    def act() -> None:
        with database.write() as tx:
            write(tx)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        act()
    with database.read() as tx:
        assert len(tx.execute(select(audit)).all()) == 4


def test_the_record_is_read_by_what_somebody_looks_for(database: Database) -> None:
    with database.write() as tx:
        write(tx, actor="key:1", action="key.create", subject="key_2", at=50, run="run_1")
        write(tx, actor="key:1", action="keyring.open", at=60)

    def found(*, last: bool = False, limit: int = 9, **wanted: Any) -> list[int]:
        with database.read() as tx:
            told = rows(tx, audit, store=STORE, tenant="ten_1", wanted=Wanted(**wanted), last=last, limit=limit)
            return [row["position"] for row in told]

    assert found() == [1, 3, 4, 5, 6]
    assert found(last=True, limit=2) == [5, 6]
    assert found(actor="key:1") == [5, 6]
    assert found(action="key") == found(action="key.create") == found(subject="key_2") == found(run="run_1") == [5]
    assert found(since=60) == [6]


def test_a_row_says_in_which_request_and_by_which_way(database: Database) -> None:
    token = asking.set(Asking(request="req-1", way="otp"))
    try:
        with database.write() as tx:
            write(tx)
            write(tx, way="passkey")
        assert from_headers({name.lower(): value for name, value in to_headers().items()}) == asking.get()
    finally:
        asking.reset(token)
    seal(database, audit, store=STORE)
    assert [(made.request, made.way) for made in links_in(database)][-2:] == [("req-1", "otp"), ("req-1", "passkey")]
    assert to_headers() == {}


def test_only_a_plain_request_id_is_taken_from_a_client() -> None:
    def fresh(_prefix: str) -> str:
        return "req_fresh"

    assert request_id("a-B.9_", fresh) == "a-B.9_"
    for odd in ("", "a" * 81, "a b", "ä", "a\n"):
        assert request_id(odd, fresh) == "req_fresh"
    assert from_headers({"x-request-id": "a\nb", "x-freehold-way": "otp"}) == Asking(request="", way="otp")


def test_a_line_tells_all_there_is(database: Database) -> None:
    made = links_in(database)[-1]
    assert {name: value for name, value in asdict(made).items() if value or name not in FACTS} == line_of(made)
