"""Disks for tests: small ones, and full ones. Whoever uses them is root."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BLOCK = bytes(1 << 16)


@contextmanager
def small(folder: Path, *, size: str) -> Iterator[Path]:
    """Give a file system of its own in `folder`, of so many bytes."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave not one block free, and return the file that took them all."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (len(BLOCK), 4096, 512):
            try:
                while file.write(BLOCK[:size]):
                    pass
            except OSError:
                continue
    return filler
