"""HTTP with the provider: short, small, and nowhere else than where we meant to ask."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final, final
from urllib.parse import urlsplit

import aiohttp

from freehold.core.errors import Denied, Unavailable

SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5.0
MOST_BYTES: Final = 1 << 20
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_OK: Final = 200
_BROKE: Final = 500
_TOO_OFTEN: Final = 429


@final
class Fetching:
    """Asks the provider and returns the JSON object it answers."""

    def __init__(self, *, seconds: float = SECONDS) -> None:
        """Give up after `seconds`."""
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, *, token: str = "") -> dict[str, Any]:
        """Return what is at `url`, shown `token` if there is one."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await self._asked("GET", url, headers=headers)

    async def post(self, url: str, form: Mapping[str, str], *, user: tuple[str, str] | None) -> dict[str, Any]:
        """Send `form` to `url`, as `user` with a password if there is one, and return the answer."""
        packed = base64.b64encode(":".join(user).encode()).decode() if user else ""
        headers = {"Authorization": f"Basic {packed}"} if user else {}
        return await self._asked("POST", url, data=dict(form), headers=headers)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    async def _asked(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        accept = {"Accept": "application/json"} | options.pop("headers", {})
        try:
            async with self._opened().request(
                method, url, headers=accept, allow_redirects=False, **options
            ) as response:
                body = await _limited(response.content)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise away() from error
        if status >= _BROKE or status == _TOO_OFTEN:
            raise away()
        if status != _OK:
            raise refused("The provider did not take what we sent it.")
        return _object(body)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._seconds, sock_connect=CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


def safe(url: object) -> bool:
    """Return whether secrets may go to `url`: HTTPS, or this machine itself."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        plain = parts.username is None and not parts.fragment and parts.port != 0
    except ValueError:
        return False
    return plain and bool(parts.hostname) and (parts.scheme == "https" or _here(parts.scheme, parts.hostname or ""))


def away() -> Unavailable:
    """Return the error that tells the provider cannot be asked."""
    return Unavailable(
        "The sign-in provider is away.",
        code="oidc_away",
        remedy="Try again in a moment, or sign in another way; the operator finds the cause in the gateway's log.",
    )


def refused(why: str) -> Denied:
    """Return the refusal of what came from the provider; `why` holds none of its words."""
    return Denied(
        f"This sign-in is not accepted. {why}",
        code="oidc_refused",
        status=401,
        remedy="Begin again at the sign-in page; if it stays, tell your operator what stands here.",
    )


def _here(scheme: str, host: str) -> bool:
    return scheme == "http" and host in LOOPBACK


async def _limited(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > MOST_BYTES:
            raise refused("The provider's answer is too long.")
    return bytes(body)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refused("The provider's answer is not JSON.") from error
    if not isinstance(found, dict):
        raise refused("The provider's answer is no JSON object.")
    return found
