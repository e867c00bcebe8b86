"""The one way out of a sandbox: its own socket and nothing beside it, carried to programs as a port of their own."""

import asyncio
import errno
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from freehold.core.errors import FreeholdError
from freehold.drivers.runtime.bwrap.argv import ENVIRONMENT, MODELS, OUTSIDE
from freehold.sandboxes.runtime import Guest
from tests.security.sandboxes import Ground, data, ground, python, shell

__all__ = ["data", "ground"]
pytestmark = pytest.mark.bwrap

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
MB = 1 << 20


@asynccontextmanager
async def listening(ground: Ground, serve: Serve, name: str = "sbx_1") -> AsyncIterator[None]:
    """Listen where the gateway would for sandbox `name`."""
    folder = ground.data / "box" / name
    folder.mkdir(parents=True, exist_ok=True)
    for one in (folder.parent, folder):
        one.chmod(0o711)
    path = folder / "gateway.sock"
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(serve, path)
    path.chmod(0o666)
    try:
        yield
    finally:
        server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say back what comes, to its end."""
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


def answering(text: str) -> Serve:
    """Return what answers a request with `text`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(text)}\r\nconnection: close\r\n\r\n{text}".encode())
        await writer.drain()
        writer.close()

    return answer


async def ask(guest: Guest) -> str:
    """Return what a program inside is answered that knows only its environment."""
    script = (
        "import os, urllib.request as u, urllib.error as e\n"
        "try: print(u.urlopen(os.environ['OPENAI_BASE_URL'] + '/models', timeout=10).read().decode())\n"
        "except e.HTTPError as error: print(error.code, error.read().decode())"
    )
    return (await python(guest, script)).stdout.decode().strip()


async def test_a_program_finds_models_where_its_environment_says(ground: Ground) -> None:
    async with listening(ground, answering("the gateway")):
        guest = await ground.wake(box=True)
        seen = dict(line.split("=", 1) for line in (await guest.run(["env"])).stdout.decode().splitlines())
        assert seen == ENVIRONMENT | MODELS | OUTSIDE
        assert await ask(guest) == "the gateway"


async def test_a_sandbox_without_a_box_has_neither_port_nor_words(ground: Ground) -> None:
    guest = await ground.wake()
    assert (await shell(guest, "env | grep -c -e OPENAI -e ANTHROPIC; ls /run")).stdout == b"0\n"
    script = "import socket; print(socket.socket().connect_ex(('127.0.0.1', 7071)))"
    assert (await python(guest, script)).stdout.strip() == str(errno.ECONNREFUSED).encode()


async def test_megabytes_pass_both_ways_at_once_and_whole(ground: Ground) -> None:
    script = (
        "import socket, threading, hashlib, os\n"
        f"said = os.urandom({MB}) * 8\n"
        "def one():\n"
        " s = socket.create_connection(('127.0.0.1', 7071))\n"
        " t = threading.Thread(target=lambda: (s.sendall(said), s.shutdown(socket.SHUT_WR))); t.start()\n"
        " heard = hashlib.sha256()\n"
        " while data := s.recv(65536): heard.update(data)\n"
        " t.join(); print(heard.digest() == hashlib.sha256(said).digest(), flush=True)\n"
        "ts = [threading.Thread(target=one) for _ in range(8)]\n"
        "[t.start() for t in ts]; [t.join() for t in ts]"
    )
    async with listening(ground, echo):
        guest = await ground.wake(box=True)
        assert (await python(guest, script)).stdout.split() == [b"True"] * 8


async def test_what_is_not_taken_is_not_read(ground: Ground) -> None:
    go = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        await echo(reader, writer)

    script = (
        "import socket\n"
        "s = socket.create_connection(('127.0.0.1', 7071)); s.setblocking(False); n = 0\n"
        "import select\n"
        "while select.select([], [s], [], 1)[1]:\n"
        f" n += s.send(bytes({MB}))\n"
        "print(n)"
    )
    async with listening(ground, slow):
        guest = await ground.wake(box=True)
        assert 0 < int((await python(guest, script)).stdout) < 32 * MB
        assert (await shell(guest, "echo awake")).stdout == b"awake\n"
        go.set()


async def test_more_connections_than_are_carried_wait_for_their_turn(ground: Ground) -> None:
    script = (
        "import socket\n"
        "def one(): s = socket.create_connection(('127.0.0.1', 7071)); s.sendall(b'x'); return s\n"
        "ss = [one() for _ in range(100)]\n"
        "for s in ss: assert s.recv(1) == b'x'; s.close()\n"
        "print('all')"
    )
    async with listening(ground, echo):
        guest = await ground.wake(box=True)
        assert (await python(guest, script)).stdout == b"all\n"
        assert int((await shell(guest, "ls /proc/1/fd | wc -l")).stdout) < 12


async def test_a_gateway_that_is_away_is_told_and_found_again(ground: Ground) -> None:
    async with listening(ground, answering("before")):
        guest = await ground.wake(box=True)
    code, _, said = (await ask(guest)).partition(" ")
    assert (code, json.loads(said)["error"]["code"]) == ("503", "gateway_away")
    async with listening(ground, answering("after")):
        assert await ask(guest) == "after"


async def test_another_sandboxes_socket_cannot_be_named(ground: Ground) -> None:
    async with listening(ground, answering("one")), listening(ground, answering("two"), "sbx_2"):
        mine = await ground.wake(1, box=True)
        await ground.wake(2, box=True)
        assert await ask(mine) == "one"
        found = (await shell(mine, "find /run 2>/dev/null")).stdout.split()
        assert {b"/run/gateway"} <= set(found) <= {b"/run", b"/run/gateway", b"/run/gateway/gateway.sock"}
        names = [ground.data / "box" / "sbx_2" / "gateway.sock", "/run/gateway/../sbx_2/gateway.sock"]
        names += [f"/proc/1/root{names[0]}", f"/proc/self/root{names[0]}"]
        script = f"import socket\nfor n in {[str(n) for n in names]!r}:\n print(socket.socket(1).connect_ex(n))"
        assert {int(n) for n in (await python(mine, script)).stdout.split()} <= {errno.ENOENT, errno.EACCES}


async def test_the_folder_of_the_socket_cannot_be_changed(ground: Ground) -> None:
    async with listening(ground, answering("one")):
        guest = await ground.wake(box=True)
        done = await shell(
            guest, "cd /run/gateway && (touch x; rm gateway.sock; mv gateway.sock y; ln -s / z; chmod 0 .)"
        )
        assert done.exit != 0
        assert [one.name for one in (ground.data / "box" / "sbx_1").iterdir()] == ["gateway.sock"]
        assert await ask(guest) == "one"


async def test_beside_the_way_there_is_no_network_and_no_abstract_socket(ground: Ground) -> None:
    name = f"\0freehold-way-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as unix, socket.create_server(("127.0.0.1", 0)) as inet:
        unix.bind(name)
        unix.listen()
        async with listening(ground, answering("one")):
            guest = await ground.wake(box=True)
            script = (
                "import socket\n"
                f"print(socket.socket(1).connect_ex({name!r}))\n"
                f"print(socket.socket().connect_ex(('127.0.0.1', {inet.getsockname()[1]})))\n"
                "print(socket.socket().connect_ex(('192.0.2.1', 443)))\n"
                "print(socket.socket(2, 2).connect_ex(('192.0.2.1', 53)))"
            )
            said = [int(one) for one in (await python(guest, script)).stdout.split()]
            assert said == [errno.ECONNREFUSED] * 2 + [errno.ENETUNREACH] * 2
            assert (await shell(guest, "cut -d' ' -f8 /proc/net/unix | grep -c @")).stdout == b"0\n"


async def test_a_sandbox_with_a_box_nobody_listens_at_is_not_made(ground: Ground) -> None:
    with pytest.raises(FreeholdError) as refused:
        await ground.wake(box=True)
    assert refused.value.code == "gateway_away"


async def test_a_link_in_place_of_the_box_is_not_followed(ground: Ground) -> None:
    (ground.data / "box").mkdir()
    (ground.data / "box" / "sbx_1").symlink_to("/etc")
    with pytest.raises(FreeholdError):
        await ground.wake(box=True)
