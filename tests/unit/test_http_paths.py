"""A path is read one way or not at all, and judged as it is sent."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import Denied, Invalid
from freehold.gateway.requesting import allowing, paths

TWO_WAYS = [
    "items", "http://evil.example/items", "//evil.example/items", "/a//b", "/a//", "/a/./b", "/a/../b", "/a/..", "/..",
    "/a/%2e/b", "/a/%2e%2e/b", "/a/.%2E/b", "/a/%252e%252e/b", "/a/%25252e%25252e/b", "/a/%25252525252e/b",
    "/a%2fb", "/a%2Fb", "/a%252fb", "/a%5cb", "/a\\b", "/a\\..\\b", "/a%255c..%255cb", "/a;b", "/a;/b", "/a/..;/b",
    "/a%3bb", "/a/%2e%2e%3b/b", "/a?b", "/a%3fb", "/a#b", "/a%23b", "/a b", "/a\tb", "/a\nb", "/a%0ab", "/a%0d%0ab",
    "/a%00", "/a\x00", "/a%7f", "/a%c2%85", "/a/...", "/a/%20", "/a/%20%2e%2e%20/b", "/a/. ./b", "/a%", "/a%2", "/a%zz",
    "/a/%c0%ae%c0%ae/b", "/a%c0%afb", "/a/%e0%80%af/b", "/a%ff", "/a/\uff0e\uff0e/b", "/a/%ef%bc%8e%ef%bc%8e/b",
    "/a%ef%bc%8fb", "/a/%e2%80%a5/b", "/a%ef%bc%9bb", "/a{b}", "/a|b", "/a^b", "/a`b", '/a"b', "/a<b>", "/" + "a" * 9_000,
]  # fmt: skip


@pytest.mark.parametrize("path", TWO_WAYS, ids=ascii)
def test_what_two_servers_might_read_differently_is_refused(path: str) -> None:
    with pytest.raises(Invalid) as refused:
        paths.plain(path)
    assert (refused.value.code, bool(refused.value.remedy)) == ("bad_path", True)


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("", ""),
        ("/", "/"),
        ("/items/5", "/items/5"),
        ("/items/", "/items/"),
        ("/%69tems/%7Eada", "/items/~ada"),
        ("/a%20b/%c3%bc", "/a%20b/%C3%BC"),
        ("/users/ada@example.org", "/users/ada@example.org"),
        ("/v1/things:search", "/v1/things:search"),
        ("/a/.well-known/..b/c..", "/a/.well-known/..b/c.."),
        ("/100%25", "/100%25"),
        ("/a%2Ab", "/a*b"),
    ],
)
def test_everything_else_has_one_spelling(path: str, plain: str) -> None:
    assert paths.plain(path) == paths.plain(path.encode()) == paths.plain(plain) == plain


@given(st.text(st.sampled_from("/.%25eEfF;?#\\ab\x00 c0"), max_size=24))
def test_nothing_that_is_taken_has_another_reading(text: str) -> None:
    try:
        plain = paths.plain("/" + text)
    except Invalid:
        return
    read = plain
    for _ in range(4):
        assert "//" not in read
        assert not {".", ".."} & set(read.split("/"))
        assert not set("\\;?#\x00") & set(read)
        assert read.count("/") == plain.count("/")
        read = unquote(read)


ALLOW = ["GET:/items/*", "post:/items", "*:/files/**", "GET:/exact", "PUT:/a/*/b", "POST:"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/items/5"),
        ("POST", "/items"),
        ("GET", "/files/a/b/c"),
        ("DELETE", "/files/a"),
        ("GET", "/files/"),
        ("PUT", "/a/x/b"),
        ("GET", "/%65xact"),
        ("POST", ""),
    ],
)
def test_what_a_pattern_means_is_allowed(method: str, path: str) -> None:
    allowing.required({"allow": ALLOW}, method, paths.plain(path))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/items"),
        ("GET", "/items/"),
        ("GET", "/items/5/"),
        ("GET", "/items/5/6"),
        ("HEAD", "/items/5"),
        ("get", "/items/5"),
        ("POST", "/items/5"),
        ("GET", "/files"),
        ("GET", "/filesystem"),
        ("GET", "/exact/"),
        ("GET", "/Exact"),
        ("GET", "/exactly"),
        ("PUT", "/a/b"),
        ("PUT", "/a//b"),
        ("OPTIONS", "/files/a"),
        ("TRACE", "/files/a"),
        ("CONNECT", "/files/a"),
        ("GET", ""),
        ("POST", "/"),
    ],
)
def test_what_no_pattern_means_is_refused(method: str, path: str) -> None:
    with pytest.raises(Denied) as refused:
        allowing.required({"allow": ALLOW}, method, path)
    assert refused.value.code == "path_refused"


def test_what_states_nothing_allows_nothing() -> None:
    with pytest.raises(Denied):
        allowing.required({}, "GET", "/")


@pytest.mark.parametrize(
    "stated", ["GET", "GET items", "GET:items", "FETCH:/a", ":/a", "GET:/a*", "GET:/**/a", "GET:/../a", "GET:/a?b", ""]
)
def test_what_is_no_pattern_is_refused(stated: str) -> None:
    with pytest.raises(Invalid) as refused:
        allowing.rules({"allow": [stated]})
    assert refused.value.code == "bad_config"


@pytest.mark.parametrize("stated", ["GET:/a", [1], {"GET": "/a"}, ["GET:/a"] * 201])
def test_patterns_are_a_list_of_some_length(stated: object) -> None:
    with pytest.raises(Invalid):
        allowing.rules({"allow": stated})
