"""The worker's side of the spawner: asks over its socket, and is handed the line of each sandbox as a descriptor."""

import asyncio
import contextlib
import itertools
import os
import socket
from pathlib import Path
from typing import Final, final

import msgspec
from typing_extensions import override

from freehold.core.errors import Unavailable
from freehold.drivers.runtime.bwrap.driver import Making
from freehold.drivers.runtime.bwrap.making import OnEnd
from freehold.drivers.runtime.bwrap.words import MAX_MESSAGE, Ask, Tell, asking
from freehold.sandboxes.runtime import Finding, SandboxSpec, Sighting
from freehold.store.sockets import fitting

ANSWER_SECONDS: Final = 30.0
"""How long the spawner may take over one answer; ending a sandbox takes it ten seconds at most."""

Answer = tuple[Tell, list[int]]


@final
class AskedMaking(Making):
    """Has sandboxes made by the spawner."""

    def __init__(self, path: Path) -> None:
        """Ask at the socket at `path`; the connection is made at the first question."""
        self._path = path
        self._end: socket.socket | None = None
        self._counter = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._ended: dict[int, OnEnd] = {}

    @override
    async def wake(self, spec: SandboxSpec, ended: OnEnd) -> socket.socket:
        ask = asking(next(self._counter), spec)
        self._ended[ask.n] = ended
        try:
            _, fds = await self._ask(ask)
        except BaseException:
            self._ended.pop(ask.n, None)
            raise
        if len(fds) != 1:
            raise Unavailable("The spawner handed over no line.", code="spawner_away")
        return socket.socket(fileno=fds[0])

    @override
    async def sleep(self, sandbox: str) -> None:
        await self._ask(Ask(next(self._counter), "sleep", id=sandbox))

    @override
    async def destroy(self, tenant: str, workspace: str) -> None:
        await self._ask(Ask(next(self._counter), "destroy", tenant=tenant, workspace=workspace))

    @override
    async def look(self) -> list[Sighting]:
        return (await self._ask(Ask(next(self._counter), "look")))[0].awake or []

    @override
    async def check(self) -> list[Finding]:
        return (await self._ask(Ask(next(self._counter), "check")))[0].findings or []

    @override
    async def close(self) -> None:
        self._lost()

    async def _ask(self, ask: Ask) -> Answer:
        end = self._connected()
        answer = self._waiting[ask.n] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await asyncio.get_running_loop().sock_sendall(end, msgspec.json.encode(ask))
                told, fds = await answer
        except TimeoutError as error:
            raise Unavailable("The spawner does not answer.", code="spawner_away", after=1.0) from error
        except OSError as error:
            self._lost()
            raise _away() from error
        finally:
            self._waiting.pop(ask.n, None)
        if told.problem is not None:
            raise told.problem.error()
        return told, fds

    def _connected(self) -> socket.socket:
        if self._end is None:
            end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                end.connect(fitting(self._path))
            except OSError as error:
                end.close()
                raise _away() from error
            end.setblocking(False)  # noqa: FBT003 - it takes no name
            asyncio.get_running_loop().add_reader(end, self._hear, end)
            self._end = end
        return self._end

    def _hear(self, end: socket.socket) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(end, MAX_MESSAGE, 4)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        if not data:
            self._lost()
            return
        told = msgspec.json.decode(data, type=Tell)
        waiting = self._waiting.get(told.n)
        if told.ended and told.problem is not None:
            ended = self._ended.pop(told.n, None)
            if ended is not None:
                ended(told.problem.error())
        elif waiting is not None and not waiting.done():
            waiting.set_result((told, fds))
            return
        for fd in fds:  # whoever asked has given up: without its line the sandbox ends
            os.close(fd)

    def _lost(self) -> None:
        end, self._end = self._end, None
        if end is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop it was read by is gone
            asyncio.get_running_loop().remove_reader(end)
        end.close()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(_away())
        ended, self._ended = self._ended, {}
        for tell in ended.values():
            tell(_away())


def _away() -> Unavailable:
    return Unavailable("The spawner is away.", code="spawner_away", after=1.0, remedy="Start the platform again.")
