"""A whole old data folder put back is found by the ends in the second place; who restored it can say so and go on."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from freehold.audit.canonical import canonical
from freehold.audit.heads import signed_line
from freehold.audit.verifying import verify_file
from freehold.testing.clock import FakeClock
from freehold.web import record as both
from tests.gateways import running
from tests.records import House, house, lines_of
from tests.verdicts import judged
from tests.webs import made

FOREIGN = {"store": "anchors", "tenant": "", "seq": 1, "now": 0, "what": "foreign"}


@asynccontextmanager
async def opened(folder: Path, gateway: str = "gateway-data", web: str = "web-data") -> AsyncIterator[House]:
    """Start over what lies in the folder."""
    async with running(folder / gateway, FakeClock(), audit_anchor=str(folder / "second")) as kit:
        yield House(web=made(folder / web, gateway=kit.web), kit=kit, folder=folder)


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Return a folder with a backup made at anchor 1, and what was lived on until anchor 3."""
    async with house(tmp_path) as home:
        home.act("ten_1", 3)
        await home.gateway_act("ten_1")
        await home.anchored()
    shutil.copytree(tmp_path / "gateway-data", tmp_path / "old", ignore=shutil.ignore_patterns("*.sock"))
    shutil.copytree(tmp_path / "web-data", tmp_path / "old-web")
    async with opened(tmp_path) as home:
        for times in (3, 1):
            home.act("ten_1", times)
            await home.anchored()
    return tmp_path


async def test_verifying_finds_that_everything_went_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with opened(folder, "old", "old-web") as home:
        told = (await both.judged_by_gateway(home.web.state))["anchors"]
        assert told["number"] == 3
        fault = {"store": "database", "tenant": "ten_1", "seq": 7, "now": 3, "what": "backwards"}
        assert fault in told["faults"]
        heard = judged(await home.exported(), await home.key(), home.anchors, capsys)
        assert "row 5: the gateway says database/ten_1 went back: it had signed number 7 and found 3" in heard


async def test_an_anchor_behind_a_rollback_continues_the_file_and_names_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened(folder, "old", "old-web") as home:
        home.act("ten_1", 9)
        for number in (4, 5):
            told = await home.anchored()
            assert (told["number"], told["faults"][0]["what"]) == (number, "changed")
        heard = judged(await home.exported(), await home.key(), home.anchors, capsys)
        assert [line["number"] for line in lines_of(home.anchors)] == [1, 2, 3, 4, 5]
        assert not any("missing before it" in line or "does not follow" in line for line in heard)
        assert any(line.startswith("anchor 5: the gateway says database/ten_1 was changed") for line in heard)


@pytest.mark.parametrize("first", [False, True])
async def test_a_restore_that_is_accepted_is_whole_again(
    folder: Path, capsys: pytest.CaptureFixture[str], *, first: bool
) -> None:
    async with opened(folder, "old", "old-web") as home:
        home.act("ten_1", 9)
        if first:
            await home.anchored()
        await home.anchored(accepted="person:per_1")
        home.act("ten_1", 1)
        assert (await home.anchored())["faults"] == []
        assert (await both.judged_by_gateway(home.web.state))["anchors"]["faults"] == []
        file, key = await home.exported(), await home.key()
        heard = judged(file, key, home.anchors, capsys)
        assert heard == [line for line in heard if first and line.startswith("anchor 4: the gateway says")]
        notes = verify_file(file, key=key, anchor_file=home.anchors).notes
        assert any("person:per_1 took database/ten_1 as restored" in note for note in notes)


async def test_an_anchor_that_never_left_gives_way_to_what_stands_there(folder: Path) -> None:
    second = folder / "second"
    second.rename(folder / "away")
    async with opened(folder, "old", "old-web") as home:
        home.act("ten_1", 9)
        assert (await home.anchored())["number"] == 2
        (folder / "away").rename(second)
        told = await home.anchored()
        assert (told["number"], told["faults"][0]["what"]) == (4, "changed")
        assert [line["number"] for line in lines_of(home.anchors)] == [1, 2, 3, 4]
        assert told["missing_since"] is None


def forged(lines: list[dict[str, object]]) -> str:
    body = {name: value for name, value in lines[-1].items() if name != "signature"} | {"number": 9}
    return signed_line(body, SigningKey.generate().sign(canonical(body)).signature.hex())


@pytest.mark.parametrize("kind", ["forged", "unsigned", "no line"])
async def test_a_line_that_is_not_ours_is_not_believed_and_is_told(tmp_path: Path, kind: str) -> None:
    async with house(tmp_path) as home:
        home.act("ten_1", 3)
        await home.anchored()
        lines = lines_of(home.anchors)
        put = {"forged": forged(lines), "unsigned": json.dumps({"kind": "anchor", "number": 9}), "no line": "\xff["}
        with home.anchors.open("a", encoding="latin-1") as file:
            file.write(f"{put[kind]}\n")
        told = (await both.judged_by_gateway(home.web.state))["anchors"]
        assert (told["number"], told["faults"]) == (1, [FOREIGN])
        made_now = await home.anchored()
        assert (made_now["number"], made_now["faults"]) == (2, [FOREIGN])
        assert "faults" not in lines_of(home.anchors)[-1] if kind != "no line" else True


async def test_a_line_that_is_not_ours_hides_none_of_ours(folder: Path) -> None:
    with (folder / "second" / "freehold-anchors.jsonl").open("a") as file:
        file.write("{}\n")
    async with opened(folder, "old", "old-web") as home:
        told = (await both.judged_by_gateway(home.web.state))["anchors"]
        assert told["number"] == 3
        assert {fault["what"] for fault in told["faults"]} == {"backwards", "foreign"}
