"""Ways to write an address that is not public so that somebody may take it for one, and a listener nobody may reach."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

LOOPBACK: Final = (
    "127.0.0.1",
    "127.0.0.2",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "0",
    "0.0.0.0",
    "0x7f.0.0.1",
    "0x7f000001",
    "0X7F000001",
    "0x7F.1",
    "0177.0.0.1",
    "017700000001",
    "0177.0.0.01",
    "2130706433",
    "02130706433",
    "00000127.0.0.1",
    "127.0.0.1.",
    "127.0.0.1..",
    "127.00.00.01",
    "127.0.0.256",
    "4429185025",
    "\uff11\uff12\uff17.0.0.1",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "127\uff0e0\uff0e0\uff0e1",
    "127｡0｡0｡1",
    "127.0.0.1\u200b",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "localhost。",
    "here.localhost",
    "ip6-localhost",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:7f00:0001::1]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    "[2001:db8::1]",
    "[2606:4700::5efe:7f00:1]",
    "[2606:4700::200:5efe:7f00:1]",
    "[::1%25lo]",
    "[::1%lo]",
    "[fe80::1%25eth0]",
    "[127.0.0.1]",
    "[localhost]",
    "[::1",
    "::1",
    "[::1]]",
    "[[::1]]",
    "%31%32%37.0.0.1",
    "127.0.0.1%2e",
    "127%2e0%2e0%2e1",
    "%6cocalhost",
    "127.0.0.1%00",
    "127.0.0.1\t",
    "127.0.\n0.1",
    "127.0.0.1\r\nHost: example.com",
    "127.0.0.1 ",
    " 127.0.0.1",
    "127.0.0.1\x00.example.com",
    "127.0.0.1,example.com",
    "127.0.0.1;example.com",
    "",
)
"""Hosts that some reader takes for this machine."""

ELSEWHERE: Final = (
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.1.1",
    "0xA9FEA9FE",
    "2852039166",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[fd00:42::42]",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "[fc00::1]",
    "[fd12:3456::1]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[100::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[2001:10::1]",
    "[2001:20::1]",
    "[64:ff9b::a00:1]",
    "[4000::1]",
)
"""Hosts that are no public address, and not this machine either."""

URLS: Final = (
    "http://user@127.0.0.1:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://example.com:80@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@example.com/",
    "http://example.com\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@example.com/",
    "http://127.0.0.1:{port}\\.example.com/",
    "http:\\\\127.0.0.1:{port}\\",
    "http:/127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    "ht\ntp://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@example.com/",
    "http://127.0.0.1:{port}?@example.com/",
    "http://127.0.0.1:{port}/#@example.com/",
    "http://127.0.0.1:0{port}/",
    "http://127.0.0.1:+{port}/",
    "http://127.0.0.1:-1/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:65536/",
    "http://127.0.0.1:{port}:80/",
    "http://127.0.0.1:\uff11/",
    "http://127.0.0.1:/",
    "https://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "ws://127.0.0.1:{port}/",
    "wss://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "file://127.0.0.1:{port}/etc/hosts",
    "file:///etc/hosts",
    "gopher://127.0.0.1:{port}/_GET%20/",
    "unix:///run/freehold/web.sock",
    "http+unix://%2Frun%2Fweb.sock/",
    "data:text/plain,hello",
    "javascript:0",
    "jar:http://127.0.0.1:{port}/!/",
    "http://[::1]:{port}@example.com/",
    "http://[::1].example.com:{port}/",
    "http://example.com[::1]:{port}/",
    "\x01http://127.0.0.1:{port}/",
    " http://127.0.0.1:{port}/",
)
"""Whole addresses, for a port somebody listens at."""


@dataclass
class Trap:
    """A port that is listened at on every address of this machine, and who came."""

    port: int
    came: list[str] = field(default_factory=list)

    @property
    def urls(self) -> list[str]:
        """Return every form, as a whole address."""
        hosts = [f"http://{host}:{self.port}/" for host in (*LOOPBACK, *ELSEWHERE)]
        return hosts + [url.format(port=self.port) for url in URLS]


@asynccontextmanager
async def trap() -> AsyncIterator[Trap]:
    """Give a listener while the block lasts; whoever connects is written down and answered."""
    listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    sprung = Trap(listener.getsockname()[1])

    async def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sprung.came.append(str(writer.get_extra_info("sockname")[0]))
        with contextlib.suppress(ConnectionError):
            await reader.read(1)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(came, sock=listener)
    try:
        yield sprung
    finally:
        server.close()
