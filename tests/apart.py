"""
A machine apart, for one test: a network of its own, a name server of ours as its only one, and addresses of its own.

Run as a program (`unshare --mount --net python -m tests.apart`) it asks for every name of `STORIES` as the gateway
does, with the machine's own resolver, and tells as JSON what came of it and who was connected to.
"""

import asyncio
import json
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from freehold.core.errors import FreeholdError
from freehold.gateway.asked import Behalf
from freehold.gateway.outward.client import Client
from freehold.gateway.outward.destinations import ANY, Open
from freehold.gateway.outward.exchange import Sent
from freehold.gateway.outward.guard import Guard, judged
from tests.forms import Trap, trap
from tests.names import SILENCE, Story, name_server

OWN, OWN_6 = "93.184.215.14", "2606:2800:21f:cb07::1"
"""Public addresses, and this machine's."""
FAR, FAR_6 = "93.184.216.34", "2606:4700::1"
"""Public addresses; nobody is there."""
OPEN: Final = "open.test"
OPEN_TOO: Final = "open-too.test"
"""What an operator opened, whatever its address."""
STORIES: Final[Mapping[str, Story]] = {
    "public-first.test": [[FAR], ["127.0.0.1", "::1"]],
    "loopback.test": [["127.0.0.1"]],
    "loopback-6.test": [["::1"]],
    "mixed.test": [["127.0.0.1", FAR, "::1", "10.0.0.1"]],
    "alias.test": [["localhost"]],
    "alias-of-ours.test": [["loopback.test"]],
    "mapped.test": [["::ffff:127.0.0.1"]],
    "compatible.test": [["::127.0.0.1"]],
    "translated.test": [["64:ff9b::7f00:1"]],
    "sixtofour.test": [["2002:7f00:1::"]],
    "unspecified.test": [["0.0.0.0", "::"]],
    "metadata.test": [["169.254.169.254", "fd00:ec2::254"]],
    "broadcast.test": [["255.255.255.255", "224.0.0.1"]],
    "own.test": [[OWN]],
    "own-6.test": [[OWN_6]],
    "giant.test": [["127.0.0.1"] * 200],
    "many.test": [[f"127.0.1.{number}" for number in range(1, 29)]],
    "silent.test": [[SILENCE]],
    "empty.test": [[]],
    OPEN: [["127.0.0.2"], ["127.0.0.3"]],
    OPEN_TOO: [["127.0.0.2"], ["127.0.0.3"]],
}
RESOLVER: Final = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"


async def opened() -> Open:
    """Return what is open."""
    return frozenset({("", OPEN, ANY), ("", OPEN_TOO, ANY)})


async def came_of(sprung: Trap, name: str) -> dict[str, Any]:
    """Ask twice for `name`, as two gateways do, and return what came of each and who was connected to."""
    sprung.came.clear()
    codes = []
    for _ in range(2):
        client = Client(Guard(opened))
        sent = Sent(method="GET", url=f"http://{name}:{sprung.port}/", headers={})
        try:
            answer = await client.send(sent, Behalf("ten_1"), lambda: None)
        except FreeholdError as error:
            codes.append(error.code)
        else:
            await answer.chunks.aclose()
            codes.append(f"{answer.status} {answer.address}")
        await client.close()
    return {"codes": codes, "came": list(sprung.came)}


async def again_by_the_same(sprung: Trap) -> dict[str, Any]:
    """Ask twice as one gateway, for a name that means something else by then."""
    sprung.came.clear()
    client = Client(Guard(opened))
    addresses = []
    for _ in range(2):
        sent = Sent(method="GET", url=f"http://{OPEN_TOO}:{sprung.port}/", headers={})
        answer = await client.send(sent, Behalf("ten_1"), lambda: None)
        await answer.chunks.aclose()
        addresses.append(answer.address)
    await client.close()
    return {"codes": addresses, "came": list(sprung.came)}


async def tell() -> None:
    """Ask for every name, and tell."""
    async with name_server(STORIES) as server, trap() as sprung:
        told = {name: await came_of(sprung, name) for name in STORIES if name != OPEN_TOO}
        told |= {OPEN_TOO: await again_by_the_same(sprung)}
    print(json.dumps({"told": told, "asked": dict(server.asked), "loose": loose()}))


def loose() -> dict[str, str]:
    """Let anybody bind to anything, and return what is taken for this machine's own all the same."""
    for version in (4, 6):
        Path(f"/proc/sys/net/ipv{version}/ip_nonlocal_bind").write_text("1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((FAR, 0))
    return {address: judged(ip_address(address)).value for address in (OWN, OWN_6, FAR, FAR_6)}


def set_up() -> None:
    """Give this machine its addresses and its resolver."""
    for words in (
        "ip link set lo up",
        f"ip address add {OWN}/32 dev lo",
        f"ip -6 address add {OWN_6}/128 dev lo",
    ):
        subprocess.run(words.split(), check=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (
            ("resolv.conf", RESOLVER),
            ("nsswitch.conf", "hosts: files dns\n"),
            ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
        ):
            path = Path(folder) / name
            path.write_text(text)
            subprocess.run(["mount", "--bind", str(path), f"/etc/{name}"], check=True)


if __name__ == "__main__":
    set_up()
    asyncio.run(tell())
