"""What being a process of ours comes to, the same for web, worker and gateway: its loop, its log, its end."""

import asyncio
import logging
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, final

import uvicorn
import uvloop
from typing_extensions import override

from freehold.settings import Settings

_CHATTY: Final = ("alembic", "uvicorn")
"""Libraries that speak of trouble only."""


@final
class Server(uvicorn.Server):
    """Serves; signals are ours to handle, since a process may have several servers and more to end than them."""

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def stop_asked() -> asyncio.Event:
    """Return what is set once the process is told to stop, by SIGTERM or Ctrl-C."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def run_process(settings: Settings, process: Coroutine[Any, Any, None]) -> None:
    """Run `process` to its end on uvloop's loop, with the log at the level that `settings` say."""
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.root.level))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(process)
