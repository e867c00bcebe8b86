"""
Keys that are files, each one line that only the owner of the platform may read.

The operator's key may do everything. The seal signs what is kept of keys, people and sessions, so that the database
alone makes none. The claim makes whoever shows it the first operator, once.
"""

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from freehold.core.errors import Invalid
from freehold.tenants.keys import mint, well_formed

FILE: Final = "operator.key"
SEAL: Final = "keys.seal"
CLAIM: Final = "claim.key"
"""What the link shows that claims an installation; there for as long as nobody has."""
_OTHERS: Final = 0o077
_SEAL_SIZE: Final = 64


def ensure_operator_key(data: Path) -> str:
    """
    Return the operator key of the data folder, made at the first call.

    Raises `Invalid` where the file holds no key, is not ours, or where others than its owner may read it.
    """
    key = _ensured(data / FILE, make=lambda: mint("key_operator", env="op"))
    if not well_formed(key):
        raise Invalid(
            f"{data / FILE} holds no operator key.",
            code="bad_operator_key",
            remedy="Delete the file; the next start makes a fresh key.",
        )
    return key


def ensure_seal(data: Path) -> str:
    """Return what API keys are sealed with, made at the first call; raises `Invalid` as `ensure_operator_key` does."""
    seal = _ensured(data / SEAL, make=lambda: secrets.token_hex(_SEAL_SIZE // 2))
    if len(seal) != _SEAL_SIZE:
        raise Invalid(
            f"{data / SEAL} holds no seal.",
            code="bad_seal",
            remedy="Put it back from where you keep it; without it no API key but the operator's is in force.",
        )
    return seal


def renew_claim(data: Path) -> str:
    """Make what the claiming link shows, in place of what an earlier start made, and return it."""
    drop_claim(data)
    _put(data / CLAIM, secrets.token_urlsafe(32))
    return _read(data / CLAIM)


def drop_claim(data: Path) -> None:
    """Forget what the claiming link shows: somebody has claimed."""
    (data / CLAIM).unlink(missing_ok=True)


def claim_of(data: Path) -> str:
    """Return what the claiming link shows; empty where there is none. Raises `Invalid` as `ensure_operator_key` does."""
    return _read(data / CLAIM) if os.path.lexists(data / CLAIM) else ""


def _ensured(path: Path, *, make: Callable[[], str]) -> str:
    if not os.path.lexists(path):
        _put(path, make())
    return _read(path)


def _put(path: Path, text: str) -> None:
    """Put a file there whole or not at all, and never over one that somebody made meanwhile."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        return  # theirs counts, if it is good
    finally:
        fresh.unlink()


def _read(path: Path) -> str:
    """Return what is in the file, which must be our own: others may put files into the data folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _not_ours(path) from error
    with os.fdopen(descriptor) as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_uid not in {os.geteuid(), 0}:
            raise _not_ours(path)
        if about.st_mode & _OTHERS:
            raise Invalid(
                f"Others may read the key in {path}.",
                code="open_key_file",
                remedy=f"Run: chmod 600 {path}; if others use this machine, delete the file to get a fresh key.",
            )
        return file.read().strip()


def _not_ours(path: Path) -> Invalid:
    return Invalid(
        f"{path} is not a file of the user who starts the platform.",
        code="foreign_key_file",
        remedy="Find out who put it there, and delete it; the next start makes a fresh key.",
    )
