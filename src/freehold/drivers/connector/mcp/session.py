"""One session with one server: it begins with a handshake, is asked for tools, and is ended."""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from types import MappingProxyType
from typing import Any, Final, final

import msgspec

from freehold.core.errors import Denied, FreeholdError, Invalid, Unavailable
from freehold.core.tools import Tool
from freehold.drivers.connector.mcp import envelope, told, wire
from freehold.drivers.connector.mcp.wire import Json
from freehold.gateway.outward.client import Client
from freehold.gateway.outward.exchange import Answer, Sent
from freehold.gateway.ports import NotSent, Reached
from freehold.gateway.requesting.injecting import blotted, inject
from freehold.gateway.requesting.scrubbing import Blot
from freehold.gateway.requesting.shaping import fixed

MAX_PAGES: Final = 50
MAX_TOOLS: Final = 500
RESUMES: Final = 5
"""How often the answer to one request is taken up again where a server broke it off."""
LONGEST_PAUSE: Final = 5.0
LONGEST_ID: Final = 1_024
_OTHER_VERSION: Final = -32022
"""What servers answer a handshake with that know only versions without one."""
_CHANGED: Final = "notifications/tools/list_changed"
Sleep = Callable[[float], Awaitable[None]]


class Gone(Exception):
    """The server knows this session no more, and did nothing of what it was asked."""


class McpError(Exception):
    """The server answered with an error of the protocol."""

    def __init__(self, said: Json) -> None:
        """Carry what it said."""
        super().__init__(said.get("code"))
        self.said = said


@final
class Session:
    """What one server remembers of us, and the way to ask it for something."""

    def __init__(self, client: Client, to: Reached, sleep: Sleep) -> None:
        """Talk through `client` to the server of the connection `to`."""
        self._client, self._to, self._sleep = client, to, sleep
        self._blot = Blot(*blotted(to.config, to.credential))
        self._numbers = itertools.count(1)
        self._id, self._version = "", ""
        self._alone = False
        """Whether each request stands for itself, in a version without handshake and sessions."""
        self.changed = False
        """Whether the server said that its tools are others than it listed."""

    async def open(self) -> None:
        """Shake hands; raise `Invalid` (`mcp_version`) where the server speaks no version that is spoken here."""
        try:
            await self._greet()
        except Invalid:  # newer servers may know no handshake
            self._id, self._alone = "", True
            if not await self._knows_no_handshake():
                raise

    async def _greet(self) -> None:
        stated = {"protocolVersion": wire.NEWEST, "capabilities": {}, "clientInfo": envelope.who()}
        welcome = await self._told("initialize", stated)
        chosen = welcome.get("protocolVersion")
        if not isinstance(chosen, str) or chosen not in wire.VERSIONS:
            raise _other_version()
        self._version = chosen
        await self._tell(wire.notice("notifications/initialized"))

    async def _knows_no_handshake(self) -> bool:
        try:
            versions = (await self._told("server/discover", {})).get("supportedVersions")
        except (FreeholdError, Gone):
            return False
        return isinstance(versions, list) and envelope.NEWEST in versions

    async def tools(self) -> list[Json]:
        """Return what the server lists, all pages of it."""
        self.changed = False
        found: list[Json] = []
        cursor: str | None = None
        size = 0
        for _ in range(MAX_PAGES):
            listed = await self._told("tools/list", {"cursor": cursor} if cursor else {})
            page = listed.get("tools")
            found += page if isinstance(page, list) else []
            cursor = listed.get("nextCursor")
            if not isinstance(cursor, str) or not cursor:
                return found
            size += len(msgspec.json.encode(page))
            if len(found) > MAX_TOOLS or size > wire.MAX_ANSWER:
                break
        raise Invalid(
            f"The MCP server lists more than {MAX_TOOLS} tools, or says too much of them.",
            code="too_many_tools",
            remedy="Have the server offer fewer: many can be told which sets of tools to offer.",
        )

    async def call(self, tool: Tool, arguments: Mapping[str, Any], sent: Callable[[], None]) -> Json:
        """Call a tool and return what it came to; `sent` is called when the request has left."""
        params = {"name": tool.how["tool"], "arguments": dict(arguments)}
        try:
            return told.result_of(await self._ask("tools/call", params, sent, tool.parameters))
        except McpError as error:
            return told.error_of(error.said)

    async def end(self) -> None:
        """Tell the server that we are gone; one that cannot be told finds out for itself."""
        if self._id:
            answer = await self._sent("DELETE", b"", _unheard)
            await answer.aclose()

    async def _told(self, method: str, params: Json) -> Json:
        try:
            return await self._ask(method, params, _unheard)
        except McpError as error:
            raise _other_version() if error.said.get("code") == _OTHER_VERSION else _refused(method) from error

    async def _ask(
        self, method: str, params: Json, sent: Callable[[], None], schema: Mapping[str, Any] = MappingProxyType({})
    ) -> Json:
        number = next(self._numbers)
        more = envelope.routing(method, params, schema) if self._alone else {}
        body = wire.request(number, method, envelope.sealed(params) if self._alone else params)
        answer = await self._sent("POST", body, sent, more)
        await self._require(answer)
        try:
            return await self._answered(answer, number)
        except (Gone, NotSent, Invalid, Denied) as error:  # a no to a question about the answer is none to the request
            raise Unavailable("The MCP server broke off.", code="mcp_cut") from error

    async def _answered(self, answer: Answer, number: int) -> Json:
        reading = wire.Reading(self._blot)
        for again in range(RESUMES + 1):
            try:
                found = await self._found(answer, reading, number)
            except Unavailable:
                if not reading.last or again == RESUMES:
                    raise
                found = None
            if found is not None:
                return found
            if not reading.last or again == RESUMES:
                break
            # The server lets go of a slow answer on purpose and keeps it for us: to ask for it does nothing again.
            await self._sleep(min(reading.pause, LONGEST_PAUSE))
            answer = await self._sent("GET", b"", _unheard, {"last-event-id": reading.last})
            await self._require(answer)
        raise wire.malformed("it ends before it answers")

    async def _found(self, answer: Answer, reading: wire.Reading, number: int) -> Json | None:
        """Return what `answer` says to the request `number`, answering what the server asks meanwhile."""
        async with aclosing(answer), aclosing(reading.messages(answer)) as messages:
            async for message in messages:
                if "method" in message:
                    await self._heard(message)
                elif message.get("id") == number:
                    return _result(message)
        return None

    async def _heard(self, message: Json) -> None:
        self.changed = self.changed or message["method"] == _CHANGED
        if isinstance(message.get("id"), (str, int)):
            with suppress(FreeholdError, Gone):  # it waits for our answer in vain, and may still give its own
                await self._tell(wire.reply(message))

    async def _tell(self, body: bytes) -> None:
        answer = await self._sent("POST", body, _unheard)
        await self._require(answer)
        await answer.aclose()

    async def _sent(
        self, method: str, body: bytes, sent: Callable[[], None], more: Mapping[str, str] | None = None
    ) -> Answer:
        accepted = f"application/json, {wire.STREAM}" if method == "POST" else wire.STREAM
        own = {"accept": accepted, "content-type": "application/json", **(more or {})}
        own |= {"mcp-session-id": self._id} if self._id else {}
        own |= {"mcp-protocol-version": self._version} if self._version else {}
        headers = {name.lower(): value for name, value in fixed(self._to.config).items()} | own
        url, headers = inject(self._to.config, self._to.credential, str(self._to.config["base_url"]), headers)
        answer = await self._client.send(
            Sent(method=method, url=url, headers=headers, body=body), self._to.behalf, sent
        )
        if not self._version and not self._alone:
            self._id = _session_id(answer.headers.get("mcp-session-id", ""))
        return answer

    async def _require(self, answer: Answer) -> None:
        """Raise what a status means that is none of success."""
        if 200 <= answer.status < 300:  # noqa: PLR2004
            return
        await answer.aclose()
        raise Gone if answer.status == 404 and self._id else refusal(answer)  # noqa: PLR2004


def refusal(answer: Answer) -> FreeholdError:  # noqa: PLR0911 - one per meaning
    """Return what it means that a server answers with another status than success."""
    said = f"The MCP server answered {answer.status}."
    match answer.status:
        case 401 | 403:
            return Denied(said, code="mcp_denied", remedy="Look at the connection's secret, or connect it anew.")
        case 429:
            after = answer.headers.get("retry-after", "")
            return NotSent(said, code="mcp_busy", after=float(after) if after.isdecimal() and len(after) < 6 else 10.0)  # noqa: PLR2004
        case status if 300 <= status < 400:  # noqa: PLR2004
            remedy = "Give the address it finally answers at; none is followed."
            return Invalid(said, code="mcp_refused", remedy=remedy)
        case status if status < 500:  # noqa: PLR2004
            return Invalid(said, code="mcp_refused", remedy="Look whether base_url is where the server speaks MCP.")
        case _:
            return Unavailable(said, code="mcp_failed", after=10.0)


def _result(message: Json) -> Json:
    if isinstance(message.get("error"), dict):
        raise McpError(message["error"])
    if not isinstance(message.get("result"), dict):
        raise wire.malformed("it holds neither a result nor an error")
    found: Json = message["result"]
    return found


def _session_id(stated: str) -> str:
    if len(stated) > LONGEST_ID or not all("!" <= sign <= "~" for sign in stated):
        raise wire.malformed("its session has no sensible id")
    return stated


def _refused(method: str) -> Invalid:
    return Invalid(
        f"The MCP server refuses {method}.",
        code="mcp_refused",
        remedy="Look at its log: it speaks MCP otherwise than we do.",
    )


def _other_version() -> Invalid:
    return Invalid(
        "The MCP server speaks no version of MCP that is spoken here.",
        code="mcp_version",
        remedy=f"Have it speak one of {', '.join(sorted(wire.VERSIONS | {envelope.NEWEST}))}.",
    )


def _unheard() -> None:
    """Take note of nothing: what leaves here has no effect."""
