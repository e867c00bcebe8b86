"""Bytes that are no text, put into the record past everything that writes there, keep nobody from a place in it."""

from pathlib import Path

import pytest
from sqlalchemy import text

from freehold.audit.chain import verify
from freehold.audit.database import STORE, table
from freehold.audit.reading import every_link, rows
from freehold.audit.sealing import pending, seal
from tests.records import House, house, unguarded
from tests.verdicts import judged

COLUMNS = ("tenant", "actor", "action", "subject", "detail", "way", "run", "text")
_NAMES = (
    "tenant", "at", "actor", "action", "subject", "detail", "way", "run", "request", "verdict", "policy", "before",
    "after", "arguments", "approver", "result", "text",
)  # fmt: skip


def put(home: House, column: str) -> None:
    """Put a row in whose `column` holds a byte that is no UTF-8."""
    plain = dict.fromkeys(_NAMES, "''") | {"tenant": "'ten_1'", "at": "1", "detail": "'{}'"}
    stated = plain | {column: "CAST(x'61ff' AS TEXT)"}
    with home.database.write() as tx:
        tx.execute(text(f"INSERT INTO audit ({', '.join(stated)}) VALUES ({', '.join(stated.values())})"))


@pytest.mark.parametrize("column", COLUMNS)
async def test_a_row_that_is_no_text_keeps_no_other_from_its_place(
    tmp_path: Path, column: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(tmp_path) as home:
        for _ in range(2):
            put(home, column)
            put(home, column)
            home.act("ten_1", 2)
        assert not pending(home.database, table)
        with home.database.read() as tx:
            found = rows(tx, table, store=STORE, tenant="ten_1")
            assert [row["subject"] for row in found if row["seq"]][-1] == "thing 1"
            told = {"unreadable": "a\\xff"} if column == "detail" else "a\\xff"
            assert column == "tenant" or [row.get(column) for row in found].count(told) == 4
            assert verify(every_link(tx, table, store=STORE)).ok
        await home.anchored()
        assert judged(await home.exported(), await home.key(), home.anchors, capsys) == []


async def test_a_sealed_row_whose_bytes_were_changed_is_told_and_the_chain_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.act("ten_1", 3)
        unguarded(
            home.database,
            "UPDATE audit SET actor = CAST(x'ff' AS TEXT) WHERE seq = 2",
            "UPDATE audit SET hash = CAST(x'ff' AS TEXT) WHERE seq = 3",
        )
        home.act("ten_1", 1)
        assert seal(home.database, table, store=STORE) == 0
        with home.database.read() as tx:
            assert [(it.seq, it.what) for it in verify(every_link(tx, table, store=STORE)).faults] == [(2, "changed")]
        await home.anchored()
