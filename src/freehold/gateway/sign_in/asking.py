"""Asks providers of accounts: small answers, on behalf of whose connection it is, and nothing of it logged."""

import asyncio
from contextlib import aclosing
from typing import Any, Final, final

from freehold.audit.recording import PLATFORM
from freehold.core.errors import Denied, Exhausted, Unavailable
from freehold.failpoints import reach
from freehold.gateway.asked import Behalf
from freehold.gateway.oauth import Terms
from freehold.gateway.outward.client import Client
from freehold.gateway.outward.exchange import Sent
from freehold.gateway.ports import Credential
from freehold.gateway.requesting.unpacking import whole
from freehold.gateway.sign_in import shaping

SECONDS: Final = 20.0
"""How long a provider may take for one answer."""
MOST_BYTES: Final = 65_536


@final
class Asking:
    """The way to providers."""

    def __init__(self, client: Client, *, seconds: float = SECONDS) -> None:
        """Send by `client`, and give up after `seconds`."""
        self._client, self._seconds = client, seconds

    async def ask(self, sent: Sent, *, owner: str) -> dict[str, Any]:
        """Return what a provider answers; raise `ProviderRefused` where it says no, else `Unavailable`."""
        status, content_type, body = await self._sent(sent, owner)
        return shaping.told(status, content_type, body)

    async def about(self, terms: Terms, token: Credential, *, owner: str) -> dict[str, Any]:
        """Return what the provider tells of the account that `token` opens; nothing where it does not tell."""
        if not terms.provider.about:
            return {}
        try:
            return await self.ask(shaping.about(terms, token), owner=owner)
        except (Denied, Unavailable):
            return {}

    async def revoke(self, sent: Sent, *, owner: str) -> bool:
        """Return whether a provider says that it took a token back."""
        try:
            status, content_type, body = await self._sent(sent, owner)
        except (Denied, Unavailable):
            return False
        return shaping.taken_back(status, content_type, body)

    async def _sent(self, sent: Sent, owner: str) -> tuple[int, str, bytes]:
        behalf = Behalf(owner, operators=owner == PLATFORM)
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._client.send(sent, behalf, lambda: reach("gateway", "sent"))
                async with aclosing(answer):
                    body = await whole(answer, MOST_BYTES)
        except Exhausted as error:
            raise shaping.ProviderRefused("too_long") from error
        except TimeoutError as error:
            raise shaping.away() from error
        reach("gateway", "answered")
        return answer.status, answer.headers.get("content-type", ""), body
