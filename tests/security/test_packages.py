"""The gateway's process holds as little of others as it can, starts at once, and is closed to everybody."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from freehold.surroundings import passed_on
from tests.platforms import until

DIRECT, ALL = 9, 24
START_SECONDS = 1.5
CLOSED = """
import ctypes, resource
from freehold.app.closing import close_off
close_off()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))
print(open("/proc/self/coredump_filter").read() if __import__("os").geteuid() == 0 else "00000000")
"""


@contextmanager
def gateway(data: Path, **stated: str) -> Iterator[subprocess.Popen[bytes]]:
    """Give a running gateway that answers."""
    environment = surroundings(data, **stated)
    process = subprocess.Popen([sys.executable, "-m", "freehold", "gateway"], cwd=data, env=environment)
    try:
        until(lambda: asked(data, **stated).returncode == 0, why="an answer of the gateway")
        yield process
    finally:
        process.kill()
        process.wait()


def surroundings(data: Path, **stated: str) -> dict[str, str]:
    return passed_on() | {"FREEHOLD_DATA": str(data), "HOME": str(data)} | stated


def asked(data: Path, **stated: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "freehold", "gateway", "--packages", "--json"]
    return subprocess.run(words, env=surroundings(data, **stated), capture_output=True, text=True, check=False)


def test_what_the_running_gateway_has_loaded_is_little_and_has_a_reason(tmp_path: Path) -> None:
    stated = {"FREEHOLD_SMTP_URL": "smtp://127.0.0.1:1"}
    with gateway(tmp_path, **stated):
        found = json.loads(asked(tmp_path, **stated).stdout)
    assert [package["name"] for package in found if not package["reason"]] == []
    assert len([package for package in found if package["direct"]]) <= DIRECT
    assert len(found) <= ALL
    assert not {package["name"] for package in found} & {"aiosmtplib", "alembic", "pydantic", "fastapi", "typer"}


def test_a_second_start_migrates_nothing_and_a_store_that_is_too_new_is_refused(tmp_path: Path) -> None:
    import sqlite3  # noqa: PLC0415

    with gateway(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "gateway" / "gateway.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    words = [sys.executable, "-m", "freehold", "gateway"]
    done = subprocess.run(words, env=surroundings(tmp_path), capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert "database_too_new" in done.stderr


def test_no_gateway_is_told_as_such(tmp_path: Path) -> None:
    done = asked(tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == "gateway_away"


@pytest.mark.long
def test_the_gateway_answers_soon_after_it_was_started(tmp_path: Path) -> None:
    def seconds() -> float:
        began = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "freehold", "gateway"], env=surroundings(tmp_path))
        try:
            socket = tmp_path / "run" / "gateway-web.sock"
            until(socket.exists, why="the gateway's socket")
            return time.monotonic() - began
        finally:
            process.terminate()
            process.wait()
            socket.unlink(missing_ok=True)

    with gateway(tmp_path):
        pass  # the first start makes the store
    (tmp_path / "run" / "gateway-web.sock").unlink(missing_ok=True)
    assert min(seconds() for _ in range(5)) <= START_SECONDS


def test_a_closed_process_leaves_no_core_and_shows_no_memory() -> None:
    done = subprocess.run([sys.executable, "-c", CLOSED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0", "0", "00000000"]


def test_a_gateway_that_breaks_leaves_no_core_file(tmp_path: Path) -> None:
    import resource  # noqa: PLC0415

    limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))  # what it starts with would allow one
    try:
        with gateway(tmp_path) as process:
            os.kill(process.pid, signal.SIGSEGV)
            process.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limits)
    assert [path for path in tmp_path.rglob("*core*") if path.is_file()] == []
