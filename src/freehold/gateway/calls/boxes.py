"""
Boxes: the one socket each sandbox has, and in whose name it speaks.

A worker says for which run a sandbox wakes; whatever comes in by the sandbox's socket is that run's, and no key or
header says otherwise. Each is a folder of its own, since a folder is what a sandbox can be shown; all are served on
one loop, and one that nobody uses is a descriptor and some kilobytes.
"""

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import uvicorn
from uvicorn.server import ServerState

from freehold.core.errors import Conflict, Invalid
from freehold.gateway.asgi import App, Receive, Scope, Send
from freehold.gateway.calls import speaking
from freehold.gateway.calls.knocking import Connection, Front, Knock, is_user, straight
from freehold.gateway.calls.room import Room
from freehold.gateway.calls.speaking import Speaker
from freehold.gateway.keeping import Keep
from freehold.gateway.requests import BoxRequest
from freehold.store.patience import Patient

SOCKET: Final = "gateway.sock"
BACKLOG: Final = 128
AT_ONCE: Final = 128
"""Connections of one sandbox at a time; more are told to come again."""
BOX_BYTES: Final = 64 << 20
"""Bytes of requests of one sandbox that may lie in our memory at once: as many as the largest request may have."""
ALL_BYTES: Final = 512 << 20
"""Those of all sandboxes together."""
IDLE_SECONDS: Final = 30
OLD_SECONDS: Final = 3600.0
"""How long a folder nobody opened lies: the sandbox of a gateway that died may still have it."""
_NAME: Final = re.compile(r"sbx_[0-9A-Za-z]{1,60}")
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

ServeBox = Callable[[Speaker, str, Room], App]
"""Returns what answers a sandbox, by who speaks, the sandbox's id, and the room it has for requests that are kept."""


@final
class Boxes:
    """The boxes of one gateway."""

    def __init__(
        self, keep: Keep, folder: Path, serve: ServeBox, *, uid_base: int | None, front: Front = straight
    ) -> None:
        """
        Keep boxes in `folder`; what comes in at one is heard by `front` first, and answered by what `serve` makes for it.

        With `uid_base`, sandboxes are users of their own from that number on, and nobody else is listened to.
        """
        self._keep, self._folder, self._serve, self._uid_base = keep, folder, serve, uid_base
        self._front = front
        self._open: dict[str, _Box] = {}
        self._room = Room(ALL_BYTES)
        self._turn = asyncio.Lock()
        self._root = -1
        self._config = uvicorn.Config(
            _nothing,
            http=Patient,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            limit_concurrency=AT_ONCE,
            timeout_keep_alive=IDLE_SECONDS,
        )

    async def open(self, request: BoxRequest) -> bool:
        """
        Listen for the sandbox of a run, and return whether that is new; the same again changes nothing.

        Raises `Denied` (`not_published`) for a version nobody granted anything, `Conflict` (`stale_epoch`) for a run
        that another worker has taken over, and `Conflict` (`box_taken`) where the sandbox is another run's.
        """
        box = self._open.get(_checked(request.sandbox))
        if box is not None and box.stated == request:
            return False
        async with self._turn:
            found = await self._keep.read(lambda tx: speaking.speaker(tx, request))
            await self._replace(request.holder)
            box = self._open.get(request.sandbox)
            if box is None:
                self._open[request.sandbox] = await self._listen(request, found)
                return True
            if (box.stated.tenant, box.stated.run) != (request.tenant, request.run):
                raise Conflict("This sandbox is another run's.", code="box_taken", remedy="Wake a sandbox of its own.")
            box.stated, box.speaker, box.app = request, found, self._serve(found, request.sandbox, box.room)
            return False

    async def close(self, sandbox: str) -> None:
        """Listen for a sandbox no more, and remove its folder; one that is not open is closed."""
        box = self._open.pop(_checked(sandbox), None)
        if box is not None:
            box.end()
            self._remove(sandbox)

    async def end(self) -> None:
        """Listen for nobody any more; the folders stay, since sandboxes that outlive us have them."""
        for box in self._open.values():
            box.end()
        self._open.clear()
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def sweep(self) -> int:
        """Remove folders that nobody has opened for long, and return how many there were."""
        swept, now = 0, self._keep.now().timestamp()
        for name in os.listdir(self._above()):  # noqa: PTH208 - by descriptor, as all else here
            with contextlib.suppress(OSError):
                about = os.stat(name, dir_fd=self._above(), follow_symlinks=False)
                if name not in self._open and about.st_mtime < now - OLD_SECONDS:
                    self._remove(name)
                    swept += 1
        return swept

    async def _replace(self, holder: str) -> None:
        """Close what an earlier worker left open: there is one at a time, and its sandboxes ended with it."""
        kind = holder.partition("/")[0]
        for sandbox, box in list(self._open.items()):
            if box.stated.holder != holder and box.stated.holder.partition("/")[0] == kind:
                await self.close(sandbox)

    async def _listen(self, request: BoxRequest, speaker: Speaker) -> "_Box":
        user = None if self._uid_base is None else self._uid_base + request.uid
        room = Room(BOX_BYTES, within=self._room)
        box = _Box(
            stated=request,
            speaker=speaker,
            app=self._serve(speaker, request.sandbox, room),
            state=ServerState(),
            room=room,
        )
        if not self._config.loaded:
            self._config.load()
        loop = asyncio.get_running_loop()
        listener = self._bound(request.sandbox)
        knock = Knock(
            sandbox=request.sandbox,
            speaker=lambda: box.speaker,
            lets=lambda transport: is_user(transport, user),
            speak=lambda: Connection(self._config, box.state, {}, loop, app=box, lets=knock.lets),
            connections=box.state.connections,
        )
        box.server = await loop.create_unix_server(lambda: self._front(knock), sock=listener, backlog=BACKLOG)
        return box

    def _bound(self, sandbox: str) -> socket.socket:
        """Return a listener in the sandbox's folder; what a dead gateway left there is replaced, the folder kept."""
        above = self._above()
        with contextlib.suppress(FileExistsError):
            os.mkdir(sandbox, 0o700, dir_fd=above)
        here = os.open(sandbox, _FOLDER, dir_fd=above)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(SOCKET, dir_fd=here)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            listener.bind(f"/proc/self/fd/{here}/{SOCKET}")  # by descriptor: the kernel takes short names only
            if self._uid_base is not None:  # sandboxes are other users than we; which one it is, each connection shows
                os.chmod(SOCKET, 0o666, dir_fd=here)  # noqa: S103
                os.fchmod(here, 0o711)
        finally:
            os.close(here)
        listener.listen(BACKLOG)
        return listener

    def _above(self) -> int:
        if self._root < 0:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._root = os.open(self._folder, _FOLDER)
            if self._uid_base is not None:
                os.fchmod(self._root, 0o711)
        return self._root

    def _remove(self, sandbox: str) -> None:
        above = self._above()
        with contextlib.suppress(OSError):
            os.unlink(f"{sandbox}/{SOCKET}", dir_fd=above)
        with contextlib.suppress(OSError):
            os.rmdir(sandbox, dir_fd=above)


@dataclass(slots=True, kw_only=True)
class _Box:
    """One socket that is listened at."""

    stated: BoxRequest
    speaker: Speaker
    app: App
    state: ServerState
    room: Room
    server: asyncio.Server | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as things stand now; a connection may be older than what was stated last."""
        await self.app(scope, receive, send)

    def end(self) -> None:
        """Listen no more, and cut who is connected."""
        if self.server is not None:
            self.server.close()
        for connection in list(self.state.connections):
            connection.transport.abort()


def _checked(sandbox: str) -> str:
    if not _NAME.fullmatch(sandbox):
        raise Invalid(f"{sandbox[:80]!r} is no id of a sandbox.", code="bad_id")
    return sandbox


async def _nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    """Stand where uvicorn wants an application: each box has one of its own."""
