"""The W3C `traceparent` of a run: taken over from whoever asked, or begun here."""

import re
import secrets
from typing import Final

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def carried_on(trace: str) -> str:
    """Return `trace` if it is a `traceparent`, else a fresh one: a caller's mistake must not fail its run."""
    if _TRACEPARENT.fullmatch(trace):
        return trace
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
