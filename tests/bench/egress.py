"""What the way out costs a program in a sandbox, beside going there directly; and how long judging it takes."""

import asyncio
import json
import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from freehold.app.gateway_store import migrated, open_store
from freehold.gateway.asked import Whom
from freehold.gateway.calls.speaking import Speaker
from freehold.gateway.client import WebGateway, Work, WorkerGateway
from freehold.gateway.egress import standing
from freehold.gateway.egress.hosts_granted import checked
from freehold.gateway.egress.judging import Judge
from freehold.gateway.grants import Grants
from freehold.gateway.outward.destinations import Destinations
from freehold.gateway.outward.guard import Guard
from freehold.gateway.outward.hosts import place_of
from freehold.settings import Settings
from freehold.testing.clock import FakeClock
from freehold.testing.platform import free_port
from tests.bench import peers
from tests.bench.measuring import Figure, figure, percentile

ROUNDS: Final = 5
TIMES: Final = 200
JUDGED: Final = 500
PATTERNS: Final = 100
PROGRAM: Final = Path(__file__).with_name("way_out.py")
PYTHON: Final = "/usr/bin/python3"
"""The machine's own, which every user may run."""
TENANT, AGENT, VERSION, RUN, SANDBOX = "ten_bench", "agt_bench", "ver_bench", "run_bench", "sbx_bench"
PATH: Final = "/items/7"


def measure(folder: Path) -> list[Figure]:
    """Return the figures of a gateway over `folder`."""
    data, port = folder / "egress", free_port()
    took: dict[str, list[float]] = {"direct": [], "tunnel": [], "relay": []}
    with peers.provider() as upstream, peers.gateway(data, port):
        for part in (folder, data):
            part.chmod(0o711)
        asyncio.run(_furnish(data, upstream))
        told = {"port": upstream, "box": str(data / "box" / SANDBOX / "gateway.sock"), "path": PATH, "times": TIMES}
        for _ in range(ROUNDS):
            for how in took:
                took[how] += _took(told | {"how": how})
    median = {how: percentile(found, 50) for how, found in took.items()}
    judged = asyncio.run(_judged(folder / "judging"))
    count, alone = ROUNDS * TIMES, round(median["direct"], 2)
    return [
        figure("tunnel: connected, asked and answered, p50", median["tunnel"], "ms", count, peer="directly", peer_value=alone),
        figure("the same, p99", percentile(took["tunnel"], 99), "ms", count),
        figure("request by a connection: added, p50", median["relay"] - median["direct"], "ms", count),
        figure("whether a program may go somewhere: judged, median", statistics.median(judged), "ms", JUDGED, goal=1),
    ]  # fmt: skip


def _took(told: dict[str, Any]) -> list[float]:
    """Return how long each time took a program that runs as sandboxes do."""
    command = peers.pinned([PYTHON, "-I", "-S", "-c", PROGRAM.read_text(), json.dumps(told)], peers.OTHERS)
    user = Settings(data=Path("/")).sandbox_uid_base + 1 if os.geteuid() == 0 else None
    done = subprocess.run(command, capture_output=True, text=True, check=False, user=user, cwd="/")
    if done.returncode:
        raise RuntimeError(f"The way out broke:\n{done.stderr}")
    found: list[float] = json.loads(done.stdout)
    return found


async def _furnish(data: Path, upstream: int) -> None:
    """Make a version that may go to the provider by a tunnel and by a connection, and open its box."""
    web, worker = WebGateway(data / "run/gateway-web.sock"), WorkerGateway(data / "run/gateway-worker.sock")
    named: dict[str, Any] = {"tenant": TENANT, "agent": AGENT, "version": VERSION}
    try:
        await web.allow_destination(None, name="here", place=f"127.0.0.1:{upstream}", by="bench")
        await web.set_secret(TENANT, "shop", "token-of-the-bench", by="bench")
        config = {"base_url": f"http://127.0.0.1:{upstream}", "allow": ["GET:/items/*"]}
        await web.create_connection(TENANT, kind="http", name="shop", config=config, secret="shop", by="bench")
        granted: dict[str, Any] = {"tools": {"shop.get": "allow"}, "egress": [f"127.0.0.1:{upstream}"]}
        model = {"base_url": f"http://127.0.0.1:{upstream}/v1", "price": peers.PRICE}
        await web.create_connection(TENANT, kind="openai", name="acct", config=model, secret="shop", by="bench")
        await web.publish(**named, model="acct/scripted", by="bench", **granted)
        work = Work(**named, run=RUN, epoch=1)
        await worker.open_box(work, sandbox=SANDBOX, uid=1, holder="worker/bench")
    finally:
        await web.close()
        await worker.close()


async def _judged(folder: Path) -> list[float]:
    """Return how long each judgement takes: the grant, the addresses, and whether who speaks may still."""
    migrated(folder / "gateway")
    keep = open_store(Settings(data=folder), FakeClock())
    hosts = checked([f"h{number}.example.org" for number in range(PATTERNS - 1)] + ["*.example.com"])
    grants = Grants(tenant=TENANT, agent=AGENT, version=VERSION, model="m", egress=hosts)
    speaker = Speaker(whom=Whom(tenant=TENANT, run=RUN), epoch=1, grants=grants)
    judge, took = Judge(Guard(Destinations(keep).allowed, lookup=_public)), []
    for number in range(JUDGED):
        began = time.perf_counter()
        await judge.addresses(place_of(f"n{number % 50}.example.com:443"), speaker)
        await keep.read(lambda tx: standing.require(tx, speaker))
        took.append((time.perf_counter() - began) * 1000)
    keep.close()
    return took


async def _public(_name: str) -> Sequence[str]:
    return ["1.1.1.1", "2606:4700::1111"]
