"""
What a program in a sandbox does on its way out, as often as told; run by itself, with nothing but Python.

`python -I -S way_out.py '{"how": …, "times": …}'` prints the milliseconds that each time took.
"""

import json
import socket
import sys
import time
from typing import Any

WARM_UP = 20


def direct(told: dict[str, Any]) -> None:
    """Connect, say a line and wait for the answer."""
    with socket.create_connection(("127.0.0.1", told["port"])) as end:
        said(end, told["path"])


def tunnel(told: dict[str, Any]) -> None:
    """Do the same through a tunnel."""
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(told["box"])
        end.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % told["port"])
        head = end.recv(1 << 16)
        assert head.startswith(b"HTTP/1.1 200 "), head
        said(end, told["path"])


def relay(told: dict[str, Any]) -> None:
    """Ask by a connection, each time from the beginning."""
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(told["box"])
        said(end, "/egress/shop" + told["path"])


def said(end: socket.socket, path: str) -> None:
    """Ask for a path, and read until the answer has begun."""
    end.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
    head = end.recv(1 << 16)
    assert head.startswith(b"HTTP/1.1 200 "), head


def main() -> None:
    """Do what is told, and tell how long it took."""
    told = json.loads(sys.argv[1])
    act = {"direct": direct, "tunnel": tunnel, "relay": relay}[told["how"]]
    took = list[float]()
    for _ in range(WARM_UP + told["times"]):
        began = time.perf_counter()
        act(told)
        took.append((time.perf_counter() - began) * 1000)
    print(json.dumps(took[WARM_UP:]))


main()
