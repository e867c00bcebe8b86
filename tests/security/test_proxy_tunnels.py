"""Tunnels: to what was granted and nowhere else, to what was judged and nothing else."""

import asyncio
import ssl
from pathlib import Path

import pytest

from freehold.core.money import UsageState
from tests.proxies import proxy, serving


async def test_bytes_go_both_ways_and_each_side_may_end_first(tmp_path: Path) -> None:
    async with serving() as server, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        reader, writer = await box.tunnel(f"127.0.0.1:{server.port}")
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.write(b"and the rest")
        writer.write_eof()
        assert await reader.read() == b"and the rest"
        (row,) = await box.used()
        assert (row.bytes_in, row.bytes_out, row.state, row.provider) == (17, 17, UsageState.CLOSED, "127.0.0.1")
        opened, closed = await box.record()
        assert opened[0] == "egress.open"
        assert opened[1] | {"address": "127.0.0.1", "host": "127.0.0.1", "port": server.port} == opened[1]
        assert (closed[0], closed[1]["bytes_in"], closed[1]["bytes_out"]) == ("egress.closed", 17, 17)
        assert "why" not in closed[1]


async def test_a_server_that_ends_first_is_still_told_the_rest(tmp_path: Path) -> None:
    rest = asyncio.get_running_loop().create_future()

    async def ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")
        writer.write_eof()
        rest.set_result(await reader.read(1 << 16))

    async with serving(ends) as server, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        reader, writer = await box.tunnel(f"127.0.0.1:{server.port}")
        assert await reader.read() == b"bye"
        writer.write(b"still here")
        assert await rest == b"still here"
        writer.close()


async def test_what_was_said_before_the_answer_arrives_once_the_tunnel_stands(tmp_path: Path) -> None:
    async with serving() as server, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        reader, writer = await box.connect()
        writer.write(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n\r\nearly".encode())
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(5) == b"early"
        writer.close()


REFUSED = [
    ("127.0.0.1:{other}", 403, "address_refused"),
    ("localhost:{port}", 403, "address_refused"),  # it was granted by its number
    ("[::1]:{port}", 403, "address_refused"),
    ("169.254.169.254:80", 403, "address_refused"),
    ("[::ffff:127.0.0.1]:{port}", 403, "address_refused"),
    ("2130706433:{port}", 422, "bad_host"),
    ("0x7f.1:{port}", 422, "bad_host"),
    ("0177.0.0.1:{port}", 422, "bad_host"),
    ("127.1:{port}", 422, "bad_host"),
    ("127.0.0.1", 422, "bad_host"),
    ("127.0.0.1:", 422, "bad_host"),
    ("127.0.0.1:0", 422, "bad_host"),
    ("127.0.0.1:65536", 422, "bad_host"),
    ("[127.0.0.1]:{port}", 422, "bad_host"),
]


@pytest.mark.parametrize(("authority", "status", "code"), REFUSED, ids=range(len(REFUSED)))
async def test_what_was_not_granted_or_can_be_read_two_ways_is_refused(
    tmp_path: Path, authority: str, status: int, code: str
) -> None:
    async with serving() as server, serving() as other, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        named = authority.format(port=server.port, other=other.port)
        assert await box.refused(f"CONNECT {named} HTTP/1.1\r\n\r\n".encode()) == (status, code)
        assert server.heard == other.heard == []
        assert await box.used() == []


UNREADABLE = [
    b"CONNECT user@127.0.0.1:{port} HTTP/1.1\r\n\r\n",
    b"CONNECT 127.0.0.1:{port}/path HTTP/1.1\r\n\r\n",
    b"CONNECT http://127.0.0.1:{port} HTTP/1.1\r\n\r\n",
    b"CONNECT  127.0.0.1:{port} HTTP/1.1\r\n\r\n",
    b"CONNECT\t127.0.0.1:{port} HTTP/1.1\r\n\r\n",
    b"CONNECT 127.0.0.1:{port}\r\n\r\n",
    b"CONNECT 127.0.0.1:{port} HTTP/1.1\n\n",
    b"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nBad Header: x\r\n\r\n",
    b"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
]


@pytest.mark.parametrize("said", UNREADABLE, ids=range(len(UNREADABLE)))
async def test_what_is_no_wish_for_a_tunnel_opens_none(tmp_path: Path, said: bytes) -> None:
    async with serving() as server, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        status, _ = await box.ask(said.replace(b"{port}", str(server.port).encode()))
        assert 400 <= status < 500
        assert server.heard == []


async def test_a_refusal_says_why_where_clients_show_it_and_is_written_down(tmp_path: Path) -> None:
    async with proxy(tmp_path, "example.org") as box:
        _, heard = await box.ask(b"CONNECT packs.example:443 HTTP/1.1\r\n\r\n")
        first = heard.partition(b"\r\n")[0].decode()
        assert first.startswith("HTTP/1.1 403 address_refused: This agent's programs may not go to packs.example:443.")
        assert "freehold agent update NAME --egress packs.example" in first
        _, heard = await box.ask(b"CONNECT packs.example:8443 HTTP/1.1\r\n\r\n")
        assert b"--egress packs.example:8443" in heard
        assert [action for action, _ in await box.record()] == ["egress.refused"] * 2


async def test_a_name_is_looked_up_once_and_the_address_that_was_judged_is_connected_to(tmp_path: Path) -> None:
    asked: list[str] = []

    async def rebinding(name: str) -> list[str]:
        asked.append(name)
        return ["127.0.0.1"] if len(asked) > 1 else ["203.0.113.7"]

    async with serving() as server, proxy(tmp_path, f"*.example.org:{server.port}", lookup=rebinding) as box:
        for _ in range(3):
            said = f"CONNECT cdn.example.org:{server.port} HTTP/1.1\r\n\r\n".encode()
            assert await box.refused(said) == (403, "address_refused")
        assert asked == ["cdn.example.org"]
        assert await box.refused(b"CONNECT not.granted.example:443 HTTP/1.1\r\n\r\n") == (403, "address_refused")
        assert asked == ["cdn.example.org"]  # nobody is asked about what was not granted: that would tell them
        assert server.heard == []


async def test_a_server_that_is_away_or_unknown_is_told_as_such(tmp_path: Path) -> None:
    async def unknown(name: str) -> list[str]:
        raise OSError(name)

    async with serving() as server:
        away = server.port
    async with proxy(tmp_path, f"127.0.0.1:{away}", "example.org", lookup=unknown) as box:
        assert await box.refused(f"CONNECT 127.0.0.1:{away} HTTP/1.1\r\n\r\n".encode()) == (502, "server_unreachable")
        assert await box.refused(b"CONNECT example.org:443 HTTP/1.1\r\n\r\n") == (502, "name_unknown")
        (row,) = await box.used()
        assert row.state is UsageState.CLOSED


async def test_a_tunnel_asked_for_late_is_refused_and_nothing_after_it_is_read(tmp_path: Path) -> None:
    async with serving() as server, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        said = b"GET /one HTTP/1.1\r\nHost: x\r\n\r\n"
        late = f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        reader, writer = await box.connect()
        writer.write(said)
        await reader.readuntil(b"inner")
        writer.write(late)
        heard = await reader.read()
        assert heard.startswith(b"HTTP/1.1 405 ")
        assert heard.count(b"HTTP/1.1") == 1
        assert box.inner == ["/one"]
        assert server.heard == []
        writer.close()


async def test_requests_behind_a_refused_tunnel_are_not_read(tmp_path: Path) -> None:
    async with proxy(tmp_path) as box:
        status, heard = await box.ask(b"CONNECT example.org:443 HTTP/1.1\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (status, heard.count(b"HTTP/1.1"), box.inner) == (403, 1, [])


async def test_ordinary_requests_pass_the_front_however_they_are_cut(tmp_path: Path) -> None:
    async with proxy(tmp_path) as box:
        reader, writer = await box.connect()
        for byte in b"POST /cut HTTP/1.1\r\nHost: x\r\nUpgrade: nothing\r\nContent-Length: 4\r\n\r\nbody":
            writer.write(bytes([byte]))
            await writer.drain()
        await reader.readuntil(b"inner")
        writer.write(b"GET /kept HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"inner")
        assert box.inner == ["/cut", "/kept"]
        writer.close()


async def test_whoever_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    async with proxy(tmp_path) as box:
        for said in (b"", b"CONNECT example.org:443 HTTP/1.1\r\n"):
            assert await box.ask(said) == (0, b"")


async def test_tls_for_another_host_is_cut_before_anything_leaves_and_told(tmp_path: Path) -> None:
    async def here(_name: str) -> list[str]:
        return ["127.0.0.1"]

    async with serving() as server, proxy(tmp_path, f"localhost:{server.port}", lookup=here) as box:
        _, writer = await box.tunnel(f"localhost:{server.port}")
        context = ssl.create_default_context()
        with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
            await writer.start_tls(context, server_hostname="other.example.org")
        assert server.heard == [b""]
        actions = [(action, detail.get("why") or detail.get("code")) for action, detail in await box.record()]
        assert ("egress.closed", "sni_mismatch") in actions
        assert ("egress.refused", "sni_mismatch") in actions


async def test_no_tunnel_is_asked_for_inside_a_tunnel(tmp_path: Path) -> None:
    async with serving() as server, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        reader, writer = await box.tunnel(f"127.0.0.1:{server.port}")
        writer.write(b"CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n")
        assert b"tunnel_in_tunnel" in await reader.read()
        assert server.heard == [b""]
