"""Signing in by mail, for tests: asking for a code, reading it, showing it."""

import re
from typing import Any

from fastapi.testclient import TestClient

from freehold.web.cookies import BROWSER
from freehold.web.head import COOKIE
from tests.webs import Web

ADA = "ada@example.com"
HERS = "n" * 43
THEIRS = "m" * 43
MINUTE, DAY = 60.0, 86_400.0
CODE = re.compile(r"\b[0-9]{8}\b")


def ask(asking: TestClient, email: str = ADA, nonce: str = HERS) -> Any:
    return asking.post("/api/v1/login/code", json={"email": email}, headers={"Cookie": f"{BROWSER}={nonce}"})


def show(asking: TestClient, code: str, email: str = ADA, nonce: str = HERS, session: str = "") -> Any:
    cookie = f"{BROWSER}={nonce}" + (f"; {COOKIE}={session}" if session else "")
    return asking.post("/api/v1/login", json={"email": email, "code": code}, headers={"Cookie": cookie})


def mailed(web: Web) -> str:
    """Return the code of the newest mail that really went out."""
    text = next(mail["text"] for mail in reversed(web.gateway.mails) if not mail["decoy"])
    return str(CODE.findall(text)[0])


def wrong(code: str, by: int = 1) -> str:
    return f"{(int(code) + by) % 10**8:08}"


def told(answer: Any) -> tuple[int, Any]:
    """Return what an answer says, without the name of its request."""
    return answer.status_code, answer.json()
