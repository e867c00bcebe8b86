"""
Where a request was sent to, and from which page: the two answers that keep foreign pages out of people's browsers.

A page whose name suddenly points at this machine (DNS rebinding) gives itself away by its Host; a page that lets a
browser send something elsewhere gives itself away by its Origin. Programs send no Origin and need none: they show a
key, which no browser adds by itself. We never allow another origin anything (no CORS), so no page but our own has a
reason to send one, and every foreign one is refused, whatever the method and whatever else came with it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final
from urllib.parse import urlsplit

from freehold.core.errors import Denied, Invalid
from freehold.settings import Settings

PORTS: Final = {"http": 80, "https": 443}
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, never listened on
_NAME: Final = re.compile(r"[0-9a-z._-]+|[0-9a-f.]*:[0-9a-f:.]+")
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OURS: Final = "same-origin"
OWN: Final = frozenset({OURS, "none"})
"""What a browser calls requests of our own pages and of people themselves; a neighbour's name is not ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request says about where it goes and comes from; an absent header is None, one sent twice is not."""

    method: str
    host: str | None
    origin: str | None = None
    site: str | None = None
    """Sec-Fetch-Site: what the browser thinks of the page that asks."""
    mode: str | None = None
    """Sec-Fetch-Mode: `navigate` where a person follows a link."""
    target: str | None = None
    """Sec-Fetch-Dest: `document` where the answer replaces the page."""


@final
class Hosts:
    """The addresses at which people reach the platform."""

    def __init__(self, origins: Iterable[str]) -> None:
        """Take the addresses as `scheme://host[:port]`; raise `Invalid` (`bad_setting`) where one is none."""
        self._origins: dict[str, frozenset[str]] = {}
        for origin in origins:
            scheme, host, port = _parsed(origin)
            usual = port == PORTS[scheme]
            spelt = f"{scheme}://{host}" if usual else f"{scheme}://{host}:{port}"
            for name in {f"{host}:{port}"} | ({host} if usual else set()):
                self._origins[name] = self._origins.get(name, frozenset()) | {spelt}

    def origins(self, host: str | None) -> frozenset[str]:
        """Return the origins of pages at `host`; raise `Denied` (`foreign_host`) where it is none of our addresses."""
        found = self._origins.get((host or "").lower())
        if found is None:
            raise Denied(
                "This platform is not reached at that address.",
                code="foreign_host",
                remedy="Ask at the address that FREEHOLD_PUBLIC_URL names, or add this one to FREEHOLD_HOSTS; "
                "an edge in front passes on the Host it was asked for.",
            )
        return found

    def admit(self, asked: Asked) -> None:
        """Return if the request goes to us and comes from no foreign page; raise `Denied` where not."""
        ours = self.origins(asked.host)
        if asked.origin is not None and asked.origin not in ours:
            raise foreign("Another page than ours sent this.")


def admit_cookie(asked: Asked) -> None:
    """
    Return if a request that shows nothing but the cookie was sent by our own page, or by a person who follows a link.

    Browsers add the cookie by themselves, so here a change needs proof of where it comes from: an Origin (which
    `Hosts.admit` has found to be ours) or the browser's own word. Raises `Denied` (`foreign_origin`).
    """
    if asked.method in SAFE:
        followed = asked.mode == "navigate" and asked.target == "document" and asked.method == "GET"
        if asked.site not in OWN | {None} and not followed:
            raise foreign("Another page than ours asked for this.")
    elif asked.origin is None and asked.site != OURS:
        raise foreign("It does not show which page sent this.")
    elif asked.site not in OWN | {None}:
        raise foreign("Another page than ours sent this.")


def hosts_of(settings: Settings) -> Hosts:
    """Return the addresses that `settings` allow."""
    host, _, port = settings.address.rpartition(":")
    host = host.strip("[]")
    reached = settings.base_url
    found = [reached, f"http://{_bracketed(host)}:{port}"]
    if host in LOOPBACK or host in WILDCARDS or host.startswith("127."):
        found += [f"http://{_bracketed(name)}:{port}" for name in LOOPBACK]
    scheme = reached.partition("://")[0]
    further = (entry.strip() for entry in settings.hosts.split(","))
    found += [entry if "://" in entry else f"{scheme}://{entry}" for entry in further if entry]
    return Hosts(found)


def foreign(message: str) -> Denied:
    """Return the refusal of what a foreign page sent."""
    return Denied(
        message,
        code="foreign_origin",
        remedy="Use the platform's own pages, or a key and no Origin; an edge in front passes on Host and Origin as they came.",
    )


def _parsed(origin: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
        host = host if host.isascii() else host.encode("idna").decode()
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError, UnicodeError) as error:
        raise _no_address(origin) from error
    if not _NAME.fullmatch(host) or "@" in parts.netloc or parts.path or parts.query or parts.fragment:
        raise _no_address(origin)
    return parts.scheme, _bracketed(host), port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _no_address(origin: str) -> Invalid:
    return Invalid(
        f"{origin!r} is no address of a platform.",
        code="bad_setting",
        remedy="Write FREEHOLD_PUBLIC_URL as https://host[:port] and FREEHOLD_HOSTS as host[:port], with commas between.",
    )
