"""What is left of model calls, by whichever door they came: two rows of the record each, and not a word that was said."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from freehold.app import gateway
from freehold.core.errors import FreeholdError
from freehold.gateway.client import WorkerGateway
from freehold.testing.upstream.acts import Act
from tests.calling import CHAT, CREDENTIAL, Desk, calling, chat
from tests.canaries import Finder
from tests.disks import fill, small
from tests.gateways import AGENT, RUN, TENANT, VERSION, work

PROMPT, ANSWER = "zanzibar-prompt-7f3a", "quokka-answer-91c2"
DOORS = ("address", "box", "worker")


class Doors:
    """Every way to a model, as one who may call it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.worker = WorkerGateway(desk.data / "run/gateway-worker.sock")
        self._calls = 0

    async def open(self) -> None:
        await self.desk.web.set_level(TENANT, "executor", [CHAT], by="tester")
        named: dict[str, Any] = {"tenant": TENANT, "agent": AGENT, "version": VERSION}
        await self.desk.web.publish(**named, model="executor", tools={"models": "allow"}, by="tester")
        await self.worker.open_box(work(), sandbox="sbx_1", uid=1, holder="worker/a")
        self.desk.key = await self.desk.make_key("doors", ["executor"])

    async def ask(self, door: str, text: str, **more: Any) -> int:
        """Return the status of a call."""
        body = chat(text, "executor", **more)
        self._calls += 1
        if door == "worker":
            try:
                await self.worker.chat(
                    work(), key=f"{RUN}/1/{self._calls}/0", model="executor", body={"messages": body["messages"]}
                )
            except FreeholdError as error:
                return error.status
            return 200
        if door == "address":
            return (await self.desk.post("/v1/chat/completions", body)).status
        socket = aiohttp.UnixConnector(str(self.desk.data / "box/sbx_1/gateway.sock"))
        async with (
            aiohttp.ClientSession(connector=socket) as client,
            client.post("http://box/v1/chat/completions", json=body) as said,
        ):
            await said.read()
            return said.status


@pytest.fixture
async def doors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Doors]:
    monkeypatch.setattr(gateway, "sandbox_users", lambda _settings: None)
    async with calling(tmp_path) as desk:
        made = Doors(desk)
        await made.open()
        yield made
        await made.worker.close()


async def links(desk: Desk) -> dict[str, list[str]]:
    """Return what the record says of each attempt, by the number of its row."""
    await desk.upstream.idle()
    rows = {row["id"]: list[str]() for row in (await desk.settled())["rows"]}
    for link in await desk.web.audit(TENANT):
        usage = link["detail"].get("usage") or (link["subject"] if link["action"].startswith("model.") else "")
        if usage:
            rows[usage].append(link["action"].partition(".")[2])
    return rows


@pytest.mark.parametrize("door", DOORS)
async def test_every_attempt_has_two_rows_in_the_record(doors: Doors, door: str) -> None:
    await doors.desk.web.set_level(TENANT, "executor", ["gem/scripted", CHAT], by="tester")
    wrong = (
        Act(status=500),
        Act(),
        Act(status=400),
        Act(cut=2),
        Act(close=True),
        Act(close=True),
        Act(status=401),
        Act(),
    )
    doors.desk.upstream.script.extend(wrong)
    statuses = [await doors.ask(door, "Hello", stream=True) for _ in range(5)]
    assert set(statuses) >= {200, 400} if door != "worker" else 200 in statuses
    told = await links(doors.desk)
    assert len(told) >= 6
    for attempt, actions in told.items():
        assert len(actions) == 2, (attempt, told)
        assert actions[0] in {"call", "open"}
        assert actions[1] in {"done", "failed", "unknown"}


async def test_nothing_that_was_said_is_left(doors: Doors, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for door in DOORS:
        for act in (
            Act(text=(ANSWER,)),
            Act(status=400, body=f'{{"error": {{"message": "{ANSWER} to {PROMPT}"}}}}'.encode()),
            Act(text=(ANSWER, ANSWER, ANSWER), cut=2),
            Act(body=f"<html>{ANSWER}".encode()),
            Act(body=f'{{"choices": "{ANSWER}"}}'.encode()),
            Act(text=(ANSWER,), malformed=1),
        ):
            for stream in (False, True):
                doors.desk.upstream.script.append(act)
                await doors.ask(door, PROMPT, stream=stream, user=PROMPT)
    await doors.desk.post("/v1/chat/completions", f'{{"model": "{PROMPT}", "x": {PROMPT}'.encode())
    await links(doors.desk)
    await doors.desk.web.retire(TENANT, [RUN])
    finder = Finder(PROMPT, ANSWER, CREDENTIAL)
    assert finder.found("log", caplog.text.encode()) == []
    assert finder.in_folder(tmp_path) == []
    assert finder.looked_at > 100_000


@pytest.mark.parametrize("door", DOORS)
async def test_who_may_have_no_effect_makes_no_call(doors: Doors, door: str) -> None:
    web = doors.desk.web
    assert await doors.ask(door, "Hello") == 200
    before = len(doors.desk.upstream.requests)
    await web.pause_effects(TENANT, paused=True, by="tester")
    assert await doors.ask(door, "Hello") == 503
    await web.pause_effects(TENANT, paused=False, by="tester")
    await web.pause_effects(None, paused=True, by="tester")
    assert await doors.ask(door, "Hello") == 503
    await web.pause_effects(None, paused=False, by="tester")
    await web.hold(TENANT, held=True, by="tester")
    assert await doors.ask(door, "Hello") == 503
    await web.erase(TENANT, by="tester")
    assert await doors.ask(door, "Hello") != 200
    await web.hold(TENANT, held=False, by="tester")
    assert await doors.ask(door, "Hello") != 200
    assert len(doors.desk.upstream.requests) == before


@pytest.mark.root
@pytest.mark.parametrize("door", DOORS)
async def test_without_its_row_no_call_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: str) -> None:
    monkeypatch.setattr(gateway, "sandbox_users", lambda _settings: None)
    with small(tmp_path / "small", size="24m") as disk:
        async with calling(disk) as desk:
            doors = Doors(desk)
            await doors.open()
            filler = fill(disk)
            made = 0
            while await doors.ask(door, "Hello") == 200:
                made += 1
                assert made < 2_000
            asked = len(desk.upstream.requests)
            assert asked - made in {0, 1}  # of the last one only the end may not have found room
            for _ in range(5):
                assert await doors.ask(door, "Hello") != 200
            assert len(desk.upstream.requests) == asked
            filler.unlink()
            assert await doors.ask(door, "Hello") == 200
            told = await links(desk)
            assert len(told) == asked + 1
            assert {len(actions) for actions in told.values()} == {2}
            await doors.worker.close()
