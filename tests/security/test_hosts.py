"""Which addresses are ours, and which pages: decided from a few headers, before anything else happens."""

import pytest

from freehold.core.errors import Denied, Invalid
from freehold.settings import Settings
from freehold.web.hosts import Asked, Hosts, admit_cookie, hosts_of

PUBLIC = {"public_url": "https://agents.example.com"}


def hosts(**stated: str) -> Hosts:
    return hosts_of(Settings(**stated))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stated", "host", "origin"),
    [
        ({}, "127.0.0.1:7070", "http://127.0.0.1:7070"),
        ({}, "localhost:7070", "http://localhost:7070"),
        ({}, "LocalHost:7070", "http://localhost:7070"),
        ({}, "[::1]:7070", "http://[::1]:7070"),
        ({"address": "[::1]:80"}, "localhost", "http://localhost"),
        ({"address": "0.0.0.0:7070"}, "localhost:7070", "http://localhost:7070"),
        ({"address": "192.0.2.7:7070"}, "192.0.2.7:7070", "http://192.0.2.7:7070"),
        (PUBLIC, "agents.example.com", "https://agents.example.com"),
        (PUBLIC, "agents.example.com:443", "https://agents.example.com"),
        (PUBLIC, "127.0.0.1:7070", "http://127.0.0.1:7070"),
        ({"public_url": "https://agents.example.com:8443"}, "agents.example.com:8443", "https://agents.example.com:8443"),
        ({"public_url": "https://bücher.example"}, "xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        (PUBLIC | {"hosts": "a.example, b.example:444"}, "a.example", "https://a.example"),
        (PUBLIC | {"hosts": "a.example, b.example:444"}, "b.example:444", "https://b.example:444"),
        ({"hosts": "https://a.example"}, "a.example", "https://a.example"),
    ],
)  # fmt: skip
def test_an_address_of_ours_is_answered_and_has_one_origin(stated: dict[str, str], host: str, origin: str) -> None:
    assert hosts(**stated).origins(host) == {origin}


@pytest.mark.parametrize(
    ("stated", "host"),
    [
        ({}, None),
        ({}, ""),
        ({}, "evil.example"),
        ({}, "127.0.0.1"),
        ({}, "127.0.0.1:7071"),
        ({}, "127.0.0.1:07070"),
        ({}, "localhost.:7070"),
        ({}, "localhost:7070, localhost:7070"),
        ({}, "me@localhost:7070"),
        ({}, "localhost:7070/"),
        ({}, "http://localhost:7070"),
        ({}, "::1:7070"),
        ({}, "2130706433:7070"),
        ({}, "localhost.evil.example:7070"),
        (PUBLIC, "agents.example.com:80"),
        (PUBLIC, "agents.example.com.evil.example"),
        (PUBLIC, "evil.example"),
        ({"address": "192.0.2.7:7070"}, "localhost:7070"),
    ],
)
def test_any_other_host_is_foreign(stated: dict[str, str], host: str | None) -> None:
    with pytest.raises(Denied) as refused:
        hosts(**stated).origins(host)
    assert refused.value.code == "foreign_host"
    assert "FREEHOLD_PUBLIC_URL" in refused.value.remedy


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "http://agents.example.com",
        "https://agents.example.com:8443",
        "https://agents.example.com/",
        "https://agents.example.com.evil.example",
        "https://x.agents.example.com",
        "http://127.0.0.1:7070",
    ],
)
def test_a_foreign_page_is_refused_whatever_it_asks_for(method: str, origin: str) -> None:
    with pytest.raises(Denied) as refused:
        hosts(**PUBLIC).admit(Asked(method=method, host="agents.example.com", origin=origin))
    assert refused.value.code == "foreign_origin"


def test_our_own_page_and_programs_are_admitted() -> None:
    ours = hosts(**PUBLIC)
    ours.admit(Asked(method="POST", host="agents.example.com", origin="https://agents.example.com"))
    ours.admit(Asked(method="POST", host="agents.example.com"))


@pytest.mark.parametrize(
    "asked",
    [
        Asked(method="POST", host="", origin="https://ours"),  # found to be ours before
        Asked(method="POST", host="", origin="https://ours", site="same-origin"),
        Asked(method="DELETE", host="", site="same-origin"),
        Asked(method="GET", host=""),
        Asked(method="GET", host="", site="same-origin", mode="cors"),
        Asked(method="GET", host="", site="none", mode="navigate", target="document"),
        Asked(method="GET", host="", site="cross-site", mode="navigate", target="document"),
    ],
)
def test_a_cookie_counts_where_our_page_or_a_person_sent_it(asked: Asked) -> None:
    admit_cookie(asked)


@pytest.mark.parametrize(
    "asked",
    [
        Asked(method="POST", host=""),
        Asked(method="POST", host="", site="none"),
        Asked(method="POST", host="", site="cross-site"),
        Asked(method="POST", host="", site="same-site"),
        Asked(method="POST", host="", origin="https://ours", site="cross-site"),
        Asked(method="PATCH", host=""),
        Asked(method="BREW", host=""),
        Asked(method="GET", host="", site="cross-site", mode="no-cors", target="image"),
        Asked(method="GET", host="", site="cross-site", mode="cors", target="empty"),
        Asked(method="GET", host="", site="cross-site", mode="navigate", target="iframe"),
        Asked(method="GET", host="", site="same-site", mode="no-cors", target="script"),
        Asked(method="POST", host="", site="cross-site", mode="navigate", target="document"),
        Asked(method="HEAD", host="", site="cross-site", mode="navigate", target="document"),
    ],
)
def test_a_cookie_that_another_page_made_a_browser_send_counts_for_nothing(asked: Asked) -> None:
    with pytest.raises(Denied) as refused:
        admit_cookie(asked)
    assert refused.value.code == "foreign_origin"


@pytest.mark.parametrize(
    "stated",
    [{"hosts": "a/b"}, {"hosts": "a b"}, {"hosts": "a:x"}, {"hosts": "ftp://a"}, {"hosts": "me@a"}, {"hosts": "https://a/"}],
)  # fmt: skip
def test_an_address_that_is_none_is_told_at_the_start(stated: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        hosts(**stated)
    assert refused.value.code == "bad_setting"


@pytest.mark.parametrize("url", ["agents.example.com", "https://a.example/", "https://a/b", "ftp://a", "https://"])
def test_a_public_url_is_an_address_without_a_path(url: str) -> None:
    with pytest.raises(Invalid, match="FREEHOLD_PUBLIC_URL"):
        Settings.read({"FREEHOLD_PUBLIC_URL": url})


def test_links_begin_with_the_public_address() -> None:
    assert Settings().base_url == "http://127.0.0.1:7070"
    assert Settings(public_url="https://a.example").base_url == "https://a.example"
