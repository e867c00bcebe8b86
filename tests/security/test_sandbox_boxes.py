"""One socket per sandbox: made, kept, found again and cleared away, and listened to as far as there is room."""

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import Exhausted, Invalid
from freehold.gateway.asgi import Receive, Scope, Send
from freehold.gateway.calls.boxes import OLD_SECONDS, Boxes
from freehold.gateway.calls.room import Room
from freehold.gateway.keeping import Keep
from freehold.testing.clock import FakeClock
from tests.security.boxes import (
    SANDBOX,
    Echo,
    boxes,
    call,
    clock,
    echo,
    keep,
    opened,
    request,
)

__all__ = ["boxes", "clock", "echo", "keep"]


@pytest.mark.parametrize("sandbox", ["", "sbx_", "../sbx_1", "sbx_1/..", "run_1", "sbx_1\n", "sbx_" + "1" * 70])
async def test_a_name_that_is_no_sandboxs_makes_nothing(boxes: Boxes, tmp_path: Path, sandbox: str) -> None:
    with pytest.raises(Invalid):
        await boxes.open(request(sandbox=sandbox))
    with pytest.raises(Invalid):
        await boxes.close(sandbox)
    assert not (tmp_path / "box").exists()


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
