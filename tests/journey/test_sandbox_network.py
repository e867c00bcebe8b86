"""An agent's programs reach what its version was granted, and are told why where it was not: the whole platform."""

import subprocess
from collections.abc import Iterator

import pytest

from freehold.testing.platform import LocalPlatform
from tests.outside import pages
from tests.platforms import Desk, patient, run_cli, told

pytestmark = pytest.mark.bwrap
TENANT = "outgoing"
CURL = "curl -sS --noproxy none --max-time 20"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve a page on this machine."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "page.txt").write_text("a page from outside")
    with pages(folder) as served:
        yield served


def agent(platform: LocalPlatform, *words: str) -> subprocess.CompletedProcess[str]:
    return patient(lambda: run_cli(platform, "agent", "update", "fetcher", "--tenant", TENANT, *words))


def says(desk: Desk, command: str) -> str:
    """Return what a command printed in the agent's sandbox."""
    found = desk.answered(TENANT, desk.say(TENANT, f"run: {command}", agent="fetcher")["message"]["id"])
    return str(found["reply"]["text"])


def test_a_host_is_reached_once_it_was_granted_and_opened(platform: LocalPlatform, desk: Desk, port: int) -> None:
    desk.settle(TENANT, agent="fetcher")
    url = f"http://127.0.0.1:{port}/page.txt"
    text = says(desk, f"{CURL} {url}")
    assert "address_refused" in text
    assert f"freehold agent update NAME --egress 127.0.0.1:{port}" in text
    assert agent(platform, "--egress", f"127.0.0.1:{port}").returncode == 0
    desk.once("destinations", {"name": "here", "place": "127.0.0.1:*"})
    assert says(desk, f"{CURL} {url}") == "shell: a page from outside"
    assert says(desk, f"{CURL} -p {url}") == "shell: a page from outside"  # through a tunnel
    rows = patient(lambda: told(platform, "usage", "--tenant", TENANT))["rows"]
    assert sum(row["bytes_out"] for row in rows if row["kind"] == "egress") > 2 * len("a page from outside")
    actions = [row["action"] for row in patient(lambda: desk.api.items(f"tenants/{TENANT}/audit"))]
    assert {"egress.open", "egress.closed", "egress.refused"} <= set(actions)
    assert agent(platform, "--no-egress", f"127.0.0.1:{port}").returncode == 0
    assert "address_refused" in says(desk, f"{CURL} {url}")


def test_what_is_no_host_is_not_granted(platform: LocalPlatform, desk: Desk) -> None:
    desk.settle(TENANT, agent="fetcher")
    for pattern in ("*", "*.com", "https://packs.example", "127.1", "packs.example/simple"):
        done = agent(platform, "--egress", pattern)
        assert done.returncode != 0
        assert "is no host that can be granted" in done.stderr, done.stderr


def test_the_platforms_own_doors_are_no_way_out(platform: LocalPlatform, desk: Desk) -> None:
    desk.settle(TENANT, agent="fetcher")
    places = ("127.0.0.1:7071", platform.url.partition("://")[2], "169.254.169.254", "[::1]:80", "0.0.0.0:80")
    for place in places:
        assert "address_refused" in says(desk, f"{CURL} http://{place}/")
        assert "403" in says(desk, f"{CURL} -p http://{place}/ 2>&1; true")
