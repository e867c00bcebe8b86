"""What is measured and how: percentiles, memory that is really used, time of the processor."""

import os
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure, beside a peer's where there is one, and the goal it is held against."""

    name: str
    value: float
    unit: str
    n: int
    peer: str = ""
    peer_value: float | None = None
    goal: float | None = None
    load: float = 0.0

    def entry(self) -> dict[str, Any]:
        """Return it as an entry of the JSON report."""
        ratio = round(self.value / self.peer_value, 3) if self.peer_value else None
        fields = asdict(self)
        del fields["goal"]
        return fields | {"peer": self.peer or None, "ratio": ratio}


def figure(name: str, value: float, unit: str, n: int, **more: Any) -> Figure:
    """Return a figure, with the load of the machine right now."""
    return Figure(name=name, value=round(value, 2), unit=unit, n=n, load=round(os.getloadavg()[0], 2), **more)


def percentile(values: Sequence[float], share: int) -> float:
    """Return the value below which `share` per cent of `values` lie."""
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


def pss_mb(pids: Iterable[int]) -> float:
    """Return the proportional memory of processes, in MB."""
    return sum(_pss(pid) for pid in pids) / 1024


def _pss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor time that processes have used."""
    fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(field[11]) + int(field[12]) for field in fields) / TICKS


def available_mb() -> float:
    """Return the memory that the machine has left, in MB."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 1024


def descendants(pid: int) -> set[int]:
    """Return the process ids below `pid`, at any depth."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found |= {child} | descendants(child)
    return found
