"""
The system call filter, as the classic BPF program that the kernel runs before every call.

What is not in the table is refused with EPERM, what is newer than the table with ENOSYS, so that programs fall back.
A foreign architecture kills: its numbers mean other calls.
"""

import os
import struct
from functools import cache
from typing import Final

from freehold.drivers.runtime.bwrap.syscalls import numbers

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
ERRNO: Final = 0x00050000
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97

_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINES: Final = tuple(_ARCH)
_X32: Final = 0x40000000
"""From here on x86_64 has a second numbering of the same calls."""

_LD, _AND, _RET, _JA = 0x20, 0x54, 0x06, 0x05
_JEQ, _JGT, _JGE = 0x15, 0x25, 0x35
_NUMBER, _MACHINE, _FIRST, _SECOND = 0, 4, 16, 24

NEW_NAMESPACES: Final = 0x7E020080
"""Every CLONE_NEW* flag, the one for time among them."""
FAMILIES: Final = (1, 2, 10)
"""AF_UNIX, AF_INET, AF_INET6. Others reach parts of the kernel nobody needs here; AF_VSOCK reaches the hypervisor."""
PERSONALITIES: Final = (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)
TIOCSTI: Final = 0x5412
"""Types into somebody's terminal."""

Instruction = tuple[int, int, int, int]


def _do(code: int, k: int, yes: int = 0, no: int = 0) -> Instruction:
    return (code, yes, no, k)


def _give(verdict: int) -> Instruction:
    return _do(_RET, verdict)


def _refuse(errno: int) -> Instruction:
    return _give(ERRNO | errno)


def ranges(values: list[int]) -> list[tuple[int, int]]:
    """Return the sorted values as ranges without gaps, first and last included."""
    found: list[tuple[int, int]] = []
    for value in sorted(values):
        if found and value == found[-1][1] + 1:
            found[-1] = (found[-1][0], value)
        else:
            found.append((value, value))
    return found


def _search(spans: list[tuple[int, int]]) -> list[Instruction]:
    """Return code that allows a number in one of the spans and refuses any other."""
    if len(spans) == 1:
        low, high = spans[0]
        return [_do(_JGE, low, 0, 2), _do(_JGT, high, 1, 0), _give(ALLOW), _refuse(EPERM)]
    middle = len(spans) // 2
    left, right = _search(spans[:middle]), _search(spans[middle:])
    return [_do(_JGE, spans[middle][0], 0, 1), _do(_JA, len(left)), *left, *right]


def _one_of(values: tuple[int, ...], errno: int) -> list[Instruction]:
    """Return code that allows when the first argument is one of `values`."""
    tests = [_do(_JEQ, value, len(values) - at, 0) for at, value in enumerate(values)]
    return [_do(_LD, _FIRST), *tests, _refuse(errno), _give(ALLOW)]


_JUDGES: Final[dict[str, list[Instruction]]] = {
    "clone": [_do(_LD, _FIRST), _do(_AND, NEW_NAMESPACES), _do(_JEQ, 0, 1, 0), _refuse(EPERM), _give(ALLOW)],
    "clone3": [_refuse(ENOSYS)],  # its flags are behind a pointer; the C library then uses clone
    "ioctl": [_do(_LD, _SECOND), _do(_JEQ, TIOCSTI, 0, 1), _refuse(EPERM), _give(ALLOW)],
    "personality": _one_of(PERSONALITIES, EPERM),
    "socket": _one_of(FAMILIES, EAFNOSUPPORT),
    "socketpair": _one_of(FAMILIES, EAFNOSUPPORT),
}
"""The calls that are decided by their arguments."""


def program(machine: str) -> list[Instruction]:
    """Return the filter for `machine`, as `uname -m` names it."""
    table = numbers(machine)
    code = [_do(_LD, _MACHINE), _do(_JEQ, _ARCH[machine], 1, 0), _give(KILL), _do(_LD, _NUMBER)]
    if machine == "x86_64":
        code += [_do(_JGE, _X32, 0, 1), _give(KILL)]
    for name, body in _JUDGES.items():
        code += [_do(_JEQ, table[name], 0, len(body)), *body]
    code += [_do(_JGT, max(table.values()), 0, 1), _refuse(ENOSYS)]
    return code + _search(ranges([number for name, number in table.items() if name not in _JUDGES]))


@cache
def compiled(machine: str) -> bytes:
    """Return the filter as the kernel reads it."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program(machine))


def filter_fd() -> int:
    """Return a fresh descriptor to read this machine's filter from."""
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    os.write(fd, compiled(os.uname().machine))
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
