"""
`make bench`: measures this checkout on this machine, and writes down what it found.

The figures go to `docs/reference/benchmarks.md` for people and to `build/bench.json` for programs.
"""

import json
import os
import platform as machine
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import egress, gateway, neighbours, platform, sandboxes
from tests.bench.measuring import Figure

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "docs" / "reference" / "benchmarks.md"
ENTRIES = ROOT / "build" / "bench.json"

HEAD = """# Benchmarks

Written by `make bench`; do not edit. Figures depend on the machine and on what else it does: compare ratios, not
milliseconds. PSS counts shared memory once, split among those who share it.
"""


def main() -> int:
    """Measure everything and return 0; figures that miss their goal are marked, not failed."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as folder:
        for part in (sandboxes, gateway, egress, neighbours, platform):
            print(f"{part.__name__} ...", file=sys.stderr, flush=True)
            figures += part.measure(Path(folder))
    ENTRIES.parent.mkdir(exist_ok=True)
    ENTRIES.write_text(json.dumps([figure.entry() for figure in figures], indent=2) + "\n")
    REPORT.write_text(report(figures))
    print(report(figures))
    return 0


def report(figures: list[Figure]) -> str:
    """Return the page that shows `figures`."""
    lines = [HEAD, *(f"- {name}: {value}" for name, value in circumstances().items()), ""]
    lines += ["| What | Value | Goal | Beside it | Ratio | n | Load |", "|---|---|---|---|---|---|---|"]
    lines += [_row(figure) for figure in figures]
    return "\n".join(lines) + "\n"


def circumstances() -> dict[str, str]:
    """Return where and when this was measured."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    memory = next(int(line.split()[1]) >> 20 for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    version = subprocess.run(["bwrap", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "Date": datetime.now(UTC).strftime("%Y-%m-%d"),  # noqa: TID251 - a benchmark is of a day
        "Machine": f"{os.cpu_count()} processors ({cpu or machine.machine()}), {memory} GB",
        "System": f"Linux {machine.release().partition('-')[0]}, Python {machine.python_version()}, {version}",
        "Started by": "root: separate users, memory limits by cgroup" if os.geteuid() == 0 else "an ordinary user",
    }


def _row(figure: Figure) -> str:
    goal, beside, ratio = "-", "-", "-"
    if figure.goal is not None:
        goal = f"≤ {figure.goal:g} {'✓' if figure.value <= figure.goal else '✗'}"
    if figure.peer_value:
        beside, ratio = f"{figure.peer}: {figure.peer_value:g} {figure.unit}", f"{figure.value / figure.peer_value:.2f}"
    value = f"{figure.value:g} {figure.unit}"
    return f"| {figure.name} | {value} | {goal} | {beside} | {ratio} | {figure.n} | {figure.load:g} |"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


if __name__ == "__main__":
    sys.exit(main())
