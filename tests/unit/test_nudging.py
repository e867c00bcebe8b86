"""Nudges get through when somebody listens, and cost nothing when nobody does."""

import asyncio
from pathlib import Path
from typing import Any

from freehold.runs.nudging import Nudge, listen
from freehold.testing.contract.engine import until


async def test_who_listens_hears_it(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    with listen(tmp_path / "inbox", heard.append):
        Nudge(tmp_path / "inbox").send({"kick": True, "text": "grüße"})
        await until(lambda: bool(heard))
    assert heard == [{"kick": True, "text": "grüße"}]


async def test_where_nobody_listens_nothing_happens(tmp_path: Path) -> None:
    Nudge(tmp_path / "nobody").send({"kick": True})
    with listen(tmp_path / "inbox", lambda _told: None):
        pass
    Nudge(tmp_path / "inbox").send({"kick": True})
    assert not (tmp_path / "inbox").exists()


async def test_a_flood_blocks_nobody(tmp_path: Path) -> None:
    nudge = Nudge(tmp_path / "inbox")
    heard: list[dict[str, Any]] = []
    with listen(tmp_path / "inbox", heard.append):
        for number in range(5_000):
            nudge.send({"n": number, "text": "x" * 1000})
        await until(lambda: bool(heard))
    assert heard[0]["n"] == 0


async def test_what_is_not_one_of_ours_is_passed_over(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    with listen(tmp_path / "inbox", heard.append):
        nudge = Nudge(tmp_path / "inbox")
        nudge._socket.sendto(b"\xff{", str(tmp_path / "inbox"))
        nudge._socket.sendto(b"[1]", str(tmp_path / "inbox"))
        nudge.send({"kick": True})
        await until(lambda: bool(heard))
        await asyncio.sleep(0)
    assert heard == [{"kick": True}]


async def test_a_new_listener_takes_the_place_of_one_that_died(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    (tmp_path / "inbox").touch()
    with listen(tmp_path / "inbox", heard.append):
        Nudge(tmp_path / "inbox").send({"n": 1})
        await until(lambda: bool(heard))
