"""The proxy from inside real sandboxes: programs find it by themselves, and nothing but it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from freehold.drivers.runtime.bwrap import place
from freehold.gateway.outward.destinations import ANY, Open
from freehold.sandboxes.runtime import Guest
from tests.outside import certified, index, pages, repository
from tests.proxies import Proxy, proxy, serving
from tests.security.sandboxes import UID_BASE, Ground, data, ground, python, shell

__all__ = ["data", "ground"]
pytestmark = [pytest.mark.bwrap, pytest.mark.parametrize("ground", ["rlimits"], indirect=True)]
NAME = "packages.test"


@dataclass(frozen=True)
class Inside:
    """A sandbox that is awake, its box, and where it may go."""

    guest: Guest
    box: Proxy
    plain: str
    tls: str
    echo: int
    """The port of a server that says everything again."""


async def _to_this_machine(name: str) -> Sequence[str]:
    return ["127.0.0.1"] if name == NAME else []


async def _opened() -> Open:
    return frozenset({("", NAME, ANY), ("", "127.0.0.1", ANY)})


@pytest.fixture
async def inside(ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Inside]:
    """Wake a sandbox whose version may go to two servers of one name, on a host that trusts them."""
    served = tmp_path / "served"
    index(served)
    repository(served)
    context, ca = certified(tmp_path / "certified", NAME)
    monkeypatch.setattr(place, "roots", lambda: [ca])
    async with serving() as echo, AsyncExitStack() as stack:
        plain, tls = stack.enter_context(pages(served)), stack.enter_context(pages(served, context))
        granted = (f"{NAME}:{plain}", f"{NAME}:{tls}", f"127.0.0.1:{echo.port}")
        async with proxy(ground.data, *granted, lookup=_to_this_machine, allowed=_opened, uid_base=UID_BASE) as box:
            guest = await ground.wake(1, box=True)
            yield Inside(guest, box, f"http://{NAME}:{plain}", f"https://{NAME}:{tls}", echo.port)


async def test_programs_find_the_way_by_themselves(inside: Inside) -> None:
    pip = "python3 -m pip download -q --no-deps --no-cache-dir --disable-pip-version-check"
    done = await shell(
        inside.guest,
        f"set -e; curl -sS {inside.plain}/simple/parcel/ | grep -c whl; "
        f"curl -sS {inside.tls}/simple/parcel/ | grep -c whl; "
        f"git clone -q {inside.tls}/letters.git l; cat l/letter; "
        f"{pip} -i {inside.tls}/simple -d p parcel; ls p; "
        f"python3 -c 'import urllib.request as u; print(u.urlopen(\"{inside.tls}/simple/parcel/\").status)'",
        seconds=90,
    )
    assert done.exit == 0, done.stderr
    assert done.stdout.decode().split() == ["1", "1", "dear", "world", "parcel-1.0-py3-none-any.whl", "200"]


async def test_what_is_not_granted_says_why(inside: Inside) -> None:
    done = await shell(inside.guest, "curl -sS http://example.org/; curl -sSv https://example.org/")
    assert b"freehold agent update NAME --egress example.org" in done.stdout
    assert b"address_refused: This agent's programs may not go to example.org:443." in done.stderr


async def test_a_program_that_says_no_more_is_still_answered(inside: Inside) -> None:
    script = (
        "import socket, sys\n"
        "s = socket.create_connection(('127.0.0.1', 7071)); f = s.makefile('rb')\n"
        "s.sendall(b'CONNECT 127.0.0.1:%d HTTP/1.1\\r\\n\\r\\n' % PORT)\n"
        "assert b'200' in f.readline(); assert f.readline() == b'\\r\\n'\n"
        "s.sendall(b'all I say' * 10_000); s.shutdown(socket.SHUT_WR)\n"
        "print(len(f.read()))"
    )
    done = await python(inside.guest, script.replace("PORT", str(inside.echo)))
    assert done.stdout == b"90000\n", done.stderr


async def test_tunnels_that_only_stand_cost_nothing(inside: Inside) -> None:
    script = (
        "import socket, time\n"
        "def one():\n"
        " s = socket.create_connection(('127.0.0.1', 7071)); s.sendall(b'CONNECT 127.0.0.1:%d HTTP/1.1\\r\\n\\r\\n' % PORT)\n"
        " assert b' 200 ' in s.recv(100); return s\n"
        "ss = [one() for _ in range(20)]\n"
        "def used(): f = open('/proc/1/stat').read().rpartition(')')[2].split(); return int(f[11]) + int(f[12])\n"
        "before = used(); time.sleep(1.5); print(used() - before)\n"
        "for s in ss: s.sendall(b'x'); assert s.recv(1) == b'x'\n"
    )
    done = await python(inside.guest, script.replace("PORT", str(inside.echo)))
    assert done.exit == 0, done.stderr
    assert int(done.stdout) <= 1
