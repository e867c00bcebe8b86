"""What being a process of ours comes to, the same for web, worker and gateway: its loop, its log, its end."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, final

import uvicorn
import uvloop
from typing_extensions import override

from freehold.settings import Settings

DATE_SECONDS: Final = 1.0
"""How old the date in an answer may be."""
_CHATTY: Final = ("alembic", "uvicorn")
"""Libraries that speak of trouble only."""


@final
class Server(uvicorn.Server):
    """Serves; signals are ours to handle, since a process may have several servers and more to end than them."""

    def __init__(self, config: uvicorn.Config) -> None:
        """Serve as `config` says."""
        self._stopping = asyncio.Event()
        super().__init__(config)

    @property  # type: ignore[explicit-override]  # mypy does not see it on a pair
    @override
    def should_exit(self) -> bool:
        """Whether it is to end; it may be told so from its own loop only."""
        return self._stopping.is_set()

    @should_exit.setter
    @override
    def should_exit(self, value: bool) -> None:
        if value:
            self._stopping.set()
        else:
            self._stopping.clear()

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @override
    async def main_loop(self) -> None:
        # uvicorn looks ten times a second whether it is to end. We are told, and only the date in answers grows old.
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), DATE_SECONDS if self.config.date_header else None)


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
