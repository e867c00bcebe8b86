"""A full disk: new work is refused, accepted work ends, and everything heals when there is room again."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from freehold.core.errors import Exhausted
from freehold.testing.platform import LocalPlatform
from tests.platforms import Desk, told

pytestmark = pytest.mark.root

SIZE = "48m"
BLOCK = bytes(1 << 16)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system that is soon full."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave not one block free, and return the file that took them all."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (len(BLOCK), 4096, 512):
            try:
                while file.write(BLOCK[:size]):
                    pass
            except OSError:
                continue
    return filler


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
