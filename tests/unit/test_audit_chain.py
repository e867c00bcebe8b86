"""The record cannot be changed quietly: the first link that is not as it was written is named."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import select, text

import freehold.gateway
from freehold.audit.canonical import canonical, digest
from freehold.audit.chain import Fault, Head, Link, link, start, verify
from freehold.audit.recording import every_link, record, to_line, verify_file
from freehold.core.errors import Invalid
from freehold.gateway.tables import audit
from freehold.store.db import Database, sqlite_address
from freehold.store.migrating import migrate


def chain(length: int = 5, tenant: str = "ten_1") -> list[Link]:
    links: list[Link] = []
    head = start(tenant)
    for number in range(length):
        made = link(head, at=number, actor="a", action="b", subject="c", detail={"n": number})
        links.append(made)
        head = Head(tenant=tenant, seq=made.seq, hash=made.hash)
    return links


def rewritten(links: list[Link], at: int) -> list[Link]:
    """Change a link and mend its own hash, as somebody would who knows how."""
    body = {"tenant", "seq", "at", "actor", "action", "subject", "detail", "prev"}
    changed = replace(links[at], subject="other")
    mended = replace(changed, hash=digest({name: getattr(changed, name) for name in body}))
    return [*links[:at], mended, *links[at + 1 :]]


@pytest.mark.parametrize(
    ("tamper", "seq", "what"),
    [
        (lambda links: [*links[:2], replace(links[2], actor="x"), *links[3:]], 3, "changed"),
        (lambda links: [*links[:2], replace(links[2], detail={"n": 99}), *links[3:]], 3, "changed"),
        (lambda links: [*links[:2], replace(links[2], detail={"n": 1 << 60}), *links[3:]], 3, "changed"),
        (lambda links: rewritten(links, 2), 4, "changed"),
        (lambda links: [*links[:2], *links[3:]], 3, "missing"),
        (lambda links: links[1:], 1, "missing"),
        (lambda links: [links[0], links[2], links[1], *links[3:]], 2, "missing"),
        (lambda links: [*links[:3], links[1], *links[3:]], 2, "reordered"),
    ],
)
def test_the_first_fault_is_named(tamper: Callable[[list[Link]], list[Link]], seq: int, what: str) -> None:
    assert verify(tamper(chain())).faults == (Fault(tenant="ten_1", seq=seq, what=what),)


def test_a_whole_chain_verifies_and_tells_its_head() -> None:
    links = chain()
    report = verify([*links, *chain(2, "")])
    assert report.ok
    assert report.count == 7
    assert report.heads[0] == Head(tenant="ten_1", seq=5, hash=links[-1].hash)


def test_a_cut_tail_shows_against_a_saved_head() -> None:
    links = chain()
    saved = [Head(tenant="ten_1", seq=5, hash=links[-1].hash)]
    assert verify(links[:3]).ok
    assert verify(links[:3], saved=saved).faults == (Fault(tenant="ten_1", seq=4, what="cut"),)
    assert verify([], saved=saved).faults == (Fault(tenant="ten_1", seq=1, what="cut"),)


def test_a_chain_written_anew_shows_against_a_saved_head() -> None:
    links = chain()
    head = Head(tenant="ten_1", seq=4, hash=links[3].hash)
    anew = [*links[:2], *(replace(made) for made in chain_from(links[1]))]
    assert verify(anew).ok
    assert not verify(anew, saved=[head]).ok


def chain_from(last: Link) -> list[Link]:
    third = link(Head(tenant="ten_1", seq=2, hash=last.hash), at=9, actor="x", action="y", subject="z", detail={})
    fourth = link(Head(tenant="ten_1", seq=3, hash=third.hash), at=9, actor="x", action="y", subject="z", detail={})
    return [third, fourth]


def test_what_has_no_canonical_form_is_refused() -> None:
    assert canonical({"b": 1, "a": [1.0, "ä"]}) == '{"a":[1,"ä"],"b":1}'.encode()
    for value in (1 << 53, float("nan"), {1: 2}, "\ud800", object()):
        with pytest.raises(Invalid):
            canonical(value)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(sqlite_address(tmp_path / "x.db"))
    migrate(made, Path(freehold.gateway.__path__[0]) / "migrations", lock=tmp_path / "lock")
    with made.write() as tx:
        for tenant in ("ten_1", None, "ten_1"):
            record(tx, audit, at=1, tenant=tenant, actor="a", action="b", subject="c", detail={"d": "é"})
    return made


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'x'",
        "DELETE FROM audit WHERE seq = 2",
        "REPLACE INTO audit SELECT tenant, seq, at, 'x', action, subject, detail, prev, hash FROM audit LIMIT 1",
        "INSERT OR REPLACE INTO audit SELECT tenant, seq, at, 'x', action, subject, detail, prev, hash FROM audit",
    ],
)
def test_the_database_itself_refuses_to_change_the_record(database: Database, statement: str) -> None:
    with pytest.raises(sqlalchemy.exc.IntegrityError, match="audit record"), database.write() as tx:
        tx.execute(text(statement))
    with database.read() as tx:
        assert verify(every_link(tx, audit)).ok


def test_who_goes_around_the_guards_is_found_out(database: Database) -> None:
    with database.write() as tx:
        tx.execute(text("DROP TRIGGER audit_never_changes"))
        tx.execute(text("UPDATE audit SET detail = '{' WHERE tenant = 'ten_1' AND seq = 2"))
    with database.read() as tx:
        assert verify(every_link(tx, audit)).faults == (Fault(tenant="ten_1", seq=2, what="changed"),)


def test_a_link_is_undone_with_what_it_tells_about(database: Database) -> None:
    def act() -> None:
        with database.write() as tx:
            record(tx, audit, at=2, tenant="ten_1", actor="a", action="b", subject="c")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        act()
    with database.read() as tx:
        assert len(tx.execute(select(audit)).all()) == 3


def test_an_export_verifies_without_a_database(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    with database.read() as tx:
        file.write_text("".join(to_line(made) + "\n" for made in every_link(tx, audit)))
    assert verify_file(file).ok
    file.write_text(file.read_text().replace('"actor":"a"', '"actor":"b"', 1))
    assert not verify_file(file).ok


def test_a_file_that_is_no_export_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    for line in ("hello", "[]", "{}", '{"detail": 1, "seq": 1}'):
        file.write_text(line)
        with pytest.raises(Invalid):
            verify_file(file)
