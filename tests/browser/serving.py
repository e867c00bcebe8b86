"""Pages for a browser: the real application over a real database, served on the loopback beside the test."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Page

from freehold.web.building import build
from tests.webs import Web, made

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SHOTS = Path(__file__).parents[2] / "build" / "shots"
PHONE = 360


@contextmanager
def served(folder: Path, *, host: str = "127.0.0.1", **settings: Any) -> Iterator[tuple[Web, str]]:
    """Give the application over `folder` and where it is served while the block lasts."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    web = made(folder, address=f"127.0.0.1:{port}", **settings)
    server = uvicorn.Server(
        uvicorn.Config(build(web.state), ws="none", lifespan="off", log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield web, f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def barriers(page: Page) -> list[str]:
    """Return what of the page as it stands keeps people out, by the rules of WCAG 2.2 AA."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    told: dict[str, Any] = page.evaluate("rules => axe.run({runOnly: rules})", RULES)
    return [f"{found['id']}: {node['html']}" for found in told["violations"] for node in found["nodes"]]


def overflow(page: Page) -> int:
    """Return how far the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
