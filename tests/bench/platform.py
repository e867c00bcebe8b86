"""How quickly a platform answers, and what it costs when nobody asks."""

import time
from pathlib import Path

import httpx

from freehold.testing.platform import LocalPlatform
from tests.bench.measuring import Figure, cpu_seconds, figure, percentile, pss_mb

TURNS = 100
WARM_UP = 10
NEWCOMERS = 20
TENANTS = 5_000
IDLE_SECONDS = 30


def measure(folder: Path) -> list[Figure]:
    """Return the figures of a platform over `folder`."""
    with LocalPlatform(folder / "data") as platform:
        headers = {"Authorization": f"Bearer {platform.key}"}
        with httpx.Client(base_url=f"{platform.url}/api/v1/", headers=headers, timeout=60) as api:
            return [*_turns(api), *_newcomers(api), *_start_of_a_command(platform), *_many(api, platform)]


def _turns(api: httpx.Client) -> list[Figure]:
    settle(api, "turns")
    spent = [_say(api, "turns") for _ in range(WARM_UP + TURNS)][WARM_UP:]
    return [
        figure("turn: message in to reply out, p50", percentile(spent, 50), "ms", TURNS, goal=60),
        figure("turn: message in to reply out, p99", percentile(spent, 99), "ms", TURNS),
    ]


def _newcomers(api: httpx.Client) -> list[Figure]:
    spent = []
    for number in range(NEWCOMERS):
        began = time.perf_counter()
        settle(api, f"new{number}")
        _say(api, f"new{number}")
        spent.append((time.perf_counter() - began) * 1000)
    return [
        figure("new tenant to first answer, p50", percentile(spent, 50), "ms", NEWCOMERS, goal=1_000),
        figure("new tenant to first answer, p99", percentile(spent, 99), "ms", NEWCOMERS),
    ]


def _start_of_a_command(platform: LocalPlatform) -> list[Figure]:
    from tests.platforms import run_cli  # noqa: PLC0415 - the tests' own is loaded late

    spent = []
    for _ in range(20):
        began = time.perf_counter()
        run_cli(platform, "tenant", "list", "--limit", "10", "--json").check_returncode()
        spent.append((time.perf_counter() - began) * 1000)
    return [figure("freehold tenant list, p50", percentile(spent, 50), "ms", len(spent), goal=300)]


def _many(api: httpx.Client, platform: LocalPlatform) -> list[Figure]:
    for number in range(TENANTS):
        _post(api, "tenants", {"slug": f"many{number}", "draft": False})
    time.sleep(5)
    pids = [platform.pid, *platform.pids.values()]
    before = cpu_seconds(pids)
    time.sleep(IDLE_SECONDS)
    share = (cpu_seconds(pids) - before) / IDLE_SECONDS * 100
    return [
        figure(f"memory of the platform with {TENANTS} tenants (PSS)", pss_mb(pids), "MB", 1, goal=600),
        figure(f"idle processor time with {TENANTS} tenants", share, "% of a core", 1, goal=3),
    ]


def settle(api: httpx.Client, tenant: str) -> None:
    """Make a tenant with an agent."""
    _post(api, "tenants", {"slug": tenant, "draft": False})
    _post(api, f"tenants/{tenant}/agents", {"name": "ada", "model": "rehearsal", "tools": {}})


def _say(api: httpx.Client, tenant: str) -> float:
    began = time.perf_counter()
    told = _post(api, f"tenants/{tenant}/agents/ada/messages", {"text": "hello"}, prefer="wait=30")
    assert told["message"]["state"] == "answered", told
    return (time.perf_counter() - began) * 1000


def _post(api: httpx.Client, path: str, body: dict[str, object], prefer: str = "") -> dict[str, dict[str, str]]:
    response = api.post(path, json=body, headers={"Prefer": prefer} if prefer else {})
    response.raise_for_status()
    told: dict[str, dict[str, str]] = response.json()
    return told
