"""
Tells all that a program in this sandbox can see and reach, for whoever has to show what is not there.

Each thing is a line of JSON that ends with how many bytes follow, and those bytes.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import sys

TYPE_CHECKING = False  # as the type checkers read it; importing typing would double the start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SKIPPED = ("/proc", "/sys")
PACKAGES = "/usr"
"""What this host's packages installed, the same for everybody; looked at only on demand."""
CHUNK = 1 << 20
MOST = 64 << 20
"""Bytes of one thing that are told."""
TABLES = ("dev", "route", "arp", "tcp", "tcp6", "udp", "udp6", "raw", "unix", "netlink", "packet")
ABOUT = ("/proc/self/mountinfo", "/proc/self/cgroup", "/proc/self/status", "/proc/keys", "/proc/version")


def main(asked: str) -> None:
    """Tell everything; `asked` is JSON: `whole` for what packages installed too, and names of sockets to try."""
    wanted = json.loads(asked)
    _tell("environment", json.dumps(dict(os.environ)).encode())  # noqa: TID251 - what a command finds is the question
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        _process(pid)
    for path in (*ABOUT, *(f"/proc/net/{table}" for table in TABLES)):
        _tell("about", _content(path) or b"", path=path)
    _files(whole=bool(wanted.get("whole")))
    for what, attempt in _ways(wanted):
        _tell("way", what=what, **_tried(attempt))
    _tell("end")


def _tell(kind: str, data: bytes = b"", **facts: Any) -> None:
    out = sys.stdout.buffer
    out.write(json.dumps({"kind": kind, **facts, "bytes": len(data)}).encode() + b"\n" + data)
    out.flush()


def _content(path: str) -> bytes | None:
    """Return what is in a file, as far as it may be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    pieces, size = [], 0
    try:
        while size < MOST and (piece := os.read(fd, CHUNK)):
            pieces.append(piece)
            size += len(piece)
    except OSError:
        pass
    finally:
        os.close(fd)
    return b"".join(pieces)


def _process(pid: int) -> None:
    me = pid == os.getpid()
    facts = {"pid": pid, "me": me, "cmdline": _words(pid, "cmdline"), "fds": _descriptors(pid)}
    _tell("process", _content(f"/proc/{pid}/environ") or b"", **facts)
    maps = _content(f"/proc/{pid}/maps") or b""
    memory = b"" if me else _memory(pid, maps)
    _tell("memory", maps + memory, pid=pid, readable=bool(memory), me=me)


def _words(pid: int, name: str) -> list[str]:
    return (_content(f"/proc/{pid}/{name}") or b"").decode("utf-8", "replace").rstrip("\0").split("\0")


def _descriptors(pid: int) -> dict[str, str]:
    found = {}
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            found[name] = os.readlink(f"/proc/{pid}/fd/{name}")
    except OSError:
        pass
    return found


def _memory(pid: int, maps: bytes) -> bytes:
    """Return what may be read of a process's own memory: whatever is not simply a file of a package."""
    pieces = []
    try:
        fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    for line in maps.decode("utf-8", "replace").splitlines():
        words = line.split()
        if "r" not in words[1] or (len(words) > 5 and words[5].startswith((PACKAGES, "[v"))):  # noqa: PLR2004
            continue
        low, high = (int(end, 16) for end in words[0].split("-"))
        try:
            pieces.append(os.pread(fd, min(high - low, MOST), low))
        except OSError:
            continue
    os.close(fd)
    return b"".join(pieces)


def _files(*, whole: bool) -> None:
    for above, folders, names in os.walk("/"):
        folders[:] = sorted(one for one in folders if not _left_out(os.path.join(above, one), whole=whole))
        for name in sorted([*names, *(one for one in folders if os.path.islink(os.path.join(above, one)))]):
            _file(os.path.join(above, name))


def _left_out(path: str, *, whole: bool) -> bool:
    return path in SKIPPED or (path == PACKAGES and not whole)


def _file(path: str) -> None:
    try:
        about = os.lstat(path)
    except OSError:
        return
    if stat.S_ISLNK(about.st_mode):
        _tell("file", os.readlink(path).encode("utf-8", "surrogateescape"), path=_shown(path), type="link", size=0)
    elif stat.S_ISREG(about.st_mode):
        data = _content(path)
        kind = "file" if data is not None else "closed"
        _tell("file", data or b"", path=_shown(path), type=kind, size=about.st_size)
    else:
        kind = "socket" if stat.S_ISSOCK(about.st_mode) else "other"
        _tell("file", path=_shown(path), type=kind, size=0)


def _shown(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _ways(wanted: dict[str, Any]) -> list[tuple[str, Callable[[], str]]]:
    """Return what may lead out, and how it is tried."""
    inet, unix = socket.AF_INET, socket.AF_UNIX
    tries: list[tuple[str, Callable[[], str]]] = [
        (f"tcp {host}:{port}", lambda host=host, port=port: _dialled(inet, (host, port)))  # type: ignore[misc]
        for host, port in (
            ("192.0.2.1", 443),
            ("169.254.169.254", 80),
            *(("127.0.0.1", one) for one in wanted["ports"]),
        )
    ]
    tries.append(("udp 192.0.2.1:53", lambda: _dialled(inet, ("192.0.2.1", 53), socket.SOCK_DGRAM)))
    tries.append(("tcp [2001:db8::1]:443", lambda: _dialled(socket.AF_INET6, ("2001:db8::1", 443))))
    tries += [
        (f"unix {name!r}", lambda name=name: _dialled(unix, name))  # type: ignore[misc]
        for name in wanted["sockets"]
    ]
    tries += [
        (f"family {name}", lambda family=family, kind=kind: _made(family, kind))  # type: ignore[misc]
        for name, family, kind in (("netlink", 16, 3), ("packet", 17, 3), ("vsock", 40, 1), ("alg", 38, 5))
    ]
    tries.append(("raw icmp", lambda: _made(inet, socket.SOCK_RAW, socket.IPPROTO_ICMP)))
    tries.append(("models", _models))
    return tries


def _tried(attempt: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"reached": True, "said": attempt()}
    except OSError as error:
        return {"reached": False, "said": errno.errorcode.get(error.errno or 0, type(error).__name__)}


def _dialled(family: int, address: Any, kind: int = socket.SOCK_STREAM) -> str:
    with socket.socket(family, kind) as end:
        end.settimeout(3)
        end.connect(address)
    return "connected"


def _made(family: int, kind: int, protocol: int = 0) -> str:
    socket.socket(family, kind, protocol).close()
    return "made"


def _models() -> str:
    """Return the first line that the one way out answers."""
    with socket.create_connection(("127.0.0.1", 7071), 5) as end:
        end.sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        said = b""
        while b"\r\n" not in said and (more := end.recv(4096)):
            said += more
    return said.split(b"\r\n")[0].decode("latin-1")
