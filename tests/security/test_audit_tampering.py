"""Whoever changes the record is found out: by the platform's own verifier, and by the file an outsider runs alone."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from nacl.signing import SigningKey
from sqlalchemy import text
from typer.testing import CliRunner

from freehold.audit.canonical import canonical
from freehold.audit.chain import GENESIS
from freehold.audit.heads import signed_line
from freehold.audit.verifying import verify_file
from freehold.cli.audit import app as audit_command
from freehold.web import record as both
from tests.records import House, house, lines_of, unguarded
from tests.verdicts import Lines, judged, mended, write
from tools import verify_audit

TOOL = Path(verify_audit.__file__)


def chained(lines: Lines) -> Lines:
    """Mend the whole chain of the database: numbers, links and hashes."""
    prev, made = GENESIS, []
    for seq, line in enumerate(lines, start=1):
        made.append(mended(line, seq=seq, prev=prev))
        prev = made[-1]["hash"]
    return made


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as made:
        made.act("ten_1", 5)
        await made.gateway_act("ten_1", 1)
        yield made


TAMPERED: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    "edit": (lambda it: [*it[:2], it[2] | {"actor": "key:x"}, *it[3:]], "row 3: it was changed"),
    "edit of a fact": (lambda it: [*it[:2], it[2] | {"approver": "key:x"}, *it[3:]], "row 3: it was changed"),
    "delete": (lambda it: [*it[:2], *it[3:]], "row 3: number 3 of database/ten_1 is missing before it"),
    "delete the first": (lambda it: it[1:], "row 1: number 1 of database/ten_1 is missing before it"),
    "reorder": (lambda it: [*it[:2], it[3], it[2], *it[4:]], "row 3: it stands out of order"),
    "insert again": (lambda it: [*it[:3], it[1], *it[3:]], "row 4: it was inserted: number 2"),
    "insert": (
        lambda it: [*it[:2], mended(it[2], actor="key:x"), *it[2:]],
        "row 4: it was inserted: number 3",
    ),
    "replace": (lambda it: [*it[:2], mended(it[2], actor="key:x"), *it[3:]], "row 3: it was replaced: what follows"),
    "replace the last": (lambda it: [*it[:4], mended(it[4], actor="x"), *it[5:]], "row 5: it was replaced: the head"),
    "insert and mend all": (
        lambda it: [*chained([*it[:2], it[2] | {"actor": "x"}, *it[2:5]]), *it[5:]],
        "row 6: database/ten_1 goes on behind its signed end",
    ),
    "edit and mend all": (
        lambda it: [*chained([*it[:2], it[2] | {"actor": "x"}, *it[3:5]]), *it[5:]],
        "row 5: it was replaced: the head signed another",
    ),
    "cut tail": (lambda it: [*it[:4], *it[5:]], "row 6: database/ten_1 was cut: it ends at 4, and the head says 5"),
    "cut chain": (lambda it: [*it[:5], *it[-1:]], "row 6: gateway/ten_1 was cut: it ends at 0"),
    "cut head": (lambda it: it[:-1], "the signed head is missing: the end was cut off"),
    "other store": (lambda it: [*it[:5], it[5] | {"store": "database"}, *it[6:]], "row 6: it was changed"),
    "row behind": (lambda it: [*it, it[0]], "it stands behind the head"),
    "second head": (lambda it: [*it, it[-1]], "it stands behind the head"),
    "odd number": (lambda it: [*it[:2], it[2] | {"seq": "3"}, *it[3:]], "row 3: it is no line of a record"),
}


@pytest.mark.parametrize("name", TAMPERED)
async def test_a_changed_export_names_its_first_bad_row(
    home: House, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = await home.exported()
    key = await home.key()
    assert judged(file, key, None, capsys) == []
    tamper, reason = TAMPERED[name]
    told = judged(write(file, tamper(lines_of(file))), key, None, capsys)
    assert any(reason in line for line in told), told


@pytest.mark.parametrize(
    "tamper",
    [
        lambda raw: raw.replace(b'{"action"', b'{"actor":"x","action"', 1),
        lambda raw: raw.replace(b"key:key_1", b"key:key_\xff", 1),
        lambda raw: raw.replace(b"key:key_1", b"key:key_\\ud800", 1),
        lambda raw: b"[" * 100_000 + b"\n" + raw.partition(b"\n")[2],
        lambda raw: b"\n" + raw.partition(b"\n")[2],
        lambda raw: raw.replace(b'"at":', b'"at":1e', 1),
    ],
)
async def test_bytes_that_we_would_not_write_are_named(
    home: House, tamper: Callable[[bytes], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    file = await home.exported()
    file.write_bytes(tamper(file.read_bytes()))
    assert judged(file, await home.key(), None, capsys)[0] == "row 1: it is no line of a record as it was written"


async def test_how_a_line_is_spelt_does_not_matter(home: House, capsys: pytest.CaptureFixture[str]) -> None:
    await home.anchored()
    file, key = await home.exported(), await home.key()
    for each in (file, home.anchors):
        each.write_text("".join(json.dumps(line, indent=None) + "\n" for line in lines_of(each)))
    assert judged(file, key, home.anchors, capsys) == []
    rows = lines_of(file)
    rows[2]["actor"] = "somebody else"
    file.write_text("".join(json.dumps(line) + "\n" for line in rows))
    assert judged(file, key, home.anchors, capsys)[0] == "row 3: it was changed: its hash does not fit"


async def test_a_forged_head_is_named(home: House, capsys: pytest.CaptureFixture[str]) -> None:
    file, key = await home.exported(), await home.key()
    *rows, head = lines_of(file)
    forger = SigningKey.generate()
    anew = chained([*rows[:2], *rows[3:5]])
    ends = [{"store": "database", "tenant": "ten_1", "seq": 4, "hash": anew[-1]["hash"]}]
    body = {name: value for name, value in head.items() if name != "signature"} | {"heads": ends}
    for signature in (head["signature"], forger.sign(canonical(body)).signature.hex(), "00" * 64, "", "x"):
        write(file, anew)
        file.write_text(file.read_text() + signed_line(body, signature) + "\n")
        assert judged(file, key, None, capsys) == ["row 5: the head is forged: its signature does not fit the key"]


async def test_an_old_export_is_known_by_the_anchors(home: House, capsys: pytest.CaptureFixture[str]) -> None:
    await home.anchored()
    old, key = await home.exported(name="old.jsonl"), await home.key()
    assert judged(old, key, home.anchors, capsys) == []
    home.act("ten_1", 2)
    home.act("ten_2", 1)
    await home.anchored()
    assert judged(old, key, None, capsys) == []
    told = judged(old, key, home.anchors, capsys)
    assert len(told) == 1
    assert "cut, or older than its anchors: anchor 2 of 2026" in told[0]
    assert "knows database/ten_1 up to 7, here it ends at 5" in told[0]
    assert judged(await home.exported(), key, home.anchors, capsys) == []
    assert judged(await home.exported(tenant=None), key, home.anchors, capsys) == []


async def test_a_cut_or_changed_anchor_file_is_named(home: House, capsys: pytest.CaptureFixture[str]) -> None:
    key = await home.key()
    for _ in range(3):
        home.act("ten_1")
        await home.anchored()
    file = await home.exported()
    lines = home.anchors.read_text().splitlines()
    other = SigningKey.generate()
    forged = {name: value for name, value in json.loads(lines[2]).items() if name != "signature"} | {"heads": []}
    forged_line = signed_line(forged, other.sign(canonical(forged)).signature.hex())
    cases = [
        (lines[:2], "the head knows anchor 3, and the anchor file ends at 2"),
        ([lines[0], lines[2]], "anchor 3: anchor 2 is missing before it"),
        ([lines[0].replace('"at":', '"at":1'), *lines[1:]], "anchor 2: it does not follow the anchor before it"),
        ([*lines[:2], forged_line], "anchor 3: it is forged"),
        ([*lines[:2], lines[2][:-9]], "anchor 3: it is no anchor as it was written"),
        (["{}"], "anchor 1: it is no anchor as it was written"),
        ([lines[1], lines[0], lines[2]], "anchor 1: anchor 3 is missing before it"),
    ]
    copy = home.folder / "copy.jsonl"
    for changed, reason in cases:
        copy.write_text("".join(f"{line}\n" for line in changed))
        assert any(reason in line for line in judged(file, key, copy, capsys)), reason
    for fine in (lines[1:], [lines[0], lines[0], *lines[1:]], [*lines, ""]):
        copy.write_text("".join(f"{line}\n" for line in fine))
        assert judged(file, key, copy, capsys) == []


async def test_a_database_put_back_is_not_signed_again(home: House, capsys: pytest.CaptureFixture[str]) -> None:
    home.act("ten_1", 2)
    await home.anchored()
    unguarded(home.database, "DELETE FROM audit WHERE position > 5")
    made = await home.anchored()
    assert made["faults"] == [{"store": "database", "tenant": "ten_1", "seq": 7, "now": 5, "what": "backwards"}]
    home.web.clock.wind(60)
    home.act("ten_1", 3)  # it goes on as if nothing had been
    assert (await home.anchored())["faults"][0]["what"] == "changed"
    file, key = await home.exported(), await home.key()
    told = judged(file, key, home.anchors, capsys)
    assert "row 7: it was replaced: anchor 1" in told[0]
    assert any(line.startswith("anchor 2: the gateway says database/ten_1 went back") for line in told)
    assert any(line.startswith("anchor 3: the gateway says database/ten_1 was changed") for line in told)
    assert (await home.kit.web.verify_audit())["anchors"]["faults"]


async def test_verifying_finds_what_was_put_back_before_the_next_anchor_is_due(home: House) -> None:
    home.act("ten_1", 2)
    await home.anchored()
    told = await both.judged_by_gateway(home.web.state)
    assert (told["ok"], told["anchors"]["faults"]) == (True, [])
    unguarded(home.database, "DELETE FROM audit WHERE position > 5")
    told = await both.judged_by_gateway(home.web.state)
    fault = {"store": "database", "tenant": "ten_1", "seq": 7, "now": 5, "what": "backwards"}
    assert told["anchors"]["faults"] == [fault]
    assert told["anchors"]["number"] == 1, "looking signs nothing"
    await home.anchored(accepted="person:per_1")
    assert (await both.judged_by_gateway(home.web.state))["anchors"]["faults"] == []


async def test_an_operator_may_take_a_restored_backup_as_right_and_everybody_sees_it(
    home: House, capsys: pytest.CaptureFixture[str]
) -> None:
    home.act("ten_1", 2)
    await home.anchored()
    unguarded(home.database, "DELETE FROM audit WHERE position > 5")
    made = await home.anchored(accepted="person:per_1")
    assert made["faults"]
    assert (await home.anchored())["faults"] == []
    assert (await home.kit.web.verify_audit())["anchors"]["faults"] == []
    assert (await home.kit.web.audit(None, action="anchor"))[-1]["actor"] == "person:per_1"
    file = await home.exported()
    assert judged(file, await home.key(), home.anchors, capsys) == []
    assert (
        "person:per_1 took database/ten_1 as restored"
        in verify_file(file, key=await home.key(), anchor_file=home.anchors).notes[0]
    )


async def test_a_chain_that_vanished_and_a_row_that_was_mended_are_not_signed(home: House) -> None:
    home.act("ten_2", 1)
    await home.anchored()
    unguarded(home.database, "DELETE FROM audit WHERE tenant = 'ten_2'", "UPDATE audit SET hash = 'x' WHERE seq = 5")
    await home.kit.gateway.keep.write(
        lambda tx: [tx.execute(text(f"DROP TRIGGER {name}")) for name in ("audit_never_changes",)]
    )
    await home.kit.gateway.keep.write(
        lambda tx: tx.execute(text("UPDATE audit SET hash = 'x' WHERE tenant = 'ten_1' AND seq = 1"))
    )
    made = await home.anchored()
    assert [(fault["store"], fault["tenant"], fault["what"]) for fault in made["faults"]] == [
        ("database", "ten_1", "changed"),
        ("database", "ten_2", "missing"),
        ("gateway", "ten_1", "changed"),
    ]


async def test_an_export_of_a_database_put_back_says_so_itself(home: House, capsys: pytest.CaptureFixture[str]) -> None:
    await home.anchored()
    unguarded(home.database, "DELETE FROM audit WHERE position > 3")
    told = judged(await home.exported(), await home.key(), None, capsys)
    assert told == ["row 5: the gateway says database/ten_1 went back: it had signed number 5 and found 3"]


async def test_personal_text_is_checked_against_its_hash(home: House, capsys: pytest.CaptureFixture[str]) -> None:
    tenant = home.web.tenant("acme")
    key = await home.kit.web.tenant_key(tenant.id)
    with home.database.write() as tx:
        tx.execute(text(f"UPDATE tenants SET public_key = '{key}' WHERE id = '{tenant.id}'"))
    home.act(tenant.id, personal={"email": "ann@example.org"})
    closed, opened = await home.exported(tenant.id), await home.exported(tenant.id, texts=True, name="opened.jsonl")
    assert b"ann@" not in closed.read_bytes()
    told = [line["opened"]["personal"] for line in lines_of(opened) if "opened" in line]
    assert told == [{"email": "ann@example.org"}]
    signing = await home.key()
    assert judged(closed, signing, None, capsys) == judged(opened, signing, None, capsys) == []
    opened.write_bytes(opened.read_bytes().replace(b"ann@", b"eve@"))
    assert "the personal text beside it is not what was written" in judged(opened, signing, None, capsys)[0]


async def test_the_tool_runs_alone_and_the_command_agrees(home: House, tmp_path: Path) -> None:
    file, key = await home.exported(), tmp_path / "key"
    key.write_text(f"{await home.key()}\n")
    await home.anchored()
    stated = [str(file), "--key", str(key), "--anchor", str(home.anchors)]
    tampered = tmp_path / "tampered.jsonl"
    tampered.write_text(file.read_text().replace("key:key_1", "key:key_2", 1))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        alone = [sys.executable, "-I", "-S", str(TOOL), *arguments]
        return subprocess.run(alone, capture_output=True, text=True, check=False, cwd="/")

    assert run(*stated).stdout.startswith("whole: 6 rows in 2 chains, signed 2026-")
    assert run(str(tampered), *stated[1:]).stdout == "row 1: it was changed: its hash does not fit\n"
    assert [run(*stated).returncode, run(str(tampered), *stated[1:]).returncode] == [0, 1]
    for wrong in ([], [str(file)], [str(file), "--key", "zz"], ["/nowhere", "--key", str(key)]):
        assert run(*wrong).returncode == 2
    command = CliRunner()
    assert command.invoke(audit_command, ["verify", *stated]).exit_code == 0
    assert command.invoke(audit_command, ["verify", str(tampered), *stated[1:]]).exit_code == 1
    assert command.invoke(audit_command, ["verify", str(file), "--key", "zz"]).exit_code == 2


async def test_anchors_made_at_once_do_not_overtake_each_other(home: House) -> None:
    for number in range(3):
        known = await home.kit.web.audit_known()
        home.act("ten_1")
        ends, seen = both._moved(home.web.state.store, known["heads"])
        assert (await home.kit.web.audit_anchor(heads=ends, seen=seen))["number"] == number + 1
    numbers = [json.loads(line)["number"] for line in home.anchors.read_text().splitlines()]
    assert numbers == [1, 2, 3]
