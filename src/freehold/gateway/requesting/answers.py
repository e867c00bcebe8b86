"""What a server answered, made fit to be told: without what concerns only the way, without the credential."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin, urlsplit

from freehold.gateway.requesting.callers import is_between
from freehold.gateway.requesting.scrubbing import Blot

_LEFT_OUT: Final = frozenset(
    {
        "content-encoding", "set-cookie", "set-cookie2", "alt-svc", "clear-site-data", "strict-transport-security",
        "public-key-pins", "report-to", "nel", "refresh", "server-timing", "x-http2-stream-id",
        "access-control-allow-origin", "access-control-allow-credentials", "content-security-policy", "authentication-info",
        "x-freehold-code",
    }
)  # fmt: skip
MOST: Final = 100
LONGEST: Final = 8_192


def headers(said: Mapping[str, str], blot: Blot, *, base: str, prefix: str) -> dict[str, str]:
    """
    Return what a caller is told of an answer's headers (in lower case): no cookies, nothing about the way, no credential.

    Redirects that stay at `base` lead below `prefix`. A length is told by whoever tells the body.
    """
    kept = [pair for pair in said.items() if pair[0] not in _LEFT_OUT and not is_between(pair[0])][:MOST]
    told = {name: location(base, value, prefix) if name in _PLACES else value for name, value in kept}
    return {blot.whole(name): blot.whole(value)[:LONGEST] for name, value in told.items()}


_PLACES: Final = frozenset({"location", "content-location"})


def location(base_url: str, value: str, prefix: str) -> str:
    """
    Return where a redirect leads for a caller that reaches `base_url` as `prefix`.

    One that stays below the address becomes one below `prefix`; any other stays as it is, and who follows it goes
    without the credential.
    """
    base, stated = base_url.rstrip("/"), value.strip()
    if not stated.startswith("/") and "://" not in stated:
        return value  # relative to what was asked, which is the same below both
    try:
        whole = urljoin(base + "/", stated)
        here, there = urlsplit(base), urlsplit(whole)
        same = (here.scheme, here.hostname, here.port) == (there.scheme, there.hostname, there.port)
    except ValueError:
        return value
    below = there.path == here.path or there.path.startswith(here.path + "/")
    if not same or not below or there.username is not None:
        return value
    rest = there.path[len(here.path) :] + (f"?{there.query}" if there.query else "")
    return prefix + rest + (f"#{there.fragment}" if there.fragment else "")
