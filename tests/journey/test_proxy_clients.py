"""Programs as they are, at the proxy: pip, git, curl and Chromium get what was granted, and say why where it was not."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from freehold.gateway.outward.destinations import ANY, Open
from tests.outside import certified, index, pages, repository
from tests.proxies import Proxy, proxy

NAME, OTHER = "packages.test", "other.test"


@dataclass(frozen=True)
class Land:
    """A box that a program reaches by a port, and two servers behind it: one plain, one with TLS."""

    box: Proxy
    folder: Path
    port: int
    plain: str
    tls: str
    ca: Path

    async def run(self, *command: str, seconds: float = 60) -> tuple[int, str]:
        """Run a program as it would be in a sandbox; return how it ended, and all it said."""
        way = f"http://127.0.0.1:{self.port}"
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"}  # noqa: TID251
        environment |= {"HTTPS_PROXY": way, "https_proxy": way, "http_proxy": way, "HTTP_PROXY": way}
        environment |= {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self.folder, env=environment, stdin=-3, stdout=-1, stderr=-2, start_new_session=True
        )
        try:
            async with asyncio.timeout(seconds):
                said, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            raise
        return process.returncode or 0, said.decode(errors="replace")


async def _to_this_machine(name: str) -> Sequence[str]:
    if not name.endswith(".test"):
        raise OSError(name)
    return ["127.0.0.1"]


async def _opened() -> Open:
    return frozenset({("", NAME, ANY), ("", OTHER, ANY)})


@pytest.fixture
async def land(tmp_path: Path) -> AsyncIterator[Land]:
    """Give a box that may go to one name, on the ports of two servers."""
    served, home = tmp_path / "served", tmp_path / "home"
    home.mkdir()
    index(served)
    repository(served)
    (served / "page.html").write_text("<title>t</title><p id=said>nothing</p><script>said.textContent='seen'</script>")
    context, ca = certified(tmp_path / "certified", NAME)
    async with AsyncExitStack() as stack:
        plain, tls = stack.enter_context(pages(served)), stack.enter_context(pages(served, context))
        granted = (f"{NAME}:{plain}", f"{NAME}:{tls}")
        box = await stack.enter_async_context(proxy(tmp_path, *granted, lookup=_to_this_machine, allowed=_opened))
        port = await stack.enter_async_context(_shim(box.socket))
        yield Land(box, home, port, f"http://{NAME}:{plain}", f"https://{NAME}:{tls}", ca)


@asynccontextmanager
async def _shim(socket: Path) -> AsyncIterator[int]:
    """Carry what comes to a port to the box, as the guest of a sandbox does."""

    async def one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except OSError:
            writer.close()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(socket)
        await asyncio.gather(one_way(reader, far_writer), one_way(far_reader, writer))
        writer.close()
        far_writer.close()

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def _pip(*more: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-cache-dir",
        "--disable-pip-version-check",
        "--no-deps",
        *more,
    ]


async def test_pip_downloads_from_where_it_may(land: Land) -> None:
    ended, said = await land.run(*_pip("--trusted-host", NAME, "-i", f"{land.plain}/simple", "-d", "plain", "parcel"))
    assert ended == 0, said
    ended, said = await land.run(*_pip("--cert", str(land.ca), "-i", f"{land.tls}/simple", "-d", "tls", "parcel"))
    assert ended == 0, said
    assert (land.folder / "tls" / "parcel-1.0-py3-none-any.whl").exists()
    ways = {detail["way"] for action, detail in await land.box.record() if action == "egress.open"}
    assert ways == {"plain", "tunnel"}


async def test_pip_says_why_where_it_may_not(land: Land) -> None:
    _, said = await land.run(*_pip("--retries", "1", "-i", f"https://{OTHER}/simple", "parcel"))
    assert f"address_refused: This agent's programs may not go to {OTHER}:443." in said
    assert f"freehold agent update NAME --egress {OTHER}" in said


async def test_git_clones_from_where_it_may(land: Land) -> None:
    ended, said = await land.run("git", "clone", "-q", f"{land.plain}/letters.git", "plain")
    assert ended == 0, said
    ended, said = await land.run(
        "git", "-c", f"http.sslCAInfo={land.ca}", "clone", "-q", f"{land.tls}/letters.git", "tls"
    )
    assert ended == 0, said
    assert (land.folder / "tls" / "letter").read_text() == "dear world\n"
    used = await land.box.used()
    assert sum(row.bytes_out for row in used) > 4 << 20


async def test_git_says_that_it_was_refused(land: Land) -> None:
    ended, said = await land.run("git", "clone", f"https://{OTHER}/letters.git")
    assert ended != 0
    assert "403" in said
    ended, said = await land.run("git", "clone", f"http://{OTHER}:1/letters.git")
    assert ended != 0
    assert "403" in said


async def test_curl_fetches_and_shows_refusals(land: Land) -> None:
    curl = ("curl", "-sS", "--max-time", "20")
    assert await land.run(*curl, "--cacert", str(land.ca), f"{land.tls}/work/", "-o", "x", "-w", "%{http_code}") == (
        0,
        "404",
    )
    assert "seen" in (await land.run(*curl, f"{land.plain}/page.html"))[1]
    ended, said = await land.run(*curl, f"http://{OTHER}/")
    assert (ended, "address_refused" in said, f"--egress {OTHER}" in said) == (0, True, True)
    ended, said = await land.run(*curl, f"https://{OTHER}/")
    assert (ended, "403" in said) == (56, True)
    ended, said = await land.run(*curl, "-v", f"https://{OTHER}/")
    assert f"may not go to {OTHER}:443" in said
    ended, said = await land.run(*curl, "http://169.254.169.254/latest/meta-data/")
    assert "address_refused" in said


async def test_curl_cannot_say_another_host_inside_the_tunnel(land: Land) -> None:
    port = land.tls.rpartition(":")[2]
    for name in (OTHER, "nobody.example"):
        to = f"{name}:{port}:{NAME}:{port}"
        ended, said = await land.run(
            "curl", "-sS", "-k", "--connect-to", to, f"https://{name}:{port}/", "--max-time", "20"
        )
        assert ended != 0
        assert "unrecognized name" in said


async def test_many_programs_at_once_are_served(land: Land) -> None:
    url = f"{land.tls}/simple/parcel/"
    fetch = ("curl", "-sS", "--cacert", str(land.ca), "--parallel", "--parallel-max", "10", "--max-time", "60")
    ended, said = await land.run(*fetch, "-w", "%{http_code}\n", *([url, "-o", "/dev/null"] * 30))
    assert (ended, said.split().count("200")) == (0, 30), said


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
async def test_chromium_shows_pages_through_it(land: Land) -> None:
    look = (
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--ignore-certificate-errors",
        f"--proxy-server=http://127.0.0.1:{land.port}", f"--user-data-dir={land.folder / 'profile'}",
        "--virtual-time-budget=3000", "--dump-dom",
    )  # fmt: skip
    for url in (land.plain, land.tls):
        ended, said = await land.run(*look, f"{url}/page.html")
        assert (ended, ">seen</p>" in said) == (0, True), said
    _, said = await land.run(*look, f"http://{OTHER}/")
    assert "address_refused" in said
