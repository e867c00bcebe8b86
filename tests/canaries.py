"""Planted secrets, and how to find them again wherever they may have got to, however they are spelt there."""

import base64
import contextlib
import http.server
import json
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

from typing_extensions import override

PIECE: Final = 1 << 22
OVERLAP: Final = 4096


def repeated(secret: str) -> list[str]:
    """Return a secret as somebody may repeat it in text."""
    raw = secret.encode()
    packed = [
        pack(bytes(at) + raw).decode() for at in range(3) for pack in (base64.b64encode, base64.urlsafe_b64encode)
    ]
    spelt = [secret, secret[::-1], raw.hex(), raw.hex().upper(), quote(secret, safe=""), quote_plus(secret), *packed]
    spelt += [json.dumps(secret), json.dumps(json.dumps(secret)), "\0".join(secret)]
    return spelt


MARK: Final = f'-/+="\\{secrets.token_hex(9)}&~'
"""What all planted secrets of this process begin with: looked for once, all of them are found."""


def planted(name: str) -> str:
    """Return a secret that is found nowhere by chance, and looks different in every spelling."""
    return f"sk-{MARK}{name}-{secrets.token_hex(6)}"


def spellings(secret: str) -> dict[str, bytes]:
    """Return how a secret may be spelt where somebody copied, logged or hid it."""
    raw = secret.encode()
    found = {
        "raw": raw,
        "reversed": raw[::-1],
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "url": quote(secret, safe="").encode(),
        "form": quote_plus(secret).encode(),
        "JSON": json.dumps(secret)[1:-1].encode(),
        "JSON in JSON": json.dumps(json.dumps(secret)[1:-1])[1:-1].encode(),
        "utf-16-le": secret.encode("utf-16-le"),
        "utf-16-be": secret.encode("utf-16-be"),
    }
    for shift in range(3):  # wherever it begins within three bytes; the ends depend on what is beside
        for name, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
            found[f"{name}+{shift}"] = encode(b"\0" * shift + raw)[4 if shift else 0 : -4]
    return found


class Finder:
    """Looks for all planted secrets at once, and for others that are named."""

    def __init__(self, *others: str) -> None:
        self._spelt = {spelt: how for secret in (MARK, *others) for how, spelt in spellings(secret).items()}
        self.looked_at = 0
        """Bytes."""

    def found(self, where: str, data: bytes) -> list[str]:
        """Return what is in `data`: where, how it is spelt, and what is beside."""
        self.looked_at += len(data)
        hits = [(how, data.find(spelt)) for spelt, how in self._spelt.items()]
        return [f"{where}: {how}: {data[max(0, at - 40) : at + 80]!r}" for how, at in hits if at >= 0]

    def in_folder(self, folder: Path) -> list[str]:
        """Return what is in the files of a folder, and in their names."""
        hits = []
        for path in folder.rglob("*"):
            hits += self.found(f"name of {path}", str(path).encode(errors="surrogateescape"))
            with contextlib.suppress(OSError):
                if path.is_file() and not path.is_symlink():
                    hits += self.found(str(path), path.read_bytes())
        return hits

    def in_process(self, pid: int) -> list[str]:
        """Return what is in the environment, the words and the readable memory of a process."""
        hits = []
        for part in ("environ", "cmdline"):
            with contextlib.suppress(OSError):
                hits += self.found(f"{part} of {pid}", Path(f"/proc/{pid}/{part}").read_bytes())
        with contextlib.suppress(OSError), Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for start, end in list(areas(pid)):
                hits += self._in_area(memory, pid, start, end)
        return hits

    def _in_area(self, memory: Any, pid: int, start: int, end: int) -> list[str]:
        hits, rest = [], b""
        with contextlib.suppress(OSError, ValueError, OverflowError):
            memory.seek(start)
            while start < end and (piece := memory.read(min(PIECE, end - start))):
                start += len(piece)
                hits += self.found(f"memory of {pid}", rest + piece)
                rest = piece[-OVERLAP:]
        return hits


def areas(pid: int) -> Iterator[tuple[int, int]]:
    """Give the readable areas of a process's memory."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, rights, *_ = line.split()
        if rights.startswith("r") and not line.endswith(("[vvar]", "[vsyscall]")):
            start, _, end = span.partition("-")
            yield int(start, 16), int(end, 16)


def descendants(pid: int) -> dict[int, str]:
    """Return the processes below `pid`, each with its command line."""
    found: dict[int, str] = {}
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                words = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found |= {int(child): words} | descendants(int(child))
    return found


class Echo:
    """A provider that repeats the key it was shown in every way it can think of."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.keys: set[str] = set()
        self.url = ""

    def answer(self, body: dict[str, Any], key: str) -> tuple[int, str, bytes]:
        """Return status, kind and body of an answer."""
        said = json.dumps(body["messages"][-1])
        told = " ".join(repeated(key))
        for word, answer in (
            ("fail", (400, "application/json", json.dumps({"error": {"message": told, "code": key}}).encode())),
            ("break", (200, "text/event-stream", f'data: {{"broken {key}'.encode())),
            ("page", (502, "text/html", f"<h1>{told}</h1>".encode())),
        ):
            if word in said:
                return answer
        done = body["messages"][-1]["role"] == "tool" or not body.get("tools")
        return 200, "text/event-stream", streamed({"content": told}) if done else calling(key)


def calling(key: str) -> bytes:
    """Return the answer that repeats the key and wants to look around where the tools are."""
    command = "env; cat /proc/self/environ; id; ls -laR /work /run"
    call = {"name": "shell", "arguments": json.dumps({"command": command})}
    calls = [{"index": 0, "id": "call_1", "type": "function", "function": call}]
    return streamed({"content": key, "tool_calls": calls}, finish="tool_calls")


def streamed(delta: dict[str, Any], *, finish: str = "stop") -> bytes:
    """Return an answer as events, its text letter by letter."""
    text = str(delta.pop("content", ""))
    pieces: list[dict[str, Any]] = [{"content": text[at : at + 7]} for at in range(0, len(text), 7)] + (
        [delta] if delta else []
    )
    events: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": piece, "finish_reason": None}]} for piece in pieces
    ]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    events.append({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}})
    lines = [f"data: {json.dumps({'id': 'x', 'model': 'm', **event})}\n\n" for event in events]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


@contextlib.contextmanager
def echo() -> Iterator[Echo]:
    """Give such a provider while the block lasts."""
    told = Echo()

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            key = str(self.headers["Authorization"]).removeprefix("Bearer ")
            told.bodies.append(body)
            told.keys.add(key)
            time.sleep(0.05)  # long enough to be killed in
            status, kind, answer = told.answer(json.loads(body), key)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("X-You-Sent", key)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(answer)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
