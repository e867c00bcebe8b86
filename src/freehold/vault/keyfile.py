"""The master key: 32 random bytes in a file that only its owner may read."""

import contextlib
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nacl.secret import Aead
from nacl.utils import random

from freehold.core.errors import Denied

log = logging.getLogger(__name__)

_BARE: Final = stat.S_IRWXG | stat.S_IRWXO


def master_key(path: Path) -> bytes:
    """
    Return the key in `path`, made there if there is none yet.

    Raises `Denied` where others may read the file or where it is no key: the gateway must not start then.
    """
    try:
        found, key = _read(path)
    except OSError as error:
        raise Denied(
            f"The key file {path} cannot be read or made.",
            code="key_file_unreadable",
            remedy="Let the user of the gateway read it, and write to its folder at the first start.",
        ) from error
    if found.st_mode & _BARE or found.st_uid not in {os.geteuid(), 0}:
        raise Denied(
            f"The key file {path} can be read by others.",
            code="key_file_open",
            remedy=f"Run: chmod 600 {path}, and make it belong to the user of the gateway.",
        )
    if len(key) != Aead.KEY_SIZE:
        raise Denied(
            f"The key file {path} holds no key of {Aead.KEY_SIZE} bytes.",
            code="key_file_bad",
            remedy="Put the right file back from where you keep it; without it no secret can be opened.",
        )
    return key


def next_key(path: Path) -> bytes:
    """Return the key that shall replace the one in `path`: it lies beside it, made now unless somebody put it there."""
    return master_key(_next(path))


def counting_key(path: Path, unwraps: Callable[[bytes], bool]) -> bytes:
    """
    Return the key in `path`, or the next one beside it where that is the one by which the store `unwraps`.

    That happens where a gateway died between wrapping all anew and putting the file in place, which is done now.
    """
    if _next(path).exists():
        fresh = next_key(path)
        if unwraps(fresh):
            put_in_place(path)
            return fresh
    return master_key(path)


def put_in_place(path: Path) -> None:
    """Let the next key be the one in `path`, in one step; where the file cannot be replaced, both stay."""
    try:
        _next(path).replace(path)
    except OSError as error:
        log.warning(
            "%s cannot be replaced (%s): put %s in its place before the next start.", path, error, _next(path).name
        )
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _next(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")


def _read(path: Path) -> tuple[os.stat_result, bytes]:
    """Return what `path` is and holds; a link is followed, because that is how clusters hand secrets in."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        with contextlib.suppress(FileExistsError):  # another gateway made it this moment: theirs counts
            _make(path)
    with path.open("rb") as file:
        return os.fstat(file.fileno()), file.read(Aead.KEY_SIZE + 1)


def _make(path: Path) -> None:
    """Put a fresh key at `path` in one step, so that a crash never leaves half a key."""
    fresh = path.with_name(f".{path.name}.{random(8).hex()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(random(Aead.KEY_SIZE))
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)
    finally:
        fresh.unlink()
