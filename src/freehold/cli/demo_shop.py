"""A shop on this machine, for the demonstration: it wants a key, and repeats to everybody what it was shown."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override


class Shop:
    """The server, and the keys it was shown."""

    def __init__(self) -> None:
        """Open at a free port of the loopback."""
        shown = self.shown = list[str]()

        class Counter(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                key = self.headers.get("Authorization", "")
                shown.append(key)
                body = json.dumps({"items": ["tea", "cake"], "you_said": key}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Counter)
        self._thread = threading.Thread(target=self._server.serve_forever, name="shop", daemon=True)
        self._thread.start()

    @property
    def place(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Close it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
