"""Whose a call from inside a sandbox is: its run's and nobody else's, whatever the program says; and only while it may."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from freehold.app.gateway import open_store
from freehold.core.effects import Verdict
from freehold.core.errors import Conflict, Denied, Exhausted, FreeholdError, Invalid
from freehold.core.money import Level
from freehold.gateway import ledger
from freehold.gateway.calls.boxes import OLD_SECONDS, Boxes
from freehold.gateway.calls.ports import Caller
from freehold.gateway.calls.room import Room
from freehold.gateway.calls.speaking import App, Receive, Scope, Send, refusing
from freehold.gateway.grants import Grants, judge, target
from freehold.gateway.keeping import Keep
from freehold.gateway.requests import BoxRequest
from freehold.gateway.tables import versions
from freehold.settings import Settings
from freehold.testing.clock import FakeClock

TENANT, AGENT, RUN, SANDBOX = "ten_1", "agt_1", "run_1", "sbx_1"
ALLOWED, ASKING, NOT = "ver_allow", "ver_ask", "ver_none"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def keep(tmp_path: Path, clock: FakeClock) -> Iterator[Keep]:
    """Give a gateway's store with three versions: may call models, must ask, may not."""
    made = open_store(Settings(data=tmp_path / "gateway"), clock)
    verdicts = {ALLOWED: {"models": "allow"}, ASKING: {"models": "ask"}, NOT: {"shell": "allow"}}
    rows = [
        {"tenant": TENANT, "version": version, "agent": AGENT, "model": "main/small", "tools": tools}
        | {"published_by": "tester", "published_at": clock.now()}
        for version, tools in verdicts.items()
    ]
    made.written(lambda tx: tx.execute(insert(versions), rows))
    yield made
    made.close()


class Echo:
    """Answers every call with who made it, while it may be made; stands where the door does."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self.held = asyncio.Event()
        self.held.set()
        self.arrived, self.left = asyncio.Event(), asyncio.Event()

    def serve(self, caller: Caller) -> App:
        """Return what answers a caller."""
        whom, models = caller.whom, caller.models or ()

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if not self.held.is_set():
                self.arrived.set()
                while (await receive())["type"] != "http.disconnect":
                    pass
                self.left.set()
                return
            try:
                await self._keep.read(caller.still or (lambda _tx: None))
            except FreeholdError as error:
                await refusing(error)(scope, receive, send)
                return
            told = {"tenant": whom.tenant, "run": whom.run, "version": whom.version, "attended": whom.attended}
            body = json.dumps(told | {"models": sorted(models), "path": scope["path"]}).encode()
            headers = [(b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        return answer


@pytest.fixture
def echo(keep: Keep) -> Echo:
    return Echo(keep)


@asynccontextmanager
async def opened(keep: Keep, folder: Path, echo: Echo, uid_base: int | None = None) -> AsyncIterator[Boxes]:
    boxes = Boxes(keep, folder, echo.serve, uid_base=uid_base)
    try:
        yield boxes
    finally:
        await boxes.end()


@pytest.fixture
async def boxes(keep: Keep, tmp_path: Path, echo: Echo) -> AsyncIterator[Boxes]:
    async with opened(keep, tmp_path / "box", echo) as made:
        yield made


def request(**changes: Any) -> BoxRequest:
    """Return what a worker says when a sandbox wakes."""
    said: dict[str, Any] = {"tenant": TENANT, "agent": AGENT, "version": ALLOWED, "run": RUN, "epoch": 3}
    said |= {"sandbox": SANDBOX, "uid": 1, "holder": "worker/a"}
    return BoxRequest(**(said | changes))


async def call(folder: Path, sandbox: str = SANDBOX, *, path: str = "/v1/models", **headers: str) -> tuple[int, Any]:
    """Return status and body of a call as a program would make it."""
    reader, writer = await asyncio.open_unix_connection(folder / sandbox / "gateway.sock")
    lines = [f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *(f"{k}: {v}" for k, v in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    said = await reader.read()
    writer.close()
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, json.loads(body) if body else None


async def refused(folder: Path, **more: Any) -> tuple[int, str]:
    """Return status and code of a call that is refused."""
    status, body = await call(folder, **more)
    return status, body["error"]["code"]


async def test_a_call_is_its_runs_whatever_the_program_says(boxes: Boxes, tmp_path: Path) -> None:
    assert await boxes.open(request()) is True
    said = {"Authorization": "Bearer fhm_stolen", "X-Api-Key": "fhm_stolen", "X-Freehold-Tenant": "ten_2"}
    status, told = await call(tmp_path / "box", **said)
    assert status == 200
    assert (told["tenant"], told["run"], told["version"], told["attended"]) == (TENANT, RUN, ALLOWED, False)
    assert told["models"] == sorted({"main/small", *Level})


async def test_each_sandbox_speaks_for_its_own_run(boxes: Boxes, tmp_path: Path) -> None:
    await boxes.open(request())
    await boxes.open(request(sandbox="sbx_2", run="run_2"))
    assert (await call(tmp_path / "box", "sbx_2"))[1]["run"] == "run_2"
    assert (await call(tmp_path / "box"))[1]["run"] == RUN


@pytest.mark.parametrize(("version", "says"), [(ASKING, "Nobody can be asked"), (NOT, "may not call models")])
async def test_what_was_not_granted_is_refused_and_says_what_to_do(
    boxes: Boxes, tmp_path: Path, version: str, says: str
) -> None:
    await boxes.open(request(version=version))
    status, body = await call(tmp_path / "box")
    assert (status, body["error"]["code"]) == (403, "not_granted")
    assert says in body["error"]["message"]
    status, body = await call(tmp_path / "box", path="/v1/messages")
    assert (status, body["type"], body["error"]["code"]) == (403, "error", "not_granted")


async def test_a_version_nobody_published_gets_no_box(boxes: Boxes, tmp_path: Path) -> None:
    for changes in ({"version": "ver_never"}, {"agent": "agt_2"}, {"tenant": "ten_2"}):
        with pytest.raises(Denied):
            await boxes.open(request(**changes))
    assert not (tmp_path / "box" / SANDBOX).exists()


@pytest.mark.parametrize("sandbox", ["", "sbx_", "../sbx_1", "sbx_1/..", "run_1", "sbx_1\n", "sbx_" + "1" * 70])
async def test_a_name_that_is_no_sandboxs_makes_nothing(boxes: Boxes, tmp_path: Path, sandbox: str) -> None:
    with pytest.raises(Invalid):
        await boxes.open(request(sandbox=sandbox))
    with pytest.raises(Invalid):
        await boxes.close(sandbox)
    assert not (tmp_path / "box").exists()


async def test_a_run_that_was_taken_over_calls_no_more(boxes: Boxes, keep: Keep, tmp_path: Path) -> None:
    await boxes.open(request())
    await keep.write(lambda tx: ledger.take_epoch(tx, tenant=TENANT, run=RUN, epoch=4))
    assert await refused(tmp_path / "box") == (409, "stale_epoch")
    with pytest.raises(Conflict):
        await boxes.open(request(trace="again"))
    assert await boxes.open(request(epoch=4)) is False
    assert (await call(tmp_path / "box"))[0] == 200


async def test_a_run_that_was_cancelled_calls_no_more(boxes: Boxes, keep: Keep, tmp_path: Path) -> None:
    await boxes.open(request())
    await keep.write(lambda tx: ledger.retire(tx, tenant=TENANT, runs=[RUN]))
    assert await refused(tmp_path / "box") == (409, "stale_epoch")
    with pytest.raises(Conflict):
        await boxes.open(request(epoch=99))


async def test_a_sandbox_cannot_be_given_to_another_run(boxes: Boxes, tmp_path: Path) -> None:
    await boxes.open(request())
    for changes in ({"run": "run_2"},):
        with pytest.raises(Conflict, match="another run's"):
            await boxes.open(request(**changes))
    assert (await call(tmp_path / "box"))[1]["run"] == RUN


async def test_opening_and_closing_may_be_said_again(boxes: Boxes, tmp_path: Path) -> None:
    assert [await boxes.open(request()) for _ in range(3)] == [True, False, False]
    assert sorted(await asyncio.gather(*(boxes.open(request(sandbox="sbx_2")) for _ in range(5))))[-2:] == [False, True]
    for _ in range(2):
        await boxes.close(SANDBOX)
    assert [one.name for one in (tmp_path / "box").iterdir()] == ["sbx_2"]


async def test_whoever_is_connected_when_a_box_closes_is_cut(boxes: Boxes, tmp_path: Path, echo: Echo) -> None:
    await boxes.open(request())
    echo.held.clear()
    under_way = asyncio.create_task(call(tmp_path / "box"))
    await echo.arrived.wait()
    await boxes.close(SANDBOX)
    with suppress(ConnectionResetError):
        assert await under_way == (0, None)
    await echo.left.wait()


async def test_another_worker_closes_what_the_one_before_left_open(boxes: Boxes, tmp_path: Path) -> None:
    await boxes.open(request())
    await boxes.open(request(sandbox="sbx_2", run="run_2", holder="prove/x"))
    await boxes.open(request(sandbox="sbx_3", run="run_3", holder="worker/b"))
    assert {one.name for one in (tmp_path / "box").iterdir()} == {"sbx_2", "sbx_3"}


async def test_a_gateway_started_anew_listens_in_the_same_folder(keep: Keep, tmp_path: Path, echo: Echo) -> None:
    async with opened(keep, tmp_path / "box", echo) as before:
        await before.open(request())
        inode = (tmp_path / "box" / SANDBOX).stat().st_ino
    async with opened(keep, tmp_path / "box", echo) as after:
        assert await after.open(request()) is True
        assert (tmp_path / "box" / SANDBOX).stat().st_ino == inode  # a sandbox that is awake has this very folder
        assert (await call(tmp_path / "box"))[0] == 200


async def test_folders_nobody_opened_for_long_are_swept(
    keep: Keep, tmp_path: Path, echo: Echo, clock: FakeClock
) -> None:
    async with opened(keep, tmp_path / "box", echo) as boxes:
        for name in ("sbx_old", "sbx_young"):
            (tmp_path / "box" / name).mkdir(parents=True)
        (tmp_path / "box" / "sbx_old" / "gateway.sock").touch()
        now = clock.now().timestamp()
        os.utime(tmp_path / "box" / "sbx_old", (now - OLD_SECONDS - 1,) * 2)
        os.utime(tmp_path / "box" / "sbx_young", (now - 5,) * 2)
        await boxes.open(request())
        os.utime(tmp_path / "box" / SANDBOX, (now - 2 * OLD_SECONDS,) * 2)
        assert boxes.sweep() == 1
        assert {one.name for one in (tmp_path / "box").iterdir()} == {"sbx_young", SANDBOX}


async def test_a_user_who_is_not_the_sandboxes_is_not_listened_to(keep: Keep, tmp_path: Path, echo: Echo) -> None:
    async with opened(keep, tmp_path / "box", echo, uid_base=os.geteuid()) as boxes:
        await boxes.open(request(uid=0))
        assert (await call(tmp_path / "box"))[0] == 200
        await boxes.open(request(uid=1, sandbox="sbx_2"))
        with suppress(ConnectionResetError):
            assert await call(tmp_path / "box", "sbx_2") == (0, None)


async def test_a_folder_deeper_than_names_of_sockets_may_be_serves_too(keep: Keep, tmp_path: Path, echo: Echo) -> None:
    deep = tmp_path / ("d" * 100)
    async with opened(keep, deep, echo) as boxes:
        await boxes.open(request())
        here = os.open(deep / SANDBOX, os.O_PATH)
        with socket.socket(socket.AF_UNIX) as end:
            end.connect(f"/proc/self/fd/{here}/gateway.sock")
        os.close(here)


async def test_requests_of_one_sandbox_take_only_so_much_memory_at_once() -> None:
    everybody = Room(30)
    mine, other = Room(20, within=everybody), Room(20, within=everybody)
    go = asyncio.Event()

    async def read(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive())["more_body"]:
            pass
        await go.wait()

    async def said(room: Room, *sizes: int) -> None:
        events = [{"type": "http.request", "body": bytes(size), "more_body": True} for size in sizes]
        events[-1]["more_body"] = False

        async def receive() -> dict[str, Any]:
            return events.pop(0)

        async def send(_event: dict[str, Any]) -> None:
            pass

        await room.answer(read, {}, receive, send)

    under_way = asyncio.create_task(said(mine, 10, 5))
    await asyncio.sleep(0)
    with pytest.raises(Exhausted, match="at once"):
        await said(mine, 1, 5)
    with pytest.raises(Exhausted):
        await said(other, 16)
    assert (mine.taken, other.taken, everybody.taken) == (15, 0, 15)
    go.set()
    await under_way
    await said(mine, 20)
    assert everybody.taken == 0


async def test_the_tool_models_is_judged_like_every_other() -> None:
    assert target("models") == ("sandbox", "models")
    grants = Grants(tenant=TENANT, agent=AGENT, version=ALLOWED, model="m", tools={"models": Verdict.ALLOW})
    assert judge(grants, connection="sandbox", operation="models") is Verdict.ALLOW
    assert judge(grants, connection="models", operation="models") is Verdict.DENY
