"""
The frames both halves speak: kind (1 byte), channel (4), length (4), payload.

The outside opens a channel with a question (JSON), either side sends bytes on it, and the guest closes it with `DONE`
(JSON) or `FAILED` (JSON `{code, message}`). A stream moves bytes only as far as the other side gave credit.
"""

HEADER = 9
MAX_PAYLOAD = 1 << 20
CHUNK = 1 << 16
"""Bytes are sent in pieces of at most this size."""
WINDOW = 1 << 18
"""The credit a stream begins with, in each direction."""

READY = 1
OPEN = 2
DATA = 3
"""Bytes; from the guest: what was printed, or a file's content."""
ERR = 4
"""Bytes printed on standard error."""
END = 5
"""No more bytes from this side."""
CREDIT = 6
"""Four bytes: how many more bytes may be sent on this stream."""
CANCEL = 7
DONE = 8
FAILED = 9

FROM_GUEST = frozenset({READY, DATA, ERR, END, CREDIT, DONE, FAILED})


def pack(kind: int, channel: int, payload: bytes = b"") -> bytes:
    """Return one frame."""
    return bytes((kind,)) + channel.to_bytes(4, "big") + len(payload).to_bytes(4, "big") + payload


def unpack(header: bytes) -> tuple[int, int, int]:
    """Return kind, channel and length of payload."""
    return header[0], int.from_bytes(header[1:5], "big"), int.from_bytes(header[5:9], "big")
