"""What a connection may say of signing in, and what follows from it before anybody is asked."""

from typing import Any

import pytest

from freehold.catalog.oauth import providers
from freehold.core.errors import Invalid
from freehold.gateway.oauth import check, mark_of, required, terms_of

PLACES = {"authorize": "https://id.example.com/authorize", "token": "https://id.example.com/token"}
OWN: dict[str, Any] = PLACES | {"client_id": "us"}
GITHUB: dict[str, Any] = {"preset": "github", "client_id": "us", "client_secret": "github"}


def config(oauth: object, base_url: str = "https://api.example.com") -> dict[str, Any]:
    return {"base_url": base_url, "oauth": oauth}


@pytest.mark.parametrize("name", sorted(providers()))
def test_every_preset_makes_a_connection_to_its_own_api(name: str) -> None:
    provider = providers()[name]
    oauth = {"preset": name, "client_id": "us", "client_secret": "theirs"}
    for host in provider.hosts:
        terms = check("http", config(oauth, f"https://{host.replace('*', 'www')}/v1"))
        assert terms is not None
        assert terms.provider == provider
        assert terms.host


@pytest.mark.parametrize("name", sorted(providers()))
def test_every_preset_is_spelt_out_and_asks_over_tls(name: str) -> None:
    provider = providers()[name]
    places = [provider.authorize, provider.token, provider.revoke, provider.device, provider.about]
    assert all(place.startswith("https://") for place in places if place)
    assert provider.name
    assert provider.hosts
    assert not [scope for scope in provider.scopes if provider.words and scope not in provider.words]


@pytest.mark.parametrize(
    ("oauth", "about"),
    [
        ({}, "client_id"),
        ("github", "look as it must"),
        ([], "look as it must"),
        ({"client_id": "us"}, "authorize and token"),
        ({"client_id": " ", **PLACES}, "client_id"),
        (OWN | {"secret": "x"}, "look as it must"),
        (OWN | {"preset": "nobody"}, "no preset"),
        (OWN | {"auth": "mtls"}, "client_secret"),
        (OWN | {"auth": "basic"}, "client_secret"),
        (OWN | {"auth": "none", "client_secret": "x"}, "client_secret"),
        (OWN | {"scopes": ["a b"]}, "one word"),
        (OWN | {"scopes": [""]}, "one word"),
        (OWN | {"params": {"redirect_uri": "https://evil.example.com"}}, "redirect_uri"),
        (OWN | {"params": {"state": "1", "code_challenge": "2"}}, "code_challenge, state"),
        (OWN | {"token": "http://id.example.com/token"}, "address of token"),
        (OWN | {"authorize": "https://id.example.com/#a"}, "address of authorize"),
        (OWN | {"revoke": "http://10.0.0.7/revoke"}, "address of revoke"),
        (OWN | {"about": "http://id.example.com/me"}, "address of about"),
    ],
)
def test_what_could_never_work_is_refused_with_what_is_wrong(oauth: object, about: str) -> None:
    with pytest.raises(Invalid, match=about) as refused:
        check("http", config(oauth))
    assert refused.value.code == "bad_oauth"


@pytest.mark.parametrize(
    "url", ["ftp://id.example.com", "https://user:pass@id.example.com/", "https://0x7f.1/", "nowhere"]
)
def test_an_address_that_readers_differ_about_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        check("http", config(OWN | {"token": url}))


@pytest.mark.parametrize("kind", ["webhook", "openai", "smtp"])
def test_other_kinds_of_connections_are_not_signed_in(kind: str) -> None:
    with pytest.raises(Invalid, match=kind):
        check(kind, config(OWN))


@pytest.mark.parametrize(
    "url", ["https://api.github.com.evil.example", "https://evil.example.com", "https://github.io", "https://1.2.3.4"]
)
def test_tokens_of_a_preset_go_to_its_own_hosts_only(url: str) -> None:
    with pytest.raises(Invalid, match="leads elsewhere"):
        check("http", config(GITHUB, url))


def test_another_house_with_the_same_furniture_has_its_own_hosts() -> None:
    own = {
        "preset": "gitlab",
        "client_id": "us",
        "client_secret": "x",
        "authorize": "https://git.example.com/oauth/authorize",
    }
    terms = check(
        "http", config(own | {"token": "https://git.example.com/oauth/token"}, "https://git.example.com/api/v4")
    )
    assert terms is not None
    assert (terms.provider.hosts, terms.provider.revoke, terms.provider.issuer) == ((), "", "")
    assert terms.provider.scopes == ("read_api",)


def test_loopback_may_go_without_tls() -> None:
    assert check("mcp", config(OWN | {"token": "http://127.0.0.1:8080/token"})) is not None


def test_what_is_not_said_about_a_client_follows_from_its_secret() -> None:
    for oauth, auth in ((OWN, "none"), (OWN | {"client_secret": "x"}, "basic"), (GITHUB, "post")):
        terms = terms_of(config(oauth))
        assert terms is not None
        assert terms.provider.auth == auth


def test_the_mark_is_other_exactly_where_a_token_would_go_elsewhere() -> None:
    mark = mark_of(config(OWN))
    assert mark
    for same in ({"scopes": ["a"]}, {"params": {"a": "b"}}):
        assert mark_of(config(OWN | same)) == mark
    for place in ("authorize", "token", "revoke", "device", "about", "issuer"):
        assert mark_of(config(OWN | {place: "https://other.example.com/x"})) != mark
    assert mark_of(config(OWN | {"client_id": "them"})) != mark
    assert mark_of(config(None)) == mark_of({"oauth": "nonsense"}) == ""


def test_a_connection_without_it_says_how_to_get_it() -> None:
    with pytest.raises(Invalid) as refused:
        required({"base_url": "https://api.example.com"}, "crm")
    assert refused.value.code == "no_oauth"
    assert check("http", {"base_url": "https://api.example.com"}) is None
