"""Whoever makes up a record, its anchors or a signature is found out too, and breaks no verifier."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from freehold.audit.canonical import canonical
from freehold.audit.verifying import verify_file
from tests.records import House, house, lines_of
from tests.verdicts import judged, mended, write
from tools import verify_audit


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as made:
        made.act("ten_1", 5)
        await made.gateway_act("ten_1", 1)
        yield made


def tenant_judged(file: Path, key: str, tenant: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what both verifiers say about a file that should be the tenant's."""
    found = verify_file(file, key=key, tenant=tenant)
    capsys.readouterr()
    assert verify_audit.main([str(file), "--key", key, "--tenant", tenant]) == (0 if found.ok else 1)
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if line.startswith("row ")] == list(found.faults)
    assert (f"it is the record of {found.whose}" in said) == found.ok
    return list(found.faults)


async def test_anchors_that_are_not_those_of_the_head_are_named(
    home: House, capsys: pytest.CaptureFixture[str]
) -> None:
    key = await home.key()
    for _ in range(2):
        home.act("ten_1")
        await home.anchored()
    old = await home.exported(name="old.jsonl")
    home.act("ten_2")
    await home.anchored()
    home.act("ten_2")
    await home.anchored()
    lines = home.anchors.read_text().splitlines()
    cases = [
        ([], "the head knows anchor 2, and the anchor file ends at 0: it was cut or is old"),
        (["", ""], "the head knows anchor 2, and the anchor file ends at 0: it was cut or is old"),
        (lines[2:], "the head knows anchor 2, and the anchor file begins at 3: it was cut"),
    ]
    copy = home.folder / "copy.jsonl"
    for cut, reason in cases:
        copy.write_text("".join(f"{line}\n" for line in cut))
        assert any(reason in line for line in judged(old, key, copy, capsys)), reason
    copy.write_text("".join(f"{line}\n" for line in lines[1:]))
    assert judged(old, key, copy, capsys) == []
    assert verify_file(old, key=key, anchor_file=copy).notes == (
        "the anchor file begins at anchor 2: what only older ones knew was not compared",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"heads": [{"store": 5, "tenant": "ten_1", "seq": 1, "hash": "x"}]},
        {"heads": [{"store": "database", "tenant": None, "seq": 1, "hash": "x"}]},
        {"heads": [{"store": "database", "tenant": "ten_1", "seq": True, "hash": "x"}]},
        {"heads": {}},
        {"number": 0},
        {"faults": [{"store": "database", "tenant": "ten_1", "seq": 1, "what": ["changed"], "now": 1}]},
        {"faults": 7},
        {"prev": None},
    ],
)
async def test_made_up_anchors_and_heads_are_named_and_break_nothing(
    home: House, changes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    await home.anchored()
    home.act("ten_1")
    await home.anchored()
    file, key = await home.exported(), await home.key()
    first, second = home.anchors.read_text().splitlines()
    copy = home.folder / "copy.jsonl"
    copy.write_text(f"{canonical(json.loads(first) | changes).decode()}\n{second}\n")
    assert any(line.startswith("anchor ") for line in judged(file, key, copy, capsys))
    *rows, head = lines_of(file)
    write(file, [*rows, head | changes | {"stores": 1}])
    assert judged(file, key, None, capsys) == ["row 8: the head is forged: its signature does not fit the key"]
    assert verify_file(file).faults == ("row 8: it is no head as it was written",)


async def test_a_record_of_somebody_else_is_no_answer(home: House, capsys: pytest.CaptureFixture[str]) -> None:
    home.act("ten_2")
    key, file, everything = await home.key(), await home.exported("ten_2"), await home.exported(None, name="all.jsonl")
    assert tenant_judged(file, key, "ten_2", capsys) == tenant_judged(everything, key, "*", capsys) == []
    assert tenant_judged(file, key, "ten_1", capsys) == [
        "row 2: this is the record of ten_2 in database and gateway, and not of ten_1"
    ]
    assert "and not of platform" in tenant_judged(everything, key, "platform", capsys)[0]


async def test_no_name_passes_for_a_line_of_a_verdict(home: House, capsys: pytest.CaptureFixture[str]) -> None:
    file, key = await home.exported(), await home.key()
    *rows, head = lines_of(file)
    write(file, [mended(rows[0], tenant="x\nwhole: 6 rows in 2 chains", seq=2), *rows[1:], head])
    judged(file, key, None, capsys)
    verify_audit.main([str(file), "--key", key])
    assert not any(line.startswith("whole") for line in capsys.readouterr().out.splitlines())


SMALL = (
    "01" + "00" * 31,
    "00" * 32,
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "ec" + "ff" * 30 + "7f",
)


@pytest.mark.parametrize("key", SMALL)
async def test_under_a_key_of_small_order_nothing_is_signed(
    home: House, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    *rows, head = lines_of(await home.exported())
    for at in range(8):  # one in a few would fit
        for signature in ("01" + "00" * 63, key + "00" * 32):
            file = write(home.folder / "forged.jsonl", [*rows, head | {"at": at, "signature": signature}])
            assert judged(file, key, None, capsys) == ["row 7: the head is forged: its signature does not fit the key"]


async def test_anchors_of_another_installation_are_forged(
    home: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await home.anchored()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with house(elsewhere) as other:
        other.act("ten_1", 5)
        await other.anchored()
        told = judged(await home.exported(), await home.key(), other.anchors, capsys)
    assert "anchor 1: it is forged: its signature does not fit the key" in told
