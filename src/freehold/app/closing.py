"""What a process does about itself before it does anything else."""

import contextlib
import ctypes
import resource
from pathlib import Path
from typing import Final

_PR_SET_DUMPABLE: Final = 4
_DUMPED: Final = Path("/proc/self/coredump_filter")


def close_off() -> None:
    """Leave no core file and let no other process of this user look into our memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # some kernels have none; what follows holds without it
        _DUMPED.write_text("0")  # nothing of our memory, even where a program that takes dumps is not stopped by limits
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "This process cannot be closed off.")
