"""Web search through a service that a tenant or the platform has an account with; which are known is data."""

from asyncio import timeout
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Final, final
from urllib.parse import urlencode

import msgspec
from typing_extensions import override

from freehold.catalog.searches import AGES, Search, searches
from freehold.core.clock import Clock
from freehold.core.effects import EffectKind
from freehold.core.errors import Denied, Exhausted, FreeholdError, Invalid, Unavailable
from freehold.core.tools import Tool
from freehold.gateway.outward.client import Client
from freehold.gateway.outward.exchange import Answer, Sent
from freehold.gateway.ports import ConnectorCall, ConnectorDriver, Credential
from freehold.gateway.requesting import checking, injecting
from freehold.gateway.requesting.scrubbing import Blot
from freehold.gateway.requesting.shaping import fixed
from freehold.gateway.requesting.unpacking import whole

SECONDS: Final = 30.0
MAX_ANSWER: Final = 2 << 20
MAX_QUERY: Final = 2_000
MOST: Final = 20
USUAL: Final = 10
LOOKED_AT: Final = 200
"""Results of one answer; those that are wanted stand in front."""
_DAYS: Final = dict(zip(AGES, (1, 7, 31, 366), strict=True))
_LENGTHS: Final = {"title": 500, "url": 4_096, "snippet": 2_000, "date": 100}

SEARCH: Final = Tool(
    name="search",
    description="Search the web.",
    parameters={
        "type": "object",
        "properties": {
            "query": {"type": "string"},
            "count": {"type": "integer", "minimum": 1, "maximum": MOST},
            "since": {"enum": list(AGES), "description": "How new results must be."},
        },
        "required": ["query"],
        "additionalProperties": False,
    },
    kind=EffectKind.READ,
)


@final
class WebSearch(ConnectorDriver):
    """Asks a service of web search."""

    kind = "search"
    replies = False

    def __init__(self, client: Client, clock: Clock, *, seconds: float = SECONDS) -> None:
        """Ask through `client`, and give up after `seconds`; `clock` says how old something is."""
        self._client, self._clock, self._seconds = client, clock, seconds

    @override
    def check(self, config: Mapping[str, Any], credential: Credential) -> None:
        service = _service(config)
        if not service.url and not config.get("base_url"):
            raise _bad(f"Where is {service.name}?", "Give base_url, such as https://search.example.com.")
        if service.key and not credential:
            raise Invalid(
                f"{service.name} wants a key.",
                code="blank_secret",
                remedy="Set one (freehold secret set NAME) and name it: --secret NAME.",
            )
        checking.check(_whole(service, config), credential, also=frozenset({"provider"}))

    @override
    def tools(self, config: Mapping[str, Any]) -> Sequence[Tool]:
        return (SEARCH,)

    @override
    def idempotent(self, config: Mapping[str, Any]) -> bool:
        return False

    @override
    async def perform(self, call: ConnectorCall) -> dict[str, Any]:
        service = _service(call.to.config)
        config = _whole(service, call.to.config)
        sent = self._sent(service, config, call)
        try:
            async with timeout(self._seconds):
                answer = await self._client.send(sent, call.to.behalf, call.sent)
                async with aclosing(answer):
                    told = await _told(answer)
        except TimeoutError as error:
            raise Unavailable("The search did not answer in time.", code="search_timeout") from error
        blot = Blot(*injecting.blotted(config, call.to.credential))
        most = _count(call.arguments, service)
        return {"results": blot.within(results_of(service, told)[:most])}

    def _sent(self, service: Search, config: Mapping[str, Any], call: ConnectorCall) -> Sent:
        asked = self._asked(service, call.arguments)
        url = str(config["base_url"])
        headers = fixed(config) | {"Accept": "application/json"}
        body = b""
        if service.method == "POST":
            headers["Content-Type"], body = "application/json", msgspec.json.encode(asked)
        else:
            url += "?" + urlencode(asked)
        url, headers = injecting.inject(config, call.to.credential, url, headers)
        return Sent(method=service.method, url=url, headers=headers, body=body)

    def _asked(self, service: Search, arguments: Mapping[str, Any]) -> dict[str, Any]:
        query, since = arguments.get("query"), arguments.get("since")
        known = arguments.keys() <= {"query", "count", "since"} and (since is None or since in AGES)
        if not known or not isinstance(query, str) or not query.strip() or len(query) > MAX_QUERY:
            raise Invalid(
                "A search needs a query.",
                code="bad_arguments",
                remedy='Give {"query": "…", "count": 10, "since": "day" | "week" | "month" | "year"}.',
            )
        asked: dict[str, Any] = {**service.fixed, service.query: query}
        if service.count:
            asked[service.count] = _count(arguments, service)
        if since and service.since:
            asked[service.since] = service.ages[AGES.index(since)] if service.ages else self._day(since)
        return asked

    def _day(self, since: str) -> str:
        return (self._clock.now() - timedelta(days=_DAYS[since])).strftime("%Y-%m-%dT00:00:00.000Z")


def results_of(service: Search, told: Any) -> list[dict[str, str]]:
    """Return what a service found, in one shape for all of them; what has no address is left out."""
    found = told
    for name in service.results.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    stated = [one for one in found[:LOOKED_AT] if isinstance(one, dict)] if isinstance(found, list) else []
    places = {"title": service.title, "url": service.link, "snippet": service.snippet, "date": service.date}
    results = [{name: _first(one, keys, _LENGTHS[name]) for name, keys in places.items()} for one in stated]
    return [
        {name: value for name, value in result.items() if value or name != "date"}
        for result in results
        if result["url"].startswith(("http://", "https://"))
    ]


def _first(result: Mapping[str, Any], keys: Sequence[str], most: int) -> str:
    said = next((result[key] for key in keys if isinstance(result.get(key), str) and result[key]), "")
    return " ".join(str(said).split())[:most]


def _service(config: Mapping[str, Any]) -> Search:
    service = searches().get(str(config.get("provider")))
    if service is None:
        raise _bad("Which service is to be searched with?", f"Give provider as one of {', '.join(sorted(searches()))}.")
    return service


def _whole(service: Search, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with what is known about its service filled in."""
    base = str(config["base_url"]).rstrip("/") + service.path if config.get("base_url") else service.url
    return {**({"inject": service.key} if service.key else {}), **config, "base_url": base}


def _count(arguments: Mapping[str, Any], service: Search) -> int:
    stated = arguments.get("count", USUAL)
    if not isinstance(stated, int) or isinstance(stated, bool) or stated < 1:
        raise Invalid(
            "The count is a whole number.", code="bad_arguments", remedy=f"Give 1 to {MOST}, or leave it out."
        )
    return min(stated, service.most, MOST)


async def _told(answer: Answer) -> Any:
    if not 200 <= answer.status < 300:  # noqa: PLR2004
        raise _refusal(answer.status)
    try:
        return msgspec.json.decode(await whole(answer, MAX_ANSWER))
    except Exhausted as error:  # a search changes nothing, so one that cannot be read has failed
        raise Invalid(error.message, code=error.code, remedy=error.remedy) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unavailable("The search answered with something that is no JSON.", code="search_malformed") from error


def _refusal(status: int) -> FreeholdError:
    said = f"The search answered {status}."
    if status in {401, 402, 403}:
        return Denied(said, code="search_denied", remedy="Look at the secret of the connection, and at the account.")
    if status == 429 or status >= 500:  # noqa: PLR2004
        return Unavailable(said, code="search_unavailable", after=10.0)
    return Invalid(said, code="search_refused", remedy="Look at base_url; a searxng must be told to answer with JSON.")


def _bad(what: str, remedy: str) -> Invalid:
    return Invalid(what, code="bad_config", remedy=remedy)
