"""The connector for APIs over HTTP: an effect is one request, sent once, to the one place its connection names."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, final
from urllib.parse import quote

from typing_extensions import override

from freehold.core.effects import EffectKind
from freehold.core.errors import Invalid
from freehold.core.tools import Tool
from freehold.drivers.connector.http import operations
from freehold.drivers.connector.http.results import Body
from freehold.gateway.openapi.reading import tools_of
from freehold.gateway.outward.client import Client, Trouble, trouble
from freehold.gateway.outward.exchange import Sent
from freehold.gateway.ports import ConnectorCall, Credential, Discovering, Reached
from freehold.gateway.requesting import allowing, checking, injecting
from freehold.gateway.requesting.callers import same_header
from freehold.gateway.requesting.shaping import Shaped, fixed, shape
from freehold.store.threads import in_thread

SECONDS: Final = 60.0
LARGE: Final = 1 << 16
"""Bytes of an answer from which on it is read beside everything else."""
ALSO: Final = frozenset({"allow", "idempotency"})


@final
class Http(Discovering):
    """Asks APIs; what they answer, whatever its status, is what came of it."""

    kind = "http"
    replies = False

    def __init__(self, client: Client, *, seconds: float = SECONDS) -> None:
        """Send through `client`, and give up on an answer after `seconds`."""
        self._client, self._seconds = client, seconds

    @override
    def check(self, config: Mapping[str, Any], credential: Credential) -> None:
        checking.check(config, credential, also=ALSO)
        if not allowing.rules(config):
            raise Invalid(
                "This connection would allow nothing.",
                code="bad_config",
                remedy="Say what it allows: --allow GET:/items/* (METHOD:PATH, may be said again).",
            )
        stated = config.get("idempotency")
        if stated is None:
            return
        same = same_header(checking.header_name(stated, "idempotency"))
        if same in {injecting.place_of(config).header, "authorization", *map(same_header, fixed(config))}:
            raise Invalid(
                "The header for idempotency has a value already.",
                code="bad_config",
                remedy="Name the header in which the API takes a key of the request, such as Idempotency-Key.",
            )

    @override
    def tools(self, config: Mapping[str, Any]) -> Sequence[Tool]:
        return operations.tools(config)

    @override
    def idempotent(self, config: Mapping[str, Any]) -> bool:
        return bool(config.get("idempotency"))

    @override
    async def discover(self, to: Reached, document: Mapping[str, Any] | None) -> Sequence[Tool]:
        if document is None:
            raise Invalid(
                "An API does not say by itself what it can do.",
                code="nothing_to_ask",
                remedy="Give a document that says it: freehold connection tools NAME --openapi FILE",
            )
        return await in_thread(tools_of, document)

    @override
    async def perform(self, call: ConnectorCall) -> dict[str, Any]:
        config, asked = call.to.config, operations.asked(call.tool, call.arguments)
        shaped = shape(config, call.to.credential, asked.method, asked.path, asked.query, asked.headers)
        sent = Sent(method=asked.method, url=shaped.url, headers=_keyed(call, asked.method, shaped), body=asked.body)
        if not asked.body:
            call.sent()  # nothing tells when a request without a body has left
        again, body = call.tool.kind is EffectKind.READ or self.idempotent(config), None
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._client.send(sent, call.to.behalf, call.sent)
                async with aclosing(answer):
                    body = Body(answer, shaped.blotted)
                    await body.read(whole=again)
        except TimeoutError as error:
            if body is None or again:
                raise trouble(Trouble.SILENT) from error
            body.truncated = True
        # A large answer takes longer to read than others can wait for.
        return body.told(shaped.base) if body.size <= LARGE else await in_thread(body.told, shaped.base)


def _keyed(call: ConnectorCall, method: str, shaped: Shaped) -> Mapping[str, str]:
    """Return the headers with the effect's key, where the counterpart knows a repeat by it."""
    name = call.to.config.get("idempotency")
    if not name or method in {"GET", "HEAD"}:
        return shaped.headers
    said = {header: value for header, value in shaped.headers.items() if same_header(header) != same_header(name)}
    return said | {str(name).lower(): quote(call.key, safe="/:@+=")}
