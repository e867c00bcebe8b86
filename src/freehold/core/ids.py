"""
Names of things: a prefix that says what it is, and 32 hexadecimal digits that sort by time (UUID version 7).

The engine orders what is queued by its id, so ids of one process must sort in the order they were made;
RFC 9562 section 6.2 method 1 gives that by counting in the 12 bits behind the millisecond.
"""

import secrets
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Literal

Prefix = Literal[
    "ten",
    "per",
    "mem",
    "inv",
    "ses",
    "otc",
    "pky",
    "key",
    "agt",
    "ver",
    "run",
    "sbx",
    "con",
    "chn",
    "msg",
    "cnv",
    "apr",
    "stk",
    "sec",
    "out",
    "sig",
    "usg",
    "fhm",
    "wrn",
    "req",
    "sgn",
]
NewId = Callable[[Prefix], str]
"""Makes a fresh id of a kind; handed in wherever ids are made."""

_COUNTER_BITS = 12


class Ids:
    """Makes ids that never repeat and sort in the order they were made."""

    def __init__(self, now: Callable[[], datetime], *, after: str = "") -> None:
        """Take the time from `now`; sort behind the id `after`, even if the time of day was set back since."""
        self._now = now
        self._lock = threading.Lock()
        self._last = int(after.rpartition("_")[2], 16) >> 64 if after else 0
        self._last = self._last >> 16 << _COUNTER_BITS | self._last & ((1 << _COUNTER_BITS) - 1)

    def __call__(self, prefix: Prefix) -> str:
        """Return a fresh id, such as `run_0192f3…`."""
        with self._lock:
            stamp = int(self._now().timestamp() * 1000) << _COUNTER_BITS
            self._last = stamp = max(stamp, self._last + 1)
        millis, counter = stamp >> _COUNTER_BITS, stamp & ((1 << _COUNTER_BITS) - 1)
        tail = (0b10 << 62) | secrets.randbits(62)
        return f"{prefix}_{(millis << 80 | 0x7 << 76 | counter << 64 | tail):032x}"
