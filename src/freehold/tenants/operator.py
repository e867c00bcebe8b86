"""The operator's key: the one line of a file that only its owner may read; it may do everything."""

import os
from pathlib import Path
from typing import Final

from freehold.core.errors import Invalid
from freehold.tenants.keys import mint, well_formed

FILE: Final = "operator.key"
_OTHERS: Final = 0o077


def ensure_operator_key(data: Path) -> str:
    """
    Return the operator key of the data folder, made at the first call.

    Raises `Invalid` where the file holds no key or where others than its owner may read it.
    """
    path = data / FILE
    if path.exists():
        return _read(path)
    key, fresh = mint("key_operator", env="op"), data / f"{FILE}.{os.getpid()}"
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(fresh)  # whole or not at all, and never over one that somebody made meanwhile
    except FileExistsError:
        key = _read(path)
    fresh.unlink()
    return key


def _read(path: Path) -> str:
    if path.stat().st_mode & _OTHERS:
        raise Invalid(
            f"Others may read the operator key in {path}.",
            code="open_key_file",
            remedy=f"Run: chmod 600 {path}; if others use this machine, delete the file to get a fresh key.",
        )
    key = path.read_text().strip()
    if not well_formed(key):
        raise Invalid(
            f"{path} holds no operator key.",
            code="bad_operator_key",
            remedy="Delete the file; the next start makes a fresh key.",
        )
    return key
