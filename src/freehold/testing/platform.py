"""
A whole platform for a test or a demonstration: real processes, started by `freehold up` on a folder of its own.

The one who holds it may kill its processes and see them come back.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from freehold.core.errors import Unavailable
from freehold.surroundings import passed_on

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 15.0
REMEMBERED: Final = 2_000
"""Lines of what the processes said."""


def free_port() -> int:
    """Return a port of the loopback address that nobody uses right now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class LocalPlatform:
    """A platform of one's own, as a context: up inside, stopped afterwards."""

    def __init__(self, data: Path, *, environment: Mapping[str, str] | None = None) -> None:
        """Prepare one over `data`, with the rehearsal model allowed and `environment` on top."""
        self.data = data
        self.address = f"127.0.0.1:{free_port()}"
        self._stated = {"FREEHOLD_REHEARSAL": "1", "FREEHOLD_LOG_LEVEL": "warning"} | dict(environment or {})
        self._process: subprocess.Popen[str] | None = None
        self._said: deque[str] = deque(maxlen=REMEMBERED)
        self._reader: threading.Thread | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables under which `freehold` means this platform."""
        own = {"FREEHOLD_DATA": str(self.data), "FREEHOLD_ADDRESS": self.address}
        return passed_on() | {"HOME": str(self.data)} | self._stated | own

    @property
    def url(self) -> str:
        """Return where it answers."""
        return f"http://{self.address}"

    @property
    def key(self) -> str:
        """Return its operator key."""
        return (self.data / "operator.key").read_text().strip()

    @property
    def said(self) -> str:
        """Return what its processes said lately."""
        return "\n".join(self._said)

    @property
    def pid(self) -> int:
        """Return the process id of `up` itself; 0 while it is down."""
        return self._process.pid if self._process else 0

    @property
    def pids(self) -> dict[str, int]:
        """Return the process ids of web, worker and gateway, as far as they are there right now."""
        found = {}
        for child in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
            words = _words(child)
            if words[1:3] == ["-m", "freehold"] and len(words) > 3:
                found[words[3]] = int(child)
        return found

    def start(self) -> None:
        """Start it and return once everything answers."""
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "freehold", "up", "--json"],
            env=self.environment,
            cwd=self.data.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._listen, args=(process,), daemon=True)
        self._reader.start()
        timer = threading.Timer(START_SECONDS, process.kill)
        timer.start()
        line = process.stdout.readline() if process.stdout else ""
        timer.cancel()
        if not line or "pids" not in json.loads(line):
            process.wait()
            self._reader.join(1)
            raise Unavailable(f"The platform did not start:\n{self.said}", code="not_started")

    def kill(self, name: str) -> None:
        """Kill one of its processes, so that it can do nothing more."""
        os.kill(self.pids[name], signal.SIGKILL)

    def stop(self) -> int:
        """Stop it in order and return the exit status of `up`."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if self._reader:
            self._reader.join(1)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()
        self._process = None
        return status

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        for line in process.stderr or ():
            self._said.append(line.rstrip("\n"))


def _words(pid: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    except OSError:
        return []
