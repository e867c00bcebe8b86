"""What quiet tenants notice of a noisy one: how long they wait beside it, and that nobody tells them to."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from freehold.testing.platform import LocalPlatform
from tests.bench.measuring import Figure, figure, percentile
from tests.bench.platform import settle

QUIET = 10
EACH_SECOND = 2
TIMES = 50
SECONDS = 20
PATIENCE = 30.0
BUSY = 429


@dataclass
class Heard:
    """What the platform answered."""

    milliseconds: list[float] = field(default_factory=list)
    refused: int = 0
    other: int = 0

    def add(self, status: int, milliseconds: float) -> None:
        """Count one answer."""
        self.milliseconds.append(milliseconds)
        self.refused += status == BUSY
        self.other += status != BUSY and not 200 <= status < 300


def measure(folder: Path) -> list[Figure]:
    """Return the figures of quiet tenants of a platform over `folder`, alone and beside a noisy one."""
    with LocalPlatform(folder / "neighbours") as platform:
        quiet = [_key(platform, f"quiet{number}") for number in range(QUIET)]
        noisy = _key(platform, "noisy")
        alone, _ = asyncio.run(_together(platform.url, quiet, noisy, times=0))
        beside, noise = asyncio.run(_together(platform.url, quiet, noisy, times=TIMES))
    before, after = percentile(alone.milliseconds, 99), percentile(beside.milliseconds, 99)
    asked, sent = len(beside.milliseconds), len(noise.milliseconds)
    return [
        figure(f"quiet tenant beside one that asks {TIMES} times as much, p99", after, "ms", asked, peer="alone", peer_value=round(before, 2)),
        figure("the same as a multiple of alone", after / before, "x", asked, goal=2),
        figure("quiet tenants told to wait (429)", beside.refused + alone.refused, "answers", asked, goal=0),
        figure("quiet tenants answered in any other way than well", beside.other + alone.other, "answers", asked, goal=0),
        figure("noisy tenant told to wait (429)", noise.refused / sent * 100, "% of its requests", sent),
    ]  # fmt: skip


def _key(platform: LocalPlatform, tenant: str) -> tuple[str, str]:
    headers = {"Authorization": f"Bearer {platform.key}"}
    with httpx.Client(base_url=f"{platform.url}/api/v1/", headers=headers, timeout=PATIENCE) as api:
        settle(api, tenant)
        made = api.post(f"tenants/{tenant}/keys", json={"scopes": ["agents:read", "runs:read", "messages:write"]})
        return tenant, str(made.raise_for_status().json()["key"])


async def _together(
    url: str, quiet: list[tuple[str, str]], noisy: tuple[str, str], *, times: int
) -> tuple[Heard, Heard]:
    heard, noise = Heard(), Heard()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=200)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as client:
        gap = 1 / EACH_SECOND / len(quiet)  # they do not know of each other, so they do not ask all at once
        all_of_them = [
            _ask(client, tenant, key, heard, rate=EACH_SECOND, later=number * gap)
            for number, (tenant, key) in enumerate(quiet)
        ]
        if times:
            all_of_them.append(_ask(client, *noisy, noise, rate=EACH_SECOND * times))
        await asyncio.gather(*all_of_them)
    return heard, noise


async def _ask(
    client: httpx.AsyncClient, tenant: str, key: str, heard: Heard, *, rate: int, later: float = 0.0
) -> None:
    """Ask `rate` times a second, whether or not answers have come: look twice, say something once, and so on."""
    under_way, began = set[asyncio.Task[None]](), time.perf_counter() + later
    for number in range(rate * SECONDS):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        under_way.add(asyncio.create_task(_one(client, tenant, key, heard, speaks=number % 3 == 2)))
    await asyncio.gather(*under_way)


async def _one(client: httpx.AsyncClient, tenant: str, key: str, heard: Heard, *, speaks: bool) -> None:
    at, headers = f"/api/v1/tenants/{tenant}", {"Authorization": f"Bearer {key}"}
    began = time.perf_counter()
    if speaks:
        answer = await client.post(f"{at}/agents/ada/messages", json={"text": "hello"}, headers=headers)
    else:
        answer = await client.get(f"{at}/runs?limit=10", headers=headers)
    heard.add(answer.status_code, (time.perf_counter() - began) * 1000)
