"""
Any provider that speaks OpenAI chat completions, streamed.

The answer is always asked for as a stream, so that text can be passed on as it comes; a provider that answers
with plain JSON all the same is understood too. No redirect is followed, everything that comes back is bounded,
and what a provider says about an error never carries our credential on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final, final
from urllib.parse import urlsplit

import aiohttp
import msgspec
from typing_extensions import override

from freehold.core.clock import Clock
from freehold.core.errors import Denied, FreeholdError, Invalid, Unavailable
from freehold.drivers.model.openai.reading import Reading, malformed, whole
from freehold.gateway.ports import ModelCall, ModelDriver, ModelReply, NotSent

CONNECT_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 120.0
MAX_ERROR: Final = 4_096
MAX_ANSWER: Final = 32 << 20
MAX_EVENT: Final = 4 << 20
SHOWN: Final = 300
LONGEST_WAIT: Final = 3_600.0
_AGAIN: Final = frozenset({408, 409, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})


@final
class OpenAiModels(ModelDriver):
    """Speaks to any provider that offers OpenAI's chat completions."""

    kind = "openai"

    def __init__(self, clock: Clock, *, silence: float = SILENCE_SECONDS) -> None:
        """Give up on a provider that says nothing for `silence` seconds."""
        self._clock, self._silence = clock, silence
        self._session: aiohttp.ClientSession | None = None

    @override
    def check_config(self, config: Mapping[str, Any]) -> None:
        base_url = config.get("base_url")
        unknown = sorted(config.keys() - {"base_url"})
        if unknown or not _is_address(base_url):
            raise Invalid(
                f"Unknown in a connection: {', '.join(unknown)}." if unknown else "This is no base URL.",
                code="bad_config",
                remedy="Give base_url as OpenAI clients take it, such as https://api.openai.com/v1.",
            )

    @override
    def check(self, model: str) -> None:
        if not model or len(model) > 200 or not model.isprintable():  # noqa: PLR2004
            raise Invalid("This is no model's name.", code="unknown_model", remedy="Write CONNECTION/MODEL.")

    @override
    async def chat(self, call: ModelCall) -> ModelReply:
        try:
            return await self._chat(call)
        except aiohttp.ClientConnectorError as error:
            raise NotSent(
                "The model's provider cannot be reached.",
                code="provider_unavailable",
                remedy="Look at the connection's base_url and whether the provider is up.",
            ) from error
        except TimeoutError as error:
            raise Unavailable("The model's provider says nothing.", code="provider_timeout") from error
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError) as error:
            raise Unavailable("The model's provider broke off.", code="provider_cut") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable("The model's provider failed.", code="provider_unavailable") from error

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    async def _chat(self, call: ModelCall) -> ModelReply:
        request = dict(call.body) | {"model": call.model, "stream": True, "stream_options": {"include_usage": True}}
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",  # what is packed comes in lumps, and may unpack to anything
        }
        if call.credential:
            headers["Authorization"] = f"Bearer {call.credential.reveal()}"
        url = str(call.config["base_url"]).rstrip("/") + "/chat/completions"
        body = msgspec.json.encode(request)
        async with self._opened().post(
            url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=call.sent
        ) as response:
            if response.status != 200:  # noqa: PLR2004
                raise self._refusal(call, response, await response.content.read(MAX_ERROR))
            if response.content_type == "text/event-stream":
                return await _streamed(call, response, len(body))
            return whole(call, await _bounded(response), len(body))

    def _refusal(self, call: ModelCall, response: aiohttp.ClientResponse, body: bytes) -> FreeholdError:
        status = response.status
        said = call.credential.scrub(_said(body))[:SHOWN]  # a credential cut in two would not be found
        if status == 429:  # noqa: PLR2004
            after = self._wait(response.headers.get("Retry-After", ""))
            return Unavailable(f"The model's provider is busy. {said}".strip(), code="provider_busy", after=after)
        if status in {401, 403}:
            return Denied(
                f"The model's provider refused the credential ({status}).",
                code="provider_refused",
                remedy="Set the connection's secret to a key that the provider accepts.",
            )
        if status in _AGAIN or status >= 500:  # noqa: PLR2004
            after = self._wait(response.headers.get("Retry-After", ""))
            return Unavailable(f"The model's provider failed ({status}).", code="provider_unavailable", after=after)
        return _rejected(status, said)

    def _wait(self, header: str) -> float:
        """Return the seconds that a Retry-After means, whether number or date."""
        try:
            seconds = float(header)
        except ValueError:
            try:
                seconds = (parsedate_to_datetime(header) - self._clock.now()).total_seconds()
            except (ValueError, TypeError):
                seconds = 5.0
        return min(max(seconds, 0.0), LONGEST_WAIT)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            trace = aiohttp.TraceConfig()
            trace.on_request_chunk_sent.append(_sent)
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=self._silence),
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[trace],
                max_line_size=1 << 16,
                read_bufsize=1 << 18,
                trust_env=False,
            )
        return self._session


def _is_address(url: object) -> bool:
    """Return whether `url` is an HTTP address without user, query or fragment."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        plain = parts.username is None and not parts.query and not parts.fragment and parts.port != 0
    except ValueError:
        return False
    return plain and parts.scheme in {"http", "https"} and bool(parts.hostname)


async def _sent(_session: aiohttp.ClientSession, context: Any, _chunk: aiohttp.TraceRequestChunkSentParams) -> None:
    context.trace_request_ctx()


async def _streamed(call: ModelCall, response: aiohttp.ClientResponse, sent: int) -> ModelReply:
    reading = Reading(call, sent)
    events = _Events()
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_ANSWER:
            raise malformed("it is too long")
        for data in events.fed(chunk):
            reading.take(data)
            if reading.ended:
                return reading.reply()
    if not reading.finish:
        raise Unavailable("The model's provider broke off in the middle of its answer.", code="provider_cut")
    return reading.reply()


def _rejected(status: int, said: str) -> Invalid:
    if status // 100 == 3:  # noqa: PLR2004
        return Invalid(
            f"The model's provider sends us elsewhere ({status}), where the credential does not go.",
            code="provider_rejected",
            remedy="Set the connection's base_url to the address that it sends to.",
        )
    return Invalid(
        f"The model's provider rejected the request ({status}). {said}".strip(),
        code="provider_rejected",
        remedy="Look at the model's name and at what the provider says.",
    )


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise malformed("it is too long")
    return bytes(body)


def _said(body: bytes) -> str:
    """Return what a provider's error body says to a person."""
    try:
        match msgspec.json.decode(body):
            case {"error": {"message": str(message)}} | {"error": str(message)} | {"message": str(message)}:
                return message
            case _:
                return ""
    except msgspec.DecodeError:
        return ""


@dataclass(slots=True)
class _Events:
    """Cuts a byte stream into the data of server-sent events, wherever its chunks end."""

    rest: bytes = b""
    data: list[bytes] = field(default_factory=list)

    def fed(self, chunk: bytes) -> list[bytes]:
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        if len(self.rest) + sum(map(len, self.data)) > MAX_EVENT:
            raise malformed("one of its events is too long")
        found = []
        for line in lines:
            text = line.removesuffix(b"\r")
            if text.startswith(b"data:"):
                self.data.append(text[5:].removeprefix(b" "))
            elif not text and self.data:
                found.append(b"\n".join(self.data))
                self.data = []
        return found
