"""
`make soak`: a million model calls and a hundred thousand streams that callers hang up on, through one gateway.

What was done is written down after every round, in `build/soak`, and gone on from by the next start. At the end memory
has stopped growing, no money is held, no connection and no descriptor is left over, and each call has its row.
"""

import asyncio
import contextlib
import json
import shutil
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from freehold.gateway.client import WebGateway
from tests.bench import peers
from tests.bench.peers import ROOT, TENANT, Peer

CALLS, BROKEN = 1_000_000, 100_000
ROUND: Final = 10_000
"""Calls of a round; a tenth as many streams are broken in it."""
IDLE_SECONDS: Final = 120.0
GROWTH_MB: Final = 1.0
"""That memory may grow by in the second half, for every hundred thousand calls."""
MOST_MB: Final = 130.0
SPARE: Final = 8
"""Descriptors that may be open beyond those of a gateway that was called once."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """How things stood after a round."""

    calls: int
    broken: int
    rss_mb: float
    seconds: float


@dataclass(kw_only=True)
class Soaked:
    """What was done so far, and what came of it."""

    key: str = ""
    rounds: list[Round] = field(default_factory=list)
    starts: int = 0
    """How many gateways it took: one that starts anew has forgotten what it had grown by."""
    since: int = 0
    """The first round of the one that runs."""
    left: dict[str, int] = field(default_factory=dict)
    """What was left over at the end; all of it should be nothing."""

    @property
    def calls(self) -> int:
        return sum(one.calls for one in self.rounds)

    @property
    def broken(self) -> int:
        return sum(one.broken for one in self.rounds)

    @property
    def growth_mb(self) -> float:
        """Return what memory grew by in the second half, for every hundred thousand calls."""
        lately = self.rounds[self.since :]
        half = lately[len(lately) // 2 :]
        if len(half) < 2:
            return 0.0
        slope = statistics.linear_regression(range(len(half)), [one.rss_mb for one in half]).slope
        return slope * 100_000 / half[0].calls

    @property
    def faults(self) -> list[str]:
        """Return what is not as it should be."""
        found = [f"{count} {what}" for what, count in self.left.items() if count]
        most = max(one.rss_mb for one in self.rounds)
        if most > MOST_MB:
            found.append(f"{most:.0f} MB of memory")
        if self.growth_mb > GROWTH_MB:
            found.append(f"{self.growth_mb:.2f} MB more for every 100,000 calls")
        return found


def soak(folder: Path, *, calls: int, broken: int, size: int = ROUND) -> Soaked:
    """Make the calls that `folder` does not tell of yet, and return what came of all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    done = _read(folder)
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(peers.provider())
        way = stack.enter_context(peers.freehold(folder / "data", upstream))
        done.starts, done.since = done.starts + 1, len(done.rounds)
        way.calls(100)
        before = _descriptors(way)
        while done.calls < calls:
            done.rounds.append(_round(way, size, size * broken // calls))
            _write(folder, done)
            told = done.rounds[-1]
            print(f"  {done.calls} calls, {done.broken} broken: {told.rss_mb:.1f} MB", file=sys.stderr, flush=True)
        held = asyncio.run(_idle(folder / "data"))
        done.left = {"nano-USD held": held, "descriptors": _left_open(way, before)}
        _write(folder, done)
    return done


def _round(way: Peer, calls: int, broken: int) -> Round:
    began = time.perf_counter()
    way.calls(calls)
    if broken:
        way.calls(broken, stream=True, broken=True, model=way.paced)
    return Round(calls=calls, broken=broken, rss_mb=round(way.rss_mb(), 2), seconds=time.perf_counter() - began)


async def _idle(data: Path) -> int:
    """Wait until nothing is held any more, and return what is held in spite of that."""
    web = WebGateway(data / "run" / "gateway-web.sock")
    try:
        until = time.monotonic() + IDLE_SECONDS
        while held := sum(int(limit["held_nano"]) for limit in await web.list_budgets(TENANT)):
            if time.monotonic() > until:
                return held
            await asyncio.sleep(0.5)
        return 0
    finally:
        await web.close()


def _left_open(way: Peer, before: int) -> int:
    """Return how many descriptors stay open beyond `before`, once connections kept for the next call were let go."""
    until = time.monotonic() + IDLE_SECONDS
    while (more := _descriptors(way) - before - SPARE) > 0 and time.monotonic() < until:
        time.sleep(0.5)
    return max(more, 0)


def _descriptors(way: Peer) -> int:
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in way.pids)


def _read(folder: Path) -> Soaked:
    kept = folder / "soaked.json"
    if not kept.exists():
        return Soaked()
    told: dict[str, Any] = json.loads(kept.read_text())
    return Soaked(**told | {"rounds": [Round(**one) for one in told["rounds"]]})


def _write(folder: Path, done: Soaked) -> None:
    (folder / "soaked.json.new").write_text(json.dumps(asdict(done), indent=1))
    (folder / "soaked.json.new").replace(folder / "soaked.json")


def main() -> int:
    """Soak, say what came of it, and return 1 if anything is not as it should be."""
    folder = ROOT / "build" / "soak"
    if "--anew" in sys.argv:
        shutil.rmtree(folder, ignore_errors=True)
    done = soak(folder, calls=CALLS, broken=BROKEN)
    print(f"{done.calls} calls and {done.broken} broken streams; memory {done.rounds[-1].rss_mb:.1f} MB at the end,")
    print(f"{done.growth_mb:.2f} MB more for every 100,000 calls in the second half; {done.starts} starts.")
    for fault in done.faults:
        print(f"LEFT OVER: {fault}")
    return 1 if done.faults else 0


if __name__ == "__main__":
    sys.exit(main())
