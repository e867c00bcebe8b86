"""What the probe in a sandbox tells, read and judged: what was seen, and what of it should not be there."""

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from freehold.core.errors import Unavailable
from freehold.drivers.runtime.bwrap.argv import ENVIRONMENT, MODELS, OUTSIDE
from freehold.sandboxes.runtime import Stream

SCRIPT: Final = (
    "import sys; sys.path.insert(0, '/freehold'); from freehold.guest.probe import main; main(sys.stdin.readline())"
)
ARGV: Final = ("python3", "-I", "-S", "-c", SCRIPT)
HOLDABLE: Final = ("/dev/null", "socket:", "pipe:", "anon_inode:", "/work", "/proc")
"""What an open descriptor may lead to."""
_UNKNOWN: Final = "no answer"

Take = Callable[[str, bytes], Awaitable[None]]
"""Is given everything that was seen: where, and the bytes."""


@dataclass(slots=True)
class Sight:
    """What one sandbox shows to a program in it."""

    agent: str
    sandbox: str
    environment: dict[str, str] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    processes: list[dict[str, Any]] = field(default_factory=list)
    interfaces: list[str] = field(default_factory=list)
    ways: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        """Return it as JSON fields."""
        return asdict(self)


async def look(stream: Stream, question: dict[str, Any], sight: Sight, take: Take) -> None:
    """Ask the probe behind `stream`, fill `sight`, and hand on the bytes of everything that is there."""
    await stream.write(json.dumps(question).encode() + b"\n")
    await stream.finish()
    async for told, data in _records(stream):
        where = f"{told['kind']} {told.get('path', told.get('pid', ''))}".strip()
        await take(f"what is told of {where}"[:300], json.dumps(told, ensure_ascii=False).encode("utf-8", "replace"))
        await take(where[:300], data)
        _seen(sight, told, data)
    _judge(sight)


async def _records(stream: Stream) -> AsyncIterator[tuple[dict[str, Any], bytes]]:
    buffer = bytearray()

    async def until(enough: Callable[[], bool]) -> None:
        while not enough():
            data = await stream.read()
            if not data:
                raise Unavailable("The probe ended before its end.", code="sandbox_died", remedy="Run it again.")
            buffer.extend(data)

    while True:
        await until(lambda: b"\n" in buffer)
        end = buffer.index(b"\n")
        told = json.loads(bytes(buffer[:end]))
        del buffer[: end + 1]
        size = int(told.pop("bytes"))
        await until(lambda size=size: len(buffer) >= size)  # type: ignore[misc]
        data = bytes(buffer[:size])
        del buffer[:size]
        if told["kind"] == "end":
            return
        yield told, data


def _seen(sight: Sight, told: dict[str, Any], data: bytes) -> None:
    match told["kind"]:
        case "environment":
            sight.environment = json.loads(data)
        case "file":
            digest = hashlib.sha256(data).hexdigest() if told["type"] == "file" else ""
            sight.files.append({name: told[name] for name in ("path", "type", "size")} | {"sha256": digest})
        case "process":
            names = sorted(one.partition(b"=")[0].decode("utf-8", "replace") for one in data.split(b"\0") if one)
            sight.processes.append({name: told[name] for name in ("pid", "me", "cmdline", "fds")} | {"environ": names})
        case "memory":
            sight.processes[-1] |= {"memory_read": told["readable"], "memory_bytes": len(data)}
        case "about" if told["path"] == "/proc/net/dev":
            lines = data.decode("utf-8", "replace").splitlines()[2:]
            sight.interfaces = [line.partition(":")[0].strip() for line in lines]
        case "about" if told["path"] == "/proc/net/unix" and b" @" in data:
            sight.faults.append("there are abstract sockets")
        case "way":
            sight.ways.append({name: told[name] for name in ("what", "reached", "said")})
        case _:
            pass  # only its bytes matter


def _judge(sight: Sight) -> None:
    """Write down what should not be as it is."""
    expected = ENVIRONMENT | MODELS | OUTSIDE
    for name, value in sight.environment.items():
        if expected.get(name) != value:
            sight.faults.append(f"the environment has {name}")
    for process in sight.processes:
        strange = {to for to in process["fds"].values() if not to.startswith(HOLDABLE)}
        sight.faults += [f"process {process['pid']} has {one} open" for one in sorted(strange)]
    if sight.interfaces != ["lo"]:
        sight.faults.append(f"there are interfaces: {', '.join(sight.interfaces) or 'none told'}")
    sight.faults += [
        f"{way['what']} can be reached" for way in sight.ways if way["reached"] and way["what"] != "models"
    ]
    if not any(way["what"] == "models" for way in sight.ways):
        sight.faults.append(f"the ways out were not all tried: {_UNKNOWN}")
