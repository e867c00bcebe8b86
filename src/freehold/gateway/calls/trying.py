"""Trying a connection out: one question that costs nothing and shows whether address and key are good."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast, final

import msgspec
from sqlalchemy import Connection as Tx

from freehold.audit.recording import PLATFORM
from freehold.core.errors import FreeholdError, Invalid, Unavailable
from freehold.gateway import connections, switches
from freehold.gateway.asked import Behalf
from freehold.gateway.calls.refusal import MAX_ERROR, refusal
from freehold.gateway.connections import Connected, Drivers
from freehold.gateway.credentials import opened_for
from freehold.gateway.formats import Api, Asked
from freehold.gateway.keeping import Keep
from freehold.gateway.ports import Credential, Discovering, Reached

Ready = Callable[[str, str], Awaitable[None]]
"""Has the account behind a tenant's connection prolonged."""
SECONDS: Final = 15.0
MOST: Final = 4 << 20
NOT_FOUND: Final = 404
_REMEDIES: Final = {
    "provider_busy": "Try again later; address and key were not looked at.",
    "provider_cut": "Look at the connection's base_url: what answers there speaks no HTTP, or broke off.",
    "provider_timeout": "Look at the connection's base_url and whether the provider is up.",
    "provider_unavailable": "See whether the provider is up, then try again.",
}
_QUESTION: Final = Asked(api=Api.MODELS, model="", body=b"")


@final
class Trial:
    """Tries connections out: to models, and to servers that tell what they can do."""

    def __init__(self, keep: Keep, drivers: Drivers, ready: Ready) -> None:
        """Try by `drivers`, with accounts that `ready` has prolonged."""
        self._keep, self._drivers, self._ready = keep, drivers, ready

    async def test(self, tenant: str | None, name: str, *, by: str) -> dict[str, Any]:
        """
        Return `ok`, `latency_ms`, how many `models` or `tools` are listed, and where it is not ok `code` and `message`.

        Raises `NotFound` where there is no such connection, `Invalid` (`not_supported`) for one that lists nothing.
        """
        await self._ready(tenant or PLATFORM, name)
        connected, credential = await self._keep.write(lambda tx: self._found(tx, tenant, name, by))
        began = time.monotonic()
        try:
            async with asyncio.timeout(SECONDS):
                listed = await self._asked(connected, credential, connected.behalf(tenant or PLATFORM))
        except TimeoutError:
            return _failed(Unavailable("The provider did not answer.", code="provider_timeout"), began)
        except FreeholdError as error:
            if error.code == "nothing_to_ask":
                raise _tells_nothing(name) from error
            return _failed(error, began)
        return {"ok": True, "latency_ms": _since(began), "models": None, "tools": None} | listed

    async def _asked(self, connected: Connected, credential: Credential, behalf: Behalf) -> dict[str, int]:
        if connected.kind in self._drivers.models:
            return {"models": await self._models(connected, credential, behalf)}
        driver = cast("Discovering", self._drivers.connectors[connected.kind])
        named: dict[str, Any] = {"owner": connected.owner, "name": connected.name, "config": connected.config}
        return {"tools": len(await driver.discover(Reached(**named, credential=credential, behalf=behalf), None))}

    async def _models(self, connected: Connected, credential: Credential, behalf: Behalf) -> int:
        driver = self._drivers.models[connected.kind]
        sent = driver.request(_QUESTION, model="", config=connected.config, credential=credential)
        answer = await driver.send(sent, behalf, lambda: None)
        body = bytearray()
        async for chunk in answer.chunks:
            body += chunk
            if len(body) > MOST:
                break
        if answer.status == NOT_FOUND:
            raise _strange()
        if answer.status != 200:  # noqa: PLR2004
            raise refusal(answer.status, answer.headers, bytes(body[:MAX_ERROR]), credential)
        return _listed(bytes(body))

    def _found(self, tx: Tx, tenant: str | None, name: str, by: str) -> tuple[Connected, Credential]:
        connected = connections.find(tx, self._drivers, tenant=tenant, name=name)
        if connected is None:
            raise connections.missing(name)
        tells = hasattr(self._drivers.connectors.get(connected.kind), "discover")
        if name in connections.BUILT_IN or not (tells or connected.kind in self._drivers.models):
            raise _tells_nothing(name)
        if tells:
            switches.require_effects(tx, tenant or PLATFORM)
        self._keep.note(tx, tenant, actor=by, action="connection.test", subject=name)
        return connected, opened_for(tx, self._keep, connected)


def _tells_nothing(name: str) -> Invalid:
    return Invalid(
        f"What {name!r} leads to does not say by itself what it has, so there is nothing to ask it that does nothing.",
        code="not_supported",
        remedy="Grant one of its tools that only reads to an agent, and let it be called.",
    )


def _listed(body: bytes) -> int:
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _strange() from error
    found = (told.get("data") or told.get("models")) if isinstance(told, dict) else told
    if not isinstance(found, list):
        raise _strange()
    return len(found)


def _strange() -> Unavailable:
    return Unavailable(
        "What answers there lists no models, as this kind of provider does.",
        code="provider_malformed",
        remedy="Look at the connection's base_url and kind: a path such as /v1 may be missing, or too much.",
    )


def _failed(error: FreeholdError, began: float) -> dict[str, Any]:
    told = {"code": error.code, "message": error.message, "remedy": error.remedy or _REMEDIES.get(error.code, "")}
    return {"ok": False, "latency_ms": _since(began), "models": None, "tools": None, **told}


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
