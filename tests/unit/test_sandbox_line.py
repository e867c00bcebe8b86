"""The line to a guest believes nothing: a hostile one is cut off, and whoever waits is told."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from freehold.core.errors import Denied, Exhausted, FreeholdError, Invalid, NotFound, Unavailable
from freehold.guest import frames
from freehold.sandboxes import guest as outer
from freehold.sandboxes.guest import LineGuest
from freehold.sandboxes.line import Line


@dataclass
class Hostile:
    """The inner end of a line, in the hands of somebody who means harm."""

    end: socket.socket
    guest: LineGuest
    gone: list[bool] = field(default_factory=list)

    async def say(self, kind: int, channel: int, payload: bytes = b"") -> None:
        """Send a frame."""
        await self.raw(frames.pack(kind, channel, payload))

    async def raw(self, data: bytes) -> None:
        """Send bytes."""
        await asyncio.get_running_loop().sock_sendall(self.end, data)

    async def asked(self) -> dict[str, object]:
        """Wait for a question and return it."""
        data = b""
        while len(data) < frames.HEADER:
            data += await asyncio.get_running_loop().sock_recv(self.end, 1 << 16)
        _, _, length = frames.unpack(data)
        return dict(json.loads(data[frames.HEADER : frames.HEADER + length]))


@pytest.fixture
async def hostile() -> AsyncIterator[Hostile]:
    """Give a line whose inner end is ours, greeted already."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)  # noqa: FBT003
    theirs.send(frames.pack(frames.READY, 0))
    gone: list[bool] = []
    line = await Line.over(ours, gone=lambda: gone.append(True))
    yield Hostile(theirs, LineGuest(line), gone)
    await line.close()
    theirs.close()


def big(count: int) -> bytes:
    return (frames.DATA.to_bytes(1, "big")) + (1).to_bytes(4, "big") + count.to_bytes(4, "big")


LIES: dict[str, bytes] = {
    "a frame too long": big(frames.MAX_PAYLOAD + 1),
    "a frame of four gigabytes": big(0xFFFFFFFF),
    "garbage": bytes(range(100, 200)),
    "a kind the guest never sends": frames.pack(frames.OPEN, 1, b"{}"),
    "an answer nobody asked for": frames.pack(frames.DONE, 77, b"{}"),
    "a second greeting": frames.pack(frames.READY, 0),
    "credit where there is none": frames.pack(frames.CREDIT, 1, b"\0\0\0\1"),
    "an end where there is none": frames.pack(frames.END, 1),
    "more than the cap": frames.pack(frames.DATA, 1, b"x" * 5000) * 3,
    "no JSON": frames.pack(frames.DONE, 1, b"\xff\xfe"),
    "other JSON": frames.pack(frames.DONE, 1, b"[1, 2]"),
    "a field of the wrong kind": frames.pack(frames.DONE, 1, b'{"exit": "zero"}'),
    "an exit status that is none": frames.pack(frames.DONE, 1, b'{"exit": 99999999999999999999}'),
    "a failure that is none": frames.pack(frames.FAILED, 1, b"{}"),
    "a failure that is a novel": frames.pack(frames.FAILED, 1, b'{"code":"x","message":"' + b"y" * 100_000 + b'"}'),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_guest_that_lies_is_cut_off_and_whoever_waits_is_told(hostile: Hostile, lie: str) -> None:
    running = asyncio.create_task(hostile.guest.run(["true"], cap=1000))
    await hostile.asked()
    await hostile.raw(LIES[lie])
    with pytest.raises(Unavailable) as died:
        await asyncio.wait_for(running, 5)
    assert died.value.code == "sandbox_died"
    with pytest.raises(Unavailable):
        await hostile.guest.run(["true"])
    assert hostile.gone == [True]


async def test_a_guest_that_hangs_up_in_the_middle_of_a_word_is_dead(hostile: Hostile) -> None:
    running = asyncio.create_task(hostile.guest.run(["true"]))
    await hostile.asked()
    await hostile.raw(frames.pack(frames.DATA, 1, b"x" * 100)[:50])
    hostile.end.close()
    with pytest.raises(Unavailable):
        await running


async def test_a_guest_that_says_nothing_is_dead_after_a_while(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outer, "GRACE", 0.05)
    with pytest.raises(Unavailable) as died:
        await hostile.guest.run(["true"], timeout=0.0)
    assert died.value.code == "sandbox_died"
    assert hostile.gone == [True]


async def test_a_guest_that_ignores_a_cancel_is_cut_off(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outer, "GRACE", 0.05)
    running = asyncio.create_task(hostile.guest.run(["true"]))
    await hostile.asked()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert hostile.gone == [True]


async def test_a_guest_that_reads_nothing_does_not_hold_us_up(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outer, "GRACE", 0.1)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(hostile.guest.write_file("f", bytes(50_000_000)), 5)


async def test_a_stream_gives_no_more_than_it_was_given_credit_for(hostile: Hostile) -> None:
    stream = await hostile.guest.stream(["cat"])
    await hostile.asked()
    for _ in range(frames.WINDOW // frames.CHUNK + 1):
        await hostile.say(frames.DATA, 1, bytes(frames.CHUNK))
    async with asyncio.timeout(5):
        while not hostile.gone:  # noqa: ASYNC110 - reading would give credit
            await asyncio.sleep(0)
    for _ in range(frames.WINDOW // frames.CHUNK):
        await stream.read()
    with pytest.raises(Unavailable):
        await stream.read()


async def test_a_stream_believes_no_credit_it_did_not_use(hostile: Hostile) -> None:
    stream = await hostile.guest.stream(["cat"])
    await hostile.asked()
    await hostile.say(frames.CREDIT, 1, b"\xff\xff\xff\xff")
    with pytest.raises(Unavailable):
        await stream.read()


@pytest.mark.parametrize(
    ("code", "kind", "told"),
    [
        ("no_such_file", NotFound, "no_such_file"),
        ("outside_workspace", Denied, "outside_workspace"),
        ("workspace_full", Exhausted, "workspace_full"),
        ("is_a_folder", Invalid, "is_a_folder"),
        ("missing_secret", Invalid, "sandbox_refused"),
    ],
)
async def test_a_refusal_is_of_the_kind_its_code_says_and_nothing_else(
    hostile: Hostile, code: str, kind: type[FreeholdError], told: str
) -> None:
    reading = asyncio.create_task(hostile.guest.read_file("f"))
    await hostile.asked()
    await hostile.say(frames.FAILED, 1, json.dumps({"code": code, "message": "a\x1b[2Jb" + "c" * 1000}).encode())
    with pytest.raises(kind) as refused:
        await reading
    assert refused.value.code == told
    assert "\x1b" not in refused.value.message
    assert len(refused.value.message) <= 500


LISTS: dict[str, str] = {
    "a name that is no text": '{"entries": [[1, "file", 2]]}',
    "a kind there is not": '{"entries": [["f", "device", 2]]}',
    "a size below nothing": '{"entries": [["f", "file", -1]]}',
    "a name without end": '{"entries": [["' + "f" * 2000 + '", "file", 1]]}',
}


@pytest.mark.parametrize("lie", LISTS)
async def test_a_list_that_is_none_is_not_believed(hostile: Hostile, lie: str) -> None:
    listing = asyncio.create_task(hostile.guest.list_files())
    await hostile.asked()
    await hostile.say(frames.DONE, 1, LISTS[lie].encode())
    with pytest.raises(Unavailable):
        await listing


async def test_a_dead_guest_says_what_its_driver_knows() -> None:
    ours, theirs = socket.socketpair()
    theirs.send(frames.pack(frames.READY, 0))

    async def why() -> FreeholdError:
        return Exhausted("The workspace is too large.", code="workspace_full")

    line = await Line.over(ours, why=why)
    running = asyncio.create_task(LineGuest(line).run(["true"]))
    await asyncio.sleep(0)
    theirs.close()
    with pytest.raises(Exhausted):
        await running


async def test_a_guest_that_never_greets_did_not_come_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.sandboxes.line.READY_SECONDS", 0.05)
    for silent in (_waits, _hangs_up):
        ours, theirs = socket.socketpair()
        await silent(theirs)
        with pytest.raises(Unavailable):
            await Line.over(ours)


async def _waits(_end: socket.socket) -> None:
    """Say nothing."""


async def _hangs_up(end: socket.socket) -> None:
    end.close()
