"""The port of this machine at which worker and gateway tell their metrics; nothing else is answered there."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import uvicorn

from freehold.app.address import bound
from freehold.app.serving import Server
from freehold.core.clock import Clock
from freehold.core.metrics import MEDIA_TYPE, Metrics
from freehold.settings import Settings
from freehold.surroundings import spent

PATH: Final = "/metrics"
GATEWAY: Final = 0
WORKER: Final = 1
"""How many ports above the stated one a process listens: both are told the same address."""
_HERE: Final = re.compile(r"(localhost|\[::1\]|127(\.\d{1,3}){3})(:\d{1,5})?", re.IGNORECASE)

Send = Callable[[dict[str, Any]], Awaitable[None]]


@asynccontextmanager
async def exposed(
    settings: Settings, metrics: Metrics, clock: Clock, *, above: int, look: Callable[[], None] = lambda: None
) -> AsyncIterator[None]:
    """Tell `metrics` while the block lasts, if settings say where; `look` sets what is looked up for each answer."""
    metrics.set("freehold_process_start_time_seconds", clock.now().timestamp())
    if not settings.metrics_address:
        yield
        return
    host, _, port = settings.metrics_address.rpartition(":")
    listener = bound(f"{host}:{int(port) + above}", stated="FREEHOLD_METRICS_ADDRESS")
    server = Server(_config(Telling(metrics, look)))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving
        listener.close()


class Telling:
    """Answers whoever asks for the metrics of this process, at an address of this machine."""

    def __init__(self, metrics: Metrics, look: Callable[[], None]) -> None:
        """Tell `metrics`, once `look` has looked."""
        self._metrics, self._look = metrics, look

    async def __call__(self, scope: dict[str, Any], _receive: object, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        here = _is_ours(dict(scope["headers"]).get(b"host", b"").decode("latin-1"))
        known = here and scope["path"] == PATH and scope["method"] in {"GET", "HEAD"}
        body = self._told().encode() if known else b"There is /metrics here.\n"
        kind = MEDIA_TYPE if known else "text/plain; charset=utf-8"
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if known else 404, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _told(self) -> str:
        self._look()
        cpu, memory = spent()
        self._metrics.set("freehold_process_cpu_seconds_total", cpu)
        self._metrics.set("freehold_process_resident_memory_bytes", memory)
        return self._metrics.text()


def _is_ours(host: str) -> bool:
    """Return whether a request was sent to this machine by its own names: no page of a browser gets here by another."""
    return _HERE.fullmatch(host) is not None


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
