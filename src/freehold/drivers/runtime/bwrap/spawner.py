"""
Making sandboxes for a worker that may not: the part that stays root, in threads of `freehold up`.

It listens on one socket, answers one user only, and makes nothing but sandboxes: which user, which folder and which
command is decided here, never by who asks. When the worker hangs up, its sandboxes end.
"""

import contextlib
import logging
import os
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, final

import msgspec

from freehold.core.errors import FreeholdError, Invalid, Unavailable
from freehold.drivers.runtime.bwrap.checks import look_at_host
from freehold.drivers.runtime.bwrap.making import Maker
from freehold.drivers.runtime.bwrap.words import MAX_MESSAGE, Ask, Problem, Tell
from freehold.store.sockets import fitting

log = logging.getLogger(__name__)

BACKLOG: Final = 8
AT_ONCE: Final = 16
"""Questions of one worker under way at once."""
_CREDENTIALS: Final = struct.Struct("3i")


@final
class Spawner:
    """Serves the spawner's socket."""

    def __init__(self, maker: Maker, path: Path, *, user: int, group: int) -> None:
        """Make sandboxes with `maker` for processes of `user` that connect to the socket at `path`."""
        self._maker, self._path, self._user, self._group = maker, path, user, group
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._links: set[_Link] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Listen, and serve in threads of our own."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        self._socket.bind(fitting(self._path))
        os.chown(self._path, os.geteuid(), self._group)
        self._path.chmod(0o660)
        self._socket.listen(BACKLOG)
        threading.Thread(target=self._accept, name="spawner", daemon=True).start()

    def stop(self) -> None:
        """Hear no more, and end every sandbox."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        self._socket.close()
        with self._lock:
            links = list(self._links)
        for link in links:
            link.hang_up()
        self._maker.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def _accept(self) -> None:
        while True:
            try:
                end, _ = self._socket.accept()
            except OSError:
                return
            if _user_of(end) not in {0, self._user}:
                end.close()
                continue
            link = _Link(self._maker, end)
            with self._lock:
                self._links.add(link)
            threading.Thread(target=self._serve, args=(link,), name="spawner-link", daemon=True).start()

    def _serve(self, link: "_Link") -> None:
        try:
            link.serve()
        finally:
            with self._lock:
                self._links.discard(link)


def _user_of(end: socket.socket) -> int:
    _, user, _ = _CREDENTIALS.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(user)


class _Link:
    """One worker's connection, and the sandboxes that live as long as it does."""

    def __init__(self, maker: Maker, end: socket.socket) -> None:
        self._maker, self._end = maker, end
        self._own: set[str] = set()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="spawner-work")

    def hang_up(self) -> None:
        """End the connection."""
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        """Answer until the worker hangs up or says something that makes no sense; then end its sandboxes."""
        try:
            while data := self._end.recv(MAX_MESSAGE):
                self._pool.submit(self._answer, msgspec.json.decode(data, type=Ask))
        except (OSError, msgspec.DecodeError):
            pass
        self._pool.shutdown(wait=True)
        with self._lock:
            own = list(self._own)
        for sandbox in own:
            with contextlib.suppress(FreeholdError):
                self._maker.sleep(sandbox)
        self._end.close()

    def _answer(self, ask: Ask) -> None:
        try:
            self._obey(ask)
        except FreeholdError as error:
            self._tell(Tell(n=ask.n, problem=Problem.of(error)))
        except ValueError as error:
            self._tell(Tell(n=ask.n, problem=Problem.of(Invalid(f"The spawner cannot do that: {error}."))))
        except Exception:  # whoever asked waits for an answer, whatever went wrong
            log.exception("The spawner broke while it was to %s.", ask.do)
            broke = Unavailable("The spawner broke; `freehold up` says how.", code="spawner_broke", after=1.0)
            self._tell(Tell(n=ask.n, problem=Problem.of(broke)))

    def _obey(self, ask: Ask) -> None:
        match ask:
            case Ask(do="wake"):
                self._wake(ask)
            case Ask(do="sleep", id=str(sandbox)):
                self._asleep(sandbox)
                self._tell(Tell(n=ask.n))
            case Ask(do="destroy", tenant=str(tenant), workspace=str(workspace)):
                self._maker.destroy(tenant, workspace)
                self._tell(Tell(n=ask.n))
            case Ask(do="look"):
                self._tell(Tell(n=ask.n, awake=[one for one in self._maker.look() if one.id in self._own]))
            case Ask(do="check"):
                findings = look_at_host(limits_the_whole=self._maker.limits_the_whole)
                self._tell(Tell(n=ask.n, findings=findings))
            case _:
                raise ValueError("the question is not complete")

    def _wake(self, ask: Ask) -> None:
        spec = ask.spec()
        with self._lock:
            if spec.id not in self._own and any(one.id == spec.id for one in self._maker.look()):
                raise ValueError("there is such a sandbox, and it is another worker's")
            self._own.add(spec.id)

        def ended(reason: FreeholdError) -> None:
            self._tell(Tell(n=ask.n, ended=spec.id, problem=Problem.of(reason)))

        with self._maker.wake(spec, ended) as line:
            self._tell(Tell(n=ask.n), line.fileno())

    def _asleep(self, sandbox: str) -> None:
        with self._lock:
            if sandbox not in self._own:
                return
        self._maker.sleep(sandbox)
        with self._lock:
            self._own.discard(sandbox)

    def _tell(self, what: Tell, *fds: int) -> None:
        with contextlib.suppress(OSError):  # a worker that hung up need not be told
            socket.send_fds(self._end, [msgspec.json.encode(what)], list(fds))
