"""A full disk: new work is refused, accepted work ends, and everything heals when there is room again."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from freehold.core.errors import Exhausted
from freehold.testing.platform import LocalPlatform
from tests.disks import fill, small
from tests.platforms import Desk, told

pytestmark = pytest.mark.root


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system that is soon full."""
    with small(tmp_path / "small", size="48m") as folder:
        yield folder


def say_much(desk: Desk) -> None:
    """Send messages until the room that the database's own files still have is used up too."""
    for _ in range(50):
        desk.api.post("tenants/acme/agents/ada/messages", {"text": "x" * 50_000})


def test_a_full_disk_refuses_new_work_finishes_the_old_and_heals(small_disk: Path) -> None:
    with LocalPlatform(small_disk / "data", environment={"FREEHOLD_RESERVE_MB": "8"}) as platform:
        desk = Desk(platform)
        desk.settle("acme")
        accepted = desk.say("acme", "run: sleep 2; echo slow")["message"]["id"]
        filler = fill(small_disk)

        with pytest.raises(Exhausted) as refused:
            say_much(desk)
        assert (refused.value.status, refused.value.code) == (507, "disk_full")
        assert refused.value.remedy

        assert desk.answered("acme", accepted)["reply"]["text"].strip().endswith("slow")
        with pytest.raises(Exhausted):
            desk.api.post("tenants/acme/agents/ada/messages", {"text": "still full"})
        assert httpx.get(f"{platform.url}/healthz", timeout=10).status_code == 200

        filler.unlink()
        later = desk.say("acme", "hello")["message"]["id"]
        assert desk.answered("acme", later)["message"]["state"] == "answered"
        assert told(platform, "audit", "verify")["ok"] is True
