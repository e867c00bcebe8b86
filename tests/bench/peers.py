"""
What stands between a caller and a provider: nothing, a plain proxy, ours, and LiteLLM.

Each is started on the core that is measured; the provider and the caller share the other one.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from freehold.gateway.client import WebGateway
from freehold.surroundings import passed_on
from freehold.testing.platform import free_port
from tests.bench.load import Load, Seen
from tests.bench.measuring import cpu_seconds, descendants

ROOT: Final = Path(__file__).parents[2]
TOOLS: Final = ROOT / "build" / "peers"
LITELLM: Final = ROOT / ".venv-peers" / "bin" / "litellm"
OTHERS, MEASURED = 0, 1
READY_SECONDS: Final = 90.0
TENANT: Final = "ten_bench"
PRICE: Final = {"*": {"input": 0.25, "output": 2.0}}
PLENTY: Final = 10**15


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One way to the provider."""

    name: str
    port: int
    pid: int = 0
    key: str = ""
    model: str = "scripted"
    paced: str = "paced"

    @property
    def pids(self) -> set[int]:
        """Return its processes."""
        return {self.pid} | descendants(self.pid) if self.pid else set()

    def cpu(self) -> float:
        """Return the seconds of a processor that it has used."""
        return cpu_seconds(self.pids)

    def rss_mb(self) -> float:
        """Return the memory it holds."""
        pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids)
        return sum(pages) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def calls(self, count: int, **asked: Any) -> Seen:
        """Make calls by it, from the other core."""
        told: dict[str, Any] = {"port": self.port, "key": self.key, "model": self.model, "calls": count} | asked
        command = [sys.executable, "-m", "tests.bench.load", json.dumps(asdict(Load(**told)))]
        done = subprocess.run(pinned(command, OTHERS), cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"The caller of {self.name} broke:\n{done.stderr}")
        seen = Seen(**json.loads(done.stdout))
        if seen.bad:
            raise RuntimeError(f"{self.name} answered {seen.bad} of {count} calls wrongly: {seen.wrong}")
        return seen


def pinned(command: list[str], core: int) -> list[str]:
    """Return `command` bound to one core, where there are two."""
    return ["taskset", "-c", str(core), *command] if (os.cpu_count() or 1) > 1 else command


@contextlib.contextmanager
def provider() -> Iterator[int]:
    """Give the port of a provider."""
    port = free_port()
    with _process([sys.executable, "-m", "tests.bench.provider", str(port)], port, core=OTHERS):
        yield port


def direct(upstream: int) -> Peer:
    """Return the way with nothing in between."""
    return Peer(name="direct", port=upstream)


@contextlib.contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[Peer]:
    """Give nginx as a plain proxy, one worker."""
    folder.mkdir()
    port, config = free_port(), folder / "nginx.conf"
    paths = "".join(f"{name}_temp_path {folder}/{name};\n" for name in ("proxy", "fastcgi", "uwsgi", "scgi"))
    config.write_text(
        f"""daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
access_log off; client_body_temp_path {folder}/body; {paths}
upstream provider {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 10000000; }}
server {{
listen 127.0.0.1:{port}; keepalive_requests 10000000;
location / {{ proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
}}
}}
"""
    )
    with _process([_tool("nginx"), "-c", str(config), "-p", str(folder)], port) as pid:
        yield Peer(name="nginx", port=port, pid=pid)


@contextlib.contextmanager
def caddy(folder: Path, upstream: int) -> Iterator[Peer]:
    """Give Caddy as a plain proxy."""
    folder.mkdir()
    port, config = free_port(), folder / "Caddyfile"
    config.write_text(
        "{\nadmin off\nauto_https off\n}\n"
        f"http://127.0.0.1:{port} {{\nreverse_proxy 127.0.0.1:{upstream} {{\nflush_interval -1\n}}\n}}\n"
    )
    environment = {"HOME": str(folder), "GOMAXPROCS": "1"}
    with _process([_tool("caddy"), "run", "--config", str(config)], port, environment=environment) as pid:
        yield Peer(name="Caddy", port=port, pid=pid)


@contextlib.contextmanager
def litellm(folder: Path, upstream: int) -> Iterator[Peer]:
    """Give LiteLLM's proxy in its lightest form: no database, no callbacks, one key."""
    folder.mkdir()
    port, config, key = free_port(), folder / "config.yaml", f"sk-{secrets.token_hex(16)}"
    models = "".join(
        f"  - model_name: {name}\n    litellm_params:\n      model: openai/{name}\n"
        f"      api_base: http://127.0.0.1:{upstream}/v1\n      api_key: sk-none\n"
        for name in ("scripted", "paced")
    )
    config.write_text(f"model_list:\n{models}general_settings:\n  master_key: {key}\n")
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "HOME": str(folder)}
    command = [str(LITELLM), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
    with _process(command, port, environment=environment) as pid:
        yield Peer(name="LiteLLM", port=port, pid=pid, key=key)


@contextlib.contextmanager
def freehold(folder: Path, upstream: int) -> Iterator[Peer]:
    """Give our gateway with everything on: keys, limits of four kinds, the meter and the record."""
    port = free_port()
    with _process(*gateway_command(folder, port)) as pid:
        key = asyncio.run(_furnish(folder, upstream))
        yield Peer(name="Freehold", port=port, pid=pid, key=key, model="acct/scripted", paced="acct/paced")


@contextlib.contextmanager
def gateway(folder: Path, port: int) -> Iterator[int]:
    """Give our gateway over `folder` with nothing in it, and its process."""
    with _process(*gateway_command(folder, port)) as pid:
        yield pid


def gateway_command(folder: Path, port: int) -> tuple[list[str], int, dict[str, str]]:
    """Return how our gateway is started over `folder`: the command, where it listens, and its environment."""
    folder.mkdir(exist_ok=True)
    environment = {"FREEHOLD_DATA": str(folder), "FREEHOLD_GATEWAY_ADDRESS": f"127.0.0.1:{port}"}
    return [sys.executable, "-m", "freehold", "gateway"], port, environment


def start_seconds(folder: Path) -> float:
    """Return how long our gateway takes until it can be called."""
    began = time.perf_counter()
    with _process(*gateway_command(folder, free_port())):
        return time.perf_counter() - began


async def _furnish(folder: Path, upstream: int) -> str:
    """Make a connection, a key and limits, or lead those of an earlier gateway to the provider of now; return the key."""
    web, kept = WebGateway(folder / "run" / "gateway-web.sock"), folder / "bench.key"
    try:
        await web.allow_destination(None, name="here", place="127.0.0.1:*", by="bench")
        if kept.exists():
            await web.change_connection(
                TENANT, "acct", config={"base_url": f"http://127.0.0.1:{upstream}/v1"}, by="bench"
            )
            return kept.read_text()
        await web.set_secret(TENANT, "up", "sk-upstream-bench", by="bench")
        config = {"base_url": f"http://127.0.0.1:{upstream}/v1", "price": PRICE}
        await web.create_connection(TENANT, kind="openai", name="acct", config=config, secret="up", by="bench")
        made = await web.create_model_key(
            TENANT, name="bench", agent="agt_bench", models=["acct/scripted", "acct/paced"], expires_at=None, by="bench"
        )
        for scope, subject in (("tenant", ""), ("agent", "agt_bench"), ("key", str(made["id"]))):
            for period in ("day", "month"):
                await web.set_budget(TENANT, scope=scope, subject=subject, period=period, limit_nano=PLENTY, by="bench")
        kept.write_text(str(made["key"]))
        return str(made["key"])
    finally:
        await web.close()


def _tool(name: str) -> str:
    """Return where a peer's program is."""
    found = next((str(path) for path in TOOLS.glob(f"usr/*bin/{name}")), None) or shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is missing: tools/environment peers")
    return found


@contextlib.contextmanager
def _process(
    command: list[str], port: int, environment: dict[str, str] | None = None, *, core: int = MEASURED
) -> Iterator[int]:
    began = subprocess.Popen(
        pinned(command, core),
        cwd=ROOT,
        env=passed_on() | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(began, port)
        yield began.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(began.pid, signal.SIGTERM)
        try:
            began.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(began.pid, signal.SIGKILL)
            began.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}.")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.005)
    raise RuntimeError(f"{process.args!r} does not listen.")
