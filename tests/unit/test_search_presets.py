"""Services of web search as they are asked and as they answer, one row each."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from freehold.catalog.searches import searches
from freehold.core.errors import Denied, FreeholdError, Invalid, Unavailable
from freehold.drivers.connector.search import LOOKED_AT, SEARCH, WebSearch, results_of
from freehold.gateway.asked import Behalf
from freehold.gateway.ports import ConnectorCall, Credential, Reached
from freehold.testing.clock import FakeClock
from freehold.testing.counterpart import Heard, Tells, counterpart
from tests.dialling import client

KEY = "search-key-0123456789"
PAGE = "https://a.example/"
Row = tuple[dict[str, Any], tuple[str, str], Any, dict[str, str]]
ASKED: dict[str, Row] = {
    "searxng": (
        {"q": "rain", "format": "json", "time_range": "week"},
        ("authorization", f"Bearer {KEY}"),
        {"results": [{"url": PAGE, "title": "T", "content": "S", "publishedDate": "2026-01-01"}]},
        {"date": "2026-01-01"},
    ),
    "brave": (
        {"q": "rain", "count": "5", "freshness": "pw", "text_decorations": "false"},
        ("x-subscription-token", KEY),
        {"web": {"results": [{"url": PAGE, "title": "T", "description": "S", "age": "2 days ago"}]}},
        {"date": "2 days ago"},
    ),
    "tavily": (
        {"query": "rain", "max_results": 5, "time_range": "week"},
        ("authorization", f"Bearer {KEY}"),
        {"results": [{"url": PAGE, "title": "T", "content": "S"}]},
        {},
    ),
    "serper": (
        {"q": "rain", "num": 5, "tbs": "qdr:w"},
        ("x-api-key", KEY),
        {"organic": [{"link": PAGE, "title": "T", "snippet": "S", "date": "Jan 1"}]},
        {"date": "Jan 1"},
    ),
    "serpapi": (
        {"q": "rain", "num": "5", "tbs": "qdr:w", "engine": "google", "api_key": KEY},
        ("accept", "application/json"),
        {"organic_results": [{"link": PAGE, "title": "T", "snippet": "S"}]},
        {},
    ),
    "exa": (
        {
            "query": "rain",
            "numResults": 5,
            "startPublishedDate": "2025-12-25T00:00:00.000Z",
            "contents": {"text": {"maxCharacters": 500}},
        },
        ("x-api-key", KEY),
        {"results": [{"url": PAGE, "title": "T", "text": "S", "publishedDate": "2026-01-01T00:00:00.000Z"}]},
        {"date": "2026-01-01T00:00:00.000Z"},
    ),
    "kagi": (
        {"q": "rain", "limit": "5"},
        ("authorization", f"Bot {KEY}"),
        {"data": [{"t": 0, "url": PAGE, "title": "T", "snippet": "S"}, {"t": 1, "list": ["more"]}]},
        {},
    ),
}


async def asked(provider: str, tells: Tells, **arguments: Any) -> tuple[Heard, dict[str, Any]]:
    way = client()
    async with counterpart(lambda _: tells) as outside:
        config = {"provider": provider, "base_url": outside.url}
        to = Reached(owner="", name="search", config=config, credential=Credential(KEY), behalf=Behalf("ten_1"))
        driver = WebSearch(way, FakeClock())
        driver.check(config, to.credential)
        call = ConnectorCall(key="k", tool=SEARCH, arguments=arguments, to=to, sent=lambda: None)
        try:
            told = await driver.perform(call)
        finally:
            await way.close()
        return outside.heard[0], told


def told_json(body: Any) -> Tells:
    return Tells(headers={"Content-Type": "application/json"}, pieces=[json.dumps(body).encode()])


def test_every_service_is_in_the_table() -> None:
    assert set(searches()) == set(ASKED)


@pytest.mark.parametrize("provider", sorted(ASKED))
async def test_a_service_is_asked_its_own_way_and_told_in_one_shape(provider: str) -> None:
    wanted, (header, value), answer, more = ASKED[provider]
    heard, told = await asked(provider, told_json(answer), query="rain", count=5, since="week")
    query = {name: values[0] for name, values in parse_qs(urlsplit(heard.target).query).items()}
    assert (json.loads(heard.body) if heard.method == "POST" else query) == wanted
    assert heard.header(header) == [value]
    assert told == {"results": [{"title": "T", "url": PAGE, "snippet": "S", **more}]}


@pytest.mark.parametrize("answer", [None, [], {}, {"results": {}}, {"results": [1, {}, {"url": 7}, {"url": "x"}]}, "x"])
async def test_an_answer_without_results_has_none(answer: Any) -> None:
    assert (await asked("searxng", told_json(answer), query="rain"))[1] == {"results": []}


async def test_no_more_is_told_than_was_asked_for() -> None:
    many = {"results": [{"url": PAGE, "title": "x" * 9_000}] * 50}
    assert len((await asked("searxng", told_json(many), query="rain", count=3))[1]["results"]) == 3
    told = (await asked("searxng", told_json(many), query="rain", count=99))[1]["results"]
    assert (len(told), len(told[0]["title"])) == (20, 500)


@pytest.mark.parametrize(
    ("tells", "kind", "code"),
    [
        (Tells(status=401), Denied, "search_denied"),
        (Tells(status=403), Denied, "search_denied"),
        (Tells(status=404), Invalid, "search_refused"),
        (Tells(status=302, headers={"Location": PAGE}), Invalid, "search_refused"),
        (Tells(status=429), Unavailable, "search_unavailable"),
        (Tells(status=500), Unavailable, "search_unavailable"),
        (Tells(pieces=[b"<html>"]), Unavailable, "search_malformed"),
        (Tells(pieces=[b" " * (1 << 20)] * 3), Invalid, "too_much"),
    ],
)
async def test_what_goes_wrong_is_told_as_it_is(tells: Tells, kind: type[FreeholdError], code: str) -> None:
    with pytest.raises(kind) as caught:
        await asked("searxng", tells, query="rain")
    assert caught.value.code == code


@pytest.mark.parametrize(
    "arguments",
    [{}, {"query": " "}, {"query": 1}, {"query": "x" * 3000}, {"query": "x", "since": "hour"}, {"query": "x", "count": 0},
     {"query": "x", "count": True}, {"query": "x", "site": "a"}, {"query": "x", "since": ["day"]}],
)  # fmt: skip
async def test_a_search_that_makes_no_sense_is_not_made(arguments: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        await asked("searxng", told_json({}), **arguments)
    assert caught.value.code == "bad_arguments"


def test_no_more_results_are_looked_at_than_anybody_wants() -> None:
    service = searches()["searxng"]
    found: list[Any] = [{"url": PAGE}] * (LOOKED_AT + 100)
    assert len(results_of(service, {"results": found})) == LOOKED_AT
