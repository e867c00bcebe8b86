"""A request carries the connection's identity and nothing by which its caller could be somebody else."""

from typing import Any

import pytest

from freehold.core.errors import FreeholdError, Invalid
from freehold.gateway.ports import Credential
from freehold.gateway.requesting import checking
from freehold.gateway.requesting.injecting import inject
from freehold.gateway.requesting.shaping import shape

SECRET = "sk-0123456789abcdef"
EVIL = "evil-0123456789"
BASE = {"base_url": "https://api.example.com/v2", "allow": ["*:/**", "GET:"]}
ALSO = frozenset({"allow"})


def shaped(said: Any = (), query: str = "", secret: str = SECRET, **config: Any) -> tuple[str, dict[str, str]]:
    made = shape(BASE | config, Credential(secret), "GET", "/items/5", query, said)
    return made.url, dict(made.headers)


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "authorization", "AUTHORIZATION", "Proxy-Authorization", "Cookie", "Cookie2", "X-Api-Key",
        "x_api_key", "Api-Key", "apikey", "X-Auth-Token", "X-Access-Token", "Private-Token", "X-Vault-Token",
        "X-Shopify-Access-Token", "X-Figma-Token", "DD-API-KEY", "DD-APPLICATION-KEY", "Ocp-Apim-Subscription-Key",
        "X-RapidAPI-Key", "xi-api-key", "X-Amz-Security-Token", "X-Goog-Api-Key", "X-Signature", "X-Hub-Signature",
        "Stripe-Account", "X-CSRF-Token", "Authentication", "X-Forwarded-Authorization", "X-Client-Secret", "X-Jwt",
        "Host", "X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Real-IP", "X-Original-URL",
        "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "Connection", "Keep-Alive",
        "Transfer-Encoding", "Content-Length", "TE", "Trailer", "Upgrade", "HTTP2-Settings", "Expect", "Via",
        "Accept-Encoding", "Sec-WebSocket-Key", "CF-Connecting-IP", "X-Host", "Max-Forwards", "Proxy-Connection",
        "X-Metabase-Session", "X-Session-Id", "X-On-Behalf-Of", "As-User", "Dropbox-API-Select-User", "BoxApi", "Sudo",
    ],
)  # fmt: skip
def test_headers_that_could_be_a_key_or_change_what_was_judged_are_dropped(name: str) -> None:
    _, headers = shaped([(name, EVIL), ("Accept", "application/json")])
    assert headers == {"accept": "application/json", "authorization": f"Bearer {SECRET}"}


@pytest.mark.parametrize(
    "name", ["Accept", "Content-Type", "If-None-Match", "Range", "Idempotency-Key", "X-Request-Id", "Prefer", "User-Agent"]
)  # fmt: skip
def test_harmless_headers_go_on(name: str) -> None:
    assert name.lower() in {one.lower() for one in shaped([(name, "v")])[1]}


def test_what_the_header_connection_names_is_dropped_with_it() -> None:
    _, headers = shaped([("Connection", "close, X-Hop"), ("X-Hop", "1"), ("X-Stays", "2")])
    assert headers.keys() == {"x-stays", "authorization"}


@pytest.mark.parametrize(
    "query",
    [
        "access_token=E", "api_key=E", "apikey=E", "api-key=E", "API_KEY=E", "api.key=E", "api%5Fkey=E", "api%255Fkey=E",
        "%61pi_key=E", "api_key[]=E", "api_key%5B%5D=E", "key=E", "token=E", "auth_token=E", "oauth_token=E",
        "private_token=E", "client_secret=E", "password=E", "sig=E", "X-Amz-Signature=E", "X-Amz-Credential=E",
        "authorization=E", "jwt=E", "_method=DELETE", "+api_key=E", "api_key", "as_user_id=E", "sudo=E", "PHPSESSID=E", "session_id=E", "on_behalf_of=E", "access_token=E&access_token=E",
    ],
)  # fmt: skip
def test_parameters_that_could_be_a_key_are_dropped(query: str) -> None:
    assert shaped(query=f"a=1&{query}&b=2")[0] == "https://api.example.com/v2/items/5?a=1&b=2"


@pytest.mark.parametrize(
    "query", ["page_token=x", "next=5", "q=token", "method=x", "keyword=1", "a=1&a=2", "a%20b=c+d", "author=x", "flag"]
)
def test_other_parameters_stay_as_they_were_spelt(query: str) -> None:
    assert shaped(query=query)[0] == f"https://api.example.com/v2/items/5?{query}"


def test_a_parameter_that_some_servers_split_again_is_not_split() -> None:
    assert shaped(query="a=1;api_key=E")[0].endswith("?a=1%3Bapi_key=E")
    assert shaped(query="a=1#&b\r\nX: y")[0].endswith("?a=1%23&b%0D%0AX:%20y")


def test_a_connection_can_keep_what_only_looks_like_a_key() -> None:
    url, headers = shaped([("X-Row-Key", "7")], "key=7&token=E", keep=["query:key", "header:X-Row-Key"])
    assert (url, headers["x-row-key"]) == ("https://api.example.com/v2/items/5?key=7", "7")


def test_it_cannot_keep_what_it_injects_itself() -> None:
    url, _ = shaped(query="key=E", inject="query:key", keep=["query:key"])
    assert url == f"https://api.example.com/v2/items/5?key={SECRET}"
    _, headers = shaped([("X-Key", "E")], inject="header:X-Key", keep=["header:X-Key"])
    assert headers == {"x-key": SECRET}


@pytest.mark.parametrize(
    "headers", [[("a b", "v")], [("a", "v\r\nb: c")], [("a", "v\x00")], [("a:", "v")], [("ä", "v")], [("a", "€")]]
)
def test_what_is_no_header_is_refused(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(Invalid) as refused:
        shaped(headers)
    assert refused.value.code == "bad_header"


@pytest.mark.parametrize(
    ("place", "secret", "url", "headers"),
    [
        ("header:Authorization", "s3cret/+", "", {"authorization": "Bearer s3cret/+"}),
        ("header:X-Api-Key", "s3cret/+", "", {"x-api-key": "s3cret/+"}),
        ("header:Authorization=token {secret}", "s3cret", "", {"authorization": "token s3cret"}),
        ("query:api_key", "s3cret/+&", "?api_key=s3cret%2F%2B%26", {}),
        ("basic", "ada:s3cret", "", {"authorization": "Basic YWRhOnMzY3JldA=="}),
    ],
)
def test_the_secret_goes_where_it_was_said(place: str, secret: str, url: str, headers: dict[str, str]) -> None:
    made = shaped(secret=secret, inject=place)
    assert made == (f"https://api.example.com/v2/items/5{url}", headers)


def test_the_secret_can_be_a_part_of_the_path() -> None:
    config = {"base_url": "https://api.example.com/bot{TOKEN}/v2", "inject": "path:TOKEN"}
    url, headers = shaped(query="a={TOKEN}", secret="123:ab/c", **config)
    assert (url, headers) == ("https://api.example.com/bot123:ab%2Fc/v2/items/5?a=%7BTOKEN%7D", {})


def test_an_account_that_somebody_signed_in_to_is_a_bearer() -> None:
    assert shaped(oauth={"preset": "github", "client_id": "c"})[1] == {"authorization": f"Bearer {SECRET}"}


def test_without_a_secret_nothing_of_the_callers_takes_its_place() -> None:
    assert shaped([("Authorization", EVIL)], secret="")[1] == {}


def test_the_connections_own_headers_go_before_the_callers() -> None:
    assert shaped([("X-Version", "1")], headers={"X-Version": "2"})[1]["x-version"] == "2"


@pytest.mark.parametrize(
    ("place", "secret"),
    [
        ("header:X-Key", "a\r\nX: y"), ("header:X-Key", "a\n"), ("header:X-Key", "ä"), ("basic", "nocolon"),
        ("path:T", "a b"), ("path:T", ".."), ("path:T", "."),
    ],
)  # fmt: skip
def test_a_secret_that_cannot_be_written_there_is_refused_without_showing_it(place: str, secret: str) -> None:
    with pytest.raises(Invalid) as refused:
        inject({"inject": place}, Credential(secret), "https://x/{T}", {})
    assert refused.value.code == "bad_secret"
    assert len(secret) < 3 or secret not in refused.value.message


def test_what_is_shaped_shows_itself_to_nobody() -> None:
    made = shape(BASE, Credential(SECRET), "GET", "/a", "", ())
    assert SECRET not in repr(made)


GOOD: list[dict[str, Any]] = [
    {},
    {"base_url": "http://127.0.0.1:8080"},
    {"base_url": "https://api.example.com/v2/"},
    {"inject": "query:api_key"},
    {"inject": "path:T", "base_url": "https://x.example/bot{T}"},
    {"headers": {"X-Version": "1"}, "keep": ["query:key", "header:X-Row-Key"]},
]
BAD: list[dict[str, Any]] = [
    {"base_url": None}, {"base_url": "api.example.com"}, {"base_url": "ftp://x.example"}, {"base_url": "https://"},
    {"base_url": "https://u:p@x.example"}, {"base_url": "https://x.example?a=1"}, {"base_url": "https://x.example#a"},
    {"base_url": "https://x.example/a/../b"}, {"base_url": "https://x.example/{T}"}, {"base_url": "https://0x7f.1"},
    {"base_url": "https://x.example:99999"}, {"base_url": "https://[::1"}, {"base_url": "https://x example"},
    {"inject": "body:x"}, {"inject": "header:"}, {"inject": "header:a b"}, {"inject": "header:Host"}, {"inject": 5},
    {"inject": "header:Content-Length"}, {"inject": "header:X=nothing"}, {"inject": "header:X={secret}{secret}"},
    {"inject": "header:X=a\r\n{secret}"}, {"inject": "query:a&b"}, {"inject": "path:T"}, {"inject": "query:a=b"},
    {"inject": "path:T", "base_url": "https://{T}.example/"}, {"inject": "header:X", "oauth": {"preset": "github"}},
    {"headers": ["X"]}, {"headers": {"X": 1}}, {"headers": {"X": "a\nb"}}, {"headers": {"Authorization": "Bearer x"}},
    {"headers": {"Cookie": "a"}}, {"headers": {"Host": "x"}}, {"headers": {"X-Forwarded-For": "1"}},
    {"headers": {"X-A": "1", "x_a": "2"}}, {"headers": {f"X-{n}": "1" for n in range(31)}},
    {"inject": "header:X-Key", "headers": {"x-key": "1"}}, {"keep": "query:key"}, {"keep": ["key"]}, {"keep": [1]},
    {"keep": ["header:Authorization"]}, {"keep": ["header:Host"]}, {"keep": ["body:a"]}, {"unknown": 1},
]  # fmt: skip


@pytest.mark.parametrize("config", GOOD, ids=repr)
def test_a_configuration_that_can_work_is_taken(config: dict[str, Any]) -> None:
    checking.check(BASE | config, Credential(SECRET), also=ALSO)


@pytest.mark.parametrize("config", BAD, ids=repr)
def test_a_configuration_that_cannot_work_is_refused_with_what_to_write(config: dict[str, Any]) -> None:
    with pytest.raises(FreeholdError) as refused:
        checking.check(BASE | config, Credential(SECRET), also=ALSO)
    assert isinstance(refused.value, Invalid)
    assert refused.value.remedy
    assert SECRET not in refused.value.message + refused.value.remedy


def test_a_place_without_a_secret_is_told() -> None:
    with pytest.raises(Invalid) as refused:
        checking.check(BASE | {"inject": "header:X-Key"}, Credential(), also=ALSO)
    assert refused.value.code == "blank_secret"


def test_an_api_without_an_address_is_asked_where_it_is() -> None:
    with pytest.raises(Invalid, match="Where is the API"):
        checking.check({"allow": ["GET:/items"]}, Credential(), also=ALSO)
