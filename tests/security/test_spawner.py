"""The spawner is root and answers strangers: it makes sandboxes for one user, and nothing else for anybody."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from freehold.core.errors import FreeholdError, Unavailable
from freehold.drivers.runtime.bwrap.asking import AskedMaking
from freehold.drivers.runtime.bwrap.driver import BwrapRuntime
from freehold.drivers.runtime.bwrap.making import Maker
from freehold.drivers.runtime.bwrap.place import Place
from freehold.drivers.runtime.bwrap.spawner import Spawner
from freehold.drivers.runtime.bwrap.words import asking
from freehold.sandboxes.runtime import SandboxSpec
from tests.security.sandboxes import ROOT, UID_BASE, data

__all__ = ["data"]
pytestmark = pytest.mark.bwrap
WORKER = 64_301 if ROOT else os.geteuid()
SPEC = SandboxSpec(id="sbx_1", tenant="ten_1", uid=1, workspace="agt_1")
CLIENT = """
import json, socket, sys
end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
end.connect(sys.argv[1])
end.send(sys.argv[2].encode())
data, fds, _, _ = socket.recv_fds(end, 1 << 16, 4)
if not data:
    sys.exit(3)
line = socket.socket(fileno=fds[0])
def frame(kind, payload):
    return bytes((kind,)) + (1).to_bytes(4, "big") + len(payload).to_bytes(4, "big") + payload
ask = {"op": "run", "argv": ["sh", "-c", "cat /proc/self/uid_map; touch made"], "step": None, "timeout": 9, "cap": 999,
       "tty": False, "stdin": False}
line.send(frame(2, json.dumps(ask, separators=(",", ":")).encode()))
said = b""
while b"printed" not in said:
    said += line.recv(65536)
print(json.dumps(said.decode(errors="replace")), flush=True)
end.recv(1)
"""


@pytest.fixture
def maker(data: Path) -> Maker:
    return Maker(Place(data, uid_base=UID_BASE))


@pytest.fixture
def path(data: Path, maker: Maker) -> Iterator[Path]:
    """Serve, and give where."""
    spawner = Spawner(maker, data / "spawner.sock", user=WORKER, group=WORKER if ROOT else os.getegid())
    spawner.start()
    yield data / "spawner.sock"
    spawner.stop()


def client(path: Path, *, user: int) -> "subprocess.Popen[str]":
    """Start a worker that has nothing but the standard library, as `user`."""
    command = ["/usr/bin/python3", "-I", "-c", CLIENT, str(path), msgspec.json.encode(asking(1, SPEC)).decode()]
    if ROOT:
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")


def wait_until_none(maker: Maker) -> None:
    until = time.monotonic() + 5
    while maker.look() and time.monotonic() < until:
        time.sleep(0.01)
    assert maker.look() == []


def test_a_worker_that_is_not_root_gets_a_sandbox_of_its_tenants_user(path: Path, maker: Maker, data: Path) -> None:
    with client(path, user=WORKER) as worker:
        assert worker.stdout is not None
        said = worker.stdout.readline()
        assert said, worker.stderr.read() if worker.stderr else ""
        assert "1000" in said
        made = (data / "tenants/ten_1/workspaces/agt_1/made").stat()
        assert made.st_uid == (os.geteuid() if UID_BASE is None else UID_BASE + 1)
        worker.send_signal(signal.SIGKILL)
    wait_until_none(maker)


def test_another_user_is_hung_up_on(path: Path, maker: Maker) -> None:
    if not ROOT:
        return  # there is no other user to be
    path.chmod(0o666)  # even if the socket's mode let them
    with client(path, user=WORKER + 1) as stranger:
        assert stranger.wait() != 0
    assert maker.look() == []


def test_other_users_may_not_connect_at_all(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o660


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"\xff",
        b"{}",
        b'{"n": 1, "do": "exec"}',
        b'{"n": 1, "do": "wake", "command": ["id"]}',
        b'{"n": 1, "do": "sleep", "id": "../../etc"}',
        b'{"n": 1, "do": "destroy", "tenant": "ten_1/..", "workspace": "agt_1"}',
        b"[" * 100_000,
    ],
    ids=range(8),
)
def test_what_makes_no_sense_ends_the_conversation(path: Path, words: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as end:
        end.settimeout(5)
        end.connect(str(path))
        end.send(words)
        with contextlib.suppress(ConnectionResetError):
            assert end.recv(1000) == b""


@pytest.mark.parametrize("words", [b'{"n": 1, "do": "wake"}', b'{"n": 1, "do": "sleep"}', b'{"n": 1, "do": "destroy"}'])
def test_half_a_question_is_refused(path: Path, words: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as end:
        end.settimeout(5)
        end.connect(str(path))
        end.send(words)
        assert b'"status":422' in end.recv(10_000)


async def test_a_folder_that_is_swapped_for_a_link_is_not_worked_in(
    path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = data / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    opened = Place.open

    def swapped(self: Place, tenant: str, workspace: str, number: int) -> int:
        """Do as whoever owns the folder above might, between the look and the use."""
        fd = opened(self, tenant, workspace, number)
        here = self.path(tenant, workspace)
        here.rename(data / "moved")
        here.symlink_to(elsewhere)
        return fd

    monkeypatch.setattr(Place, "open", swapped)
    runtime = BwrapRuntime(AskedMaking(path))
    with pytest.raises(FreeholdError, match="not the folder"):
        await runtime.wake(SPEC)
    assert list(elsewhere.iterdir()) == []
    await runtime.close()


def test_what_another_user_made_for_sandboxes_to_see_is_made_again(data: Path) -> None:
    guest, _ = Place(data, uid_base=UID_BASE).shown()
    (guest / "freehold" / "planted.py").touch()
    if ROOT:
        os.chown(guest.parent, WORKER, WORKER)
    else:
        guest.parent.rename(data / "moved")
        guest.parent.symlink_to(data / "moved")
    fresh, _ = Place(data, uid_base=UID_BASE).shown()
    assert fresh == guest
    assert not (fresh / "freehold" / "planted.py").exists()


async def test_a_worker_does_not_touch_what_is_another_workers(path: Path) -> None:
    first, second = BwrapRuntime(AskedMaking(path)), BwrapRuntime(AskedMaking(path))
    guest = await first.wake(SPEC)
    assert await second.look() == []
    await second.sleep(SPEC.id)
    with pytest.raises(FreeholdError):
        await second.wake(SPEC)
    assert (await guest.run(["true"])).exit == 0
    await first.close()
    await second.close()


async def test_when_the_spawner_goes_the_worker_is_told_and_finds_the_next_one(data: Path) -> None:
    path = data / "spawner.sock"
    runtime = BwrapRuntime(AskedMaking(path))
    with pytest.raises(Unavailable):
        await runtime.wake(SPEC)
    for _ in range(2):
        maker = Maker(Place(data, uid_base=UID_BASE))
        spawner = Spawner(maker, path, user=os.geteuid(), group=os.getegid())
        spawner.start()
        guest = await runtime.wake(SPEC)
        running = asyncio.create_task(guest.run(["sleep", "987"]))
        await guest.run(["true"])
        await asyncio.to_thread(spawner.stop)
        with pytest.raises(Unavailable):
            await running
    await runtime.close()


async def test_whatever_breaks_in_the_spawner_the_worker_gets_an_answer(
    path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_words: object) -> None:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(maker, "sleep", broken)
    making = AskedMaking(path)
    async with asyncio.timeout(5):
        guest = asyncio.create_task(making.wake(SPEC, lambda _reason: None))
        with pytest.raises(Unavailable, match="spawner broke"):
            await guest
        with pytest.raises(Unavailable, match="spawner broke"):
            await making.sleep(SPEC.id)
    monkeypatch.undo()
    await making.close()


async def test_a_spawner_that_never_answers_is_not_waited_for_for_ever(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freehold.drivers.runtime.bwrap.asking.ANSWER_SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as deaf:
        deaf.bind(str(data / "deaf.sock"))
        deaf.listen()
        making = AskedMaking(data / "deaf.sock")
        with pytest.raises(Unavailable, match="does not answer"):
            await making.sleep(SPEC.id)
        await making.close()


def test_a_workspace_that_cannot_be_opened_is_told_as_such(data: Path, maker: Maker) -> None:
    (data / "tenants").write_text("in the way")
    with pytest.raises(Unavailable):
        maker.wake(SPEC, lambda _reason: None)


OWNER = """
import sys, time
from pathlib import Path
from freehold.drivers.runtime.bwrap.making import Maker
from freehold.drivers.runtime.bwrap.place import Place
from freehold.sandboxes.runtime import SandboxSpec
maker = Maker(Place(Path(sys.argv[1]), uid_base=int(sys.argv[2]) or None))
line = maker.wake(SandboxSpec(id="sbx_1", tenant="ten_1", uid=1, workspace="agt_1"), print)
line.recv(9)
print(*[kept.process.pid for kept in maker._awake.values()], flush=True)
time.sleep(60)
"""


def test_a_sandbox_ends_with_the_process_that_made_it(data: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(data), str(UID_BASE or 0)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.kill()
    until = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()
