"""The real OpenID provider as a process of its own, and a browser that signs in at it."""

import asyncio
import html
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

HERE = Path(__file__).parent
CLIENT, SECRET = "freehold", "the-client-secret-7f3a"
ADA = {"email": "ada@example.com", "email_verified": True, "name": "Ada", "groups": ["staff", "acme-admins"]}
MISSING = "node, or what tests/identity needs of npm, is missing; `tools/environment identity` installs it"
_ACTION = re.compile(r'action="([^"]+)"')
_HIDDEN = re.compile(r'type="hidden" name="([^"]+)" value="([^"]*)"')


def is_installed() -> bool:
    return shutil.which("node") is not None and (HERE / "node_modules/oidc-provider").is_dir()


@asynccontextmanager
async def provider(home: str, *, path: str = "", **accounts: dict[str, Any]) -> AsyncIterator[str]:
    """Start a provider whose one client lives at `home`, and give its issuer."""
    client = {
        "client_id": CLIENT,
        "client_secret": SECRET,
        "redirect_uris": [f"{home}/login/oidc/callback"],
        "post_logout_redirect_uris": [f"{home}/sign-in"],
        "backchannel_logout_uri": f"{home}/login/oidc/ended",
        "backchannel_logout_session_required": False,
    }
    settings = json.dumps({"client": client, "accounts": accounts or {"ada": ADA}, "path": path})
    process = await asyncio.create_subprocess_exec(
        "node", "provider.js", settings, cwd=HERE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
    finally:
        process.kill()
        await process.wait()


class Browser:
    """Follows redirects and fills in the provider's forms, until it is sent back to `home`."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._asking = httpx.AsyncClient(timeout=20.0)

    async def close(self) -> None:
        await self._asking.aclose()

    async def sign_in(self, url: str, who: str) -> str:
        """Return the address that `who` is sent back to."""
        return await self._through(url, {"login": who, "password": "anything"})

    async def sign_out(self, url: str) -> str:
        """Return the address that somebody is sent to after they confirmed that they leave."""
        return await self._through(url, {"logout": "yes"})

    async def _through(self, url: str, fields: dict[str, str]) -> str:
        answer = await self._asking.get(url)
        for _ in range(20):
            if answer.is_redirect:
                url = urljoin(str(answer.url), answer.headers["location"])
                if url.startswith(self._home):
                    return url
                answer = await self._asking.get(url)
                continue
            assert answer.status_code == 200, answer.text
            form = dict(_HIDDEN.findall(answer.text)) | fields
            action = urljoin(str(answer.url), html.unescape(_ACTION.findall(answer.text)[0]))
            answer = await self._asking.post(action, data=form)
        raise AssertionError("The provider never sent us back.")


def brought(url: str) -> dict[str, str]:
    """Return what a browser brings back in its address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
