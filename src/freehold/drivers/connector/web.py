"""
Public pages, read as they are: the built-in connection `web`.

It carries no credential and no cookie, sends nothing but an address, and goes only where everybody may. Redirects are
followed here, a few, each judged like the first address.
"""

import re
from asyncio import timeout
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, final
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from typing_extensions import override

from freehold.core.effects import EffectKind
from freehold.core.errors import Invalid, Unavailable
from freehold.core.tools import Tool
from freehold.gateway.asked import Behalf
from freehold.gateway.outward.client import Client
from freehold.gateway.outward.exchange import Answer, Sent
from freehold.gateway.outward.hosts import host_of
from freehold.gateway.ports import ConnectorCall, ConnectorDriver, Credential, NotSent
from freehold.gateway.requesting.charsets import known
from freehold.gateway.requesting.unpacking import Unpacked

SECONDS: Final = 60.0
MAX_BODY: Final = 2 << 20
MAX_URL: Final = 4_096
REDIRECTS: Final = 5
_REDIRECTED: Final = frozenset({301, 302, 303, 307, 308})
_TEXTS: Final = frozenset(
    {
        "application/json", "application/ld+json", "application/xhtml+xml", "application/xml", "application/rss+xml",
        "application/atom+xml", "application/javascript", "application/yaml", "application/x-yaml",
    }
)  # fmt: skip
_HEADERS: Final = {
    "Accept": "text/html, application/xhtml+xml, text/plain, text/markdown, application/json, */*;q=0.1",
    "Accept-Language": "en, *;q=0.5",
}
_MARKS: Final = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_CHARSET: Final = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_META: Final = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_PAGE: Final = re.compile(r"\s*<(!doctype html|html)\b", re.IGNORECASE)
_LOOKED_AT: Final = 2_048

FETCH: Final = Tool(
    name="fetch",
    description="Read a public page.",
    parameters={
        "type": "object",
        "properties": {"url": {"type": "string", "description": "http:// or https://, with the path."}},
        "required": ["url"],
        "additionalProperties": False,
    },
    kind=EffectKind.READ,
)


@final
class Web(ConnectorDriver):
    """Reads public pages."""

    kind = "web"
    replies = False

    def __init__(self, client: Client, *, seconds: float = SECONDS) -> None:
        """Ask through `client`, and give up on a page after `seconds`."""
        self._client, self._seconds = client, seconds

    @override
    def check(self, config: Mapping[str, Any], credential: Credential) -> None:
        raise Invalid("The web connection is built in.", code="unknown_kind", remedy="Grant the tool web_fetch.")

    @override
    def tools(self, config: Mapping[str, Any]) -> Sequence[Tool]:
        return (FETCH,)

    @override
    def idempotent(self, config: Mapping[str, Any]) -> bool:
        return False

    @override
    async def perform(self, call: ConnectorCall) -> dict[str, Any]:
        url = address_of(call.arguments)
        # The connection is the platform's own, and the address a model's: nobody who runs the platform wrote it.
        behalf = Behalf(call.to.behalf.tenant)
        try:
            async with timeout(self._seconds):
                return await self._page(url, behalf, call)
        except TimeoutError as error:
            raise Unavailable("The page did not come in time.", code="web_timeout") from error

    async def _page(self, url: str, behalf: Behalf, call: ConnectorCall) -> dict[str, Any]:
        for _ in range(REDIRECTS + 1):
            answer = await self._asked(url, behalf, call)
            async with aclosing(answer):
                location = answer.headers.get("location", "")
                if answer.status not in _REDIRECTED or not location:
                    return await _read(url, answer)
            url = _led(url, location)
        raise Invalid(
            f"The page redirects more than {REDIRECTS} times.", code="too_many_redirects", remedy="Try another address."
        )

    async def _asked(self, url: str, behalf: Behalf, call: ConnectorCall) -> Answer:
        try:
            return await self._client.send(Sent(method="GET", url=url, headers=_HEADERS), behalf, call.sent)
        except NotSent as error:
            if error.code != "name_unknown":
                raise
            raise Invalid(error.message, code=error.code, remedy=error.remedy) from error


def address_of(arguments: Mapping[str, Any]) -> str:
    """Return the address that is asked for, spelt as it is sent; raise `Invalid` (`bad_arguments`, `bad_address`)."""
    url = arguments.get("url")
    if set(arguments) != {"url"} or not isinstance(url, str) or not url:
        raise Invalid("A page is read by its url.", code="bad_arguments", remedy='Give {"url": "https://…"}.')
    return _spelt(url)


def _spelt(url: str) -> str:
    """Return an address as it goes over the wire: what people write in their own script is spelt out."""
    try:
        parts = urlsplit(url.strip())
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError as error:
        raise _wrong(url) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or "\\" in url:
        raise _wrong(url)
    stated = parts.netloc.removesuffix(port) if port else parts.netloc.removesuffix(":")
    path = quote(parts.path or "/", safe="%/:@!$&'()*+,;=-._~")
    query = quote(parts.query, safe="%/:@!$&'()*+,;=-._~?[]|")
    spelt = urlunsplit((parts.scheme, host_of(stated).in_url + port, path, query, ""))
    if len(spelt) > MAX_URL:
        raise _wrong(url)
    return spelt


def _wrong(url: str) -> Invalid:
    return Invalid(
        f"{url[:80]!r} is no address of a page.",
        code="bad_address",
        remedy="Write http:// or https://, a host and a path, without user or password.",
    )


def _led(url: str, location: str) -> str:
    """Return where a redirect leads; raise `Invalid` (`bad_address`) where nobody could say."""
    try:
        return _spelt(urljoin(url, location))
    except ValueError as error:
        raise _wrong(location) from error


async def _read(url: str, answer: Answer) -> dict[str, Any]:
    """Return what a page says; its bytes stop at the limit."""
    stated = answer.headers.get("content-type", "")
    media = stated.partition(";")[0].strip().lower()
    if media and not (media.startswith("text/") or media in _TEXTS or media.endswith(("+xml", "+json"))):
        raise _no_text(media)
    body, cut = await _body(answer)
    if not media and b"\0" in body:
        raise _no_text("of no kind that it tells")
    text = body.decode(charset_of(stated, body), "replace").removeprefix("\ufeff")
    media = media or ("text/html" if _PAGE.match(text) else "text/plain")
    result = {"url": url, "status": answer.status, "type": media, "text": text}
    return result | ({"truncated": True} if cut else {})


async def _body(answer: Answer) -> tuple[bytes, bool]:
    unpacked, body = Unpacked(answer.headers.get("content-encoding", ""), MAX_BODY, cut=True), bytearray()
    async for chunk in answer.chunks:
        body += unpacked.feed(chunk)
        if unpacked.full:
            break
    return bytes(body), unpacked.full


def charset_of(content_type: str, body: bytes) -> str:
    """Return in which charset a page is written: as it shows in front, or says in its header or its first lines."""
    for mark, name in _MARKS.items():
        if body.startswith(mark):
            return name
    said = _CHARSET.search(content_type)
    inside = _META.search(body[:_LOOKED_AT])
    return known(said[1] if said else inside[1].decode("ascii") if inside else "utf-8")


def _no_text(media: str) -> Invalid:
    what = "a PDF, which is" if media == "application/pdf" else f"{media[:80]}, which is"
    return Invalid(
        f"This is {what} no text that can be read here.",
        code="not_text",
        remedy="Look for a page that says the same, or have a program in the sandbox fetch the file.",
    )
