"""What is said to providers of accounts, and what their answers mean: tables, without anybody being asked."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from freehold.core.errors import Unavailable
from freehold.gateway.oauth import Terms, terms_of
from freehold.gateway.ports import Credential
from freehold.gateway.sign_in import knowing, shaping
from freehold.gateway.sign_in.shaping import Departure, ProviderRefused

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
DEPARTURE = Departure(state="sgn_1.s", verifier="v" * 64, nonce="n-1", redirect_uri="https://us.example.com/back?a=b")
SECRET = Credential("s:ecret &%")
PLACES = {"authorize": "https://id.example.com/authorize?realm=1", "token": "https://id.example.com/token"}
TOKEN = {"access_token": "access-4f1c", "token_type": "bearer"}


def terms(**told: Any) -> Terms:
    found = terms_of({"oauth": {"client_id": "us & them", "scopes": ["openid", "read"], **PLACES} | told})
    assert found is not None
    return found


def preset(name: str, **told: Any) -> Terms:
    found = terms_of({"oauth": {"preset": name, "client_id": "us", "client_secret": "x"} | told})
    assert found is not None
    return found


def answered(body: object, status: int = 200) -> dict[str, Any]:
    return shaping.told(status, "application/json", json.dumps(body).encode())


def id_token(**claims: Any) -> dict[str, Any]:
    told = {"nonce": "n-1", "aud": "us & them", "exp": NOW.timestamp() + 60, "iss": "https://id.example.com"} | claims
    packed = base64.urlsafe_b64encode(json.dumps(told).encode()).rstrip(b"=").decode()
    return TOKEN | {"id_token": f"head.{packed}.signature"}


def test_a_browser_is_sent_off_with_a_challenge_a_state_and_a_nonce() -> None:
    url = shaping.address(terms(params={"prompt": "consent"}), DEPARTURE)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 64).digest()).rstrip(b"=").decode()
    assert query == {
        "realm": "1",
        "prompt": "consent",
        "response_type": "code",
        "client_id": "us & them",
        "state": "sgn_1.s",
        "redirect_uri": "https://us.example.com/back?a=b",
        "scope": "openid read",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "nonce": "n-1",
    }
    assert "v" * 64 not in url


def test_a_provider_that_wants_commas_and_knows_no_challenge_gets_that() -> None:
    query = parse_qs(urlsplit(shaping.address(preset("slack", scopes=["a", "b"]), DEPARTURE)).query)
    assert query["scope"] == ["a,b"]
    assert "code_challenge" not in query
    assert "code_verifier" not in shaping.code_form(preset("slack"), DEPARTURE, "c")


@pytest.mark.parametrize(("auth", "header"), [("basic", True), ("post", False), ("none", False)])
def test_a_client_shows_its_secret_where_the_provider_wants_it(auth: str, *, header: bool) -> None:
    told: dict[str, Any] = {"auth": auth} | ({} if auth == "none" else {"client_secret": "x"})
    sent = shaping.request(terms(**told), "https://id.example.com/token", {"a": "b"}, SECRET)
    shown = sent.headers.get("Authorization", "")
    assert bool(shown) == header
    if header:
        assert base64.b64decode(shown.removeprefix("Basic ")) == b"us+%26+them:s%3Aecret+%26%25"
    form = {name: values[0] for name, values in parse_qs(sent.body.decode()).items()}
    assert form.get("client_id") == (None if header else "us & them")
    assert form.get("client_secret") == ("s:ecret &%" if auth == "post" else None)


def test_notion_is_asked_in_json_and_with_its_version() -> None:
    sent = shaping.request(preset("notion"), "https://api.notion.com/v1/oauth/token", {"a": "b"}, SECRET)
    assert json.loads(sent.body) == {"a": "b"}
    assert sent.headers["Content-Type"] == "application/json"
    assert sent.headers["Notion-Version"]


@pytest.mark.parametrize(
    ("name", "method", "url", "shown"),
    [
        ("google", "POST", "https://oauth2.googleapis.com/revoke", ""),
        ("dropbox", "POST", "https://api.dropboxapi.com/2/auth/token/revoke", "Bearer access-4f1c"),
        ("slack", "POST", "https://slack.com/api/auth.revoke", "Bearer access-4f1c"),
        ("github", "DELETE", "https://api.github.com/applications/us/token", "Basic "),
    ],
)
def test_a_token_is_taken_back_in_each_providers_way(name: str, method: str, url: str, shown: str) -> None:
    sent = shaping.revocation(preset(name), Credential("access-4f1c"), SECRET, hint="access_token")
    assert (sent.method, sent.url) == (method, url)
    assert sent.headers.get("Authorization", "").startswith(shown)
    assert (b"access-4f1c" in sent.body) != bool(shown.startswith("Bearer"))


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, {"error": "invalid_grant"}, "invalid_grant"),
        (200, {"error": "bad_verification_code"}, "bad_verification_code"),
        (200, {"ok": False, "error": "invalid_code"}, "invalid_code"),
        (400, {"error": {"message": "deep"}}, ""),
        (400, {"error": "two words"}, ""),
        (401, {"code": "unauthorized", "message": "x"}, "unauthorized"),
        (302, {}, ""),
        (404, {}, ""),
    ],
)
def test_a_no_is_understood_however_it_is_said(status: int, body: object, said: str) -> None:
    with pytest.raises(ProviderRefused) as refused:
        answered(body, status)
    assert refused.value.said == said


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_provider_that_is_not_itself_is_away(status: int) -> None:
    with pytest.raises(Unavailable):
        answered({"error": "invalid_grant"}, status)


@pytest.mark.parametrize("body", [b"[]", b"<html>", b"\xff", b"[" * 100_000, b"null"])
def test_an_answer_that_is_no_object_is_a_no(body: bytes) -> None:
    with pytest.raises(ProviderRefused):
        shaping.told(200, "application/json", body)


def test_a_form_is_read_like_json() -> None:
    said = shaping.told(200, "application/x-www-form-urlencoded; charset=utf-8", b"access_token=a%2Bb&scope=x%2Cy")
    granted = shaping.granted(terms(), said)
    assert (granted.access.reveal(), granted.scopes) == ("a+b", ("x", "y"))


@pytest.mark.parametrize(
    ("stated", "lasts"),
    [
        (3600, 3600),
        ("3600", 3600),
        (0, None),
        (-1, None),
        (None, None),
        ("soon", None),
        ("nan", None),
        (1e300, 315_360_000),
    ],
)
def test_how_long_a_token_lasts_is_believed_within_reason(stated: object, lasts: float | None) -> None:
    granted = shaping.granted(terms(), TOKEN | {"expires_in": stated})
    assert granted.lasts == (None if lasts is None else timedelta(seconds=lasts))


def test_a_token_may_be_where_its_preset_says() -> None:
    granted = shaping.granted(preset("slack"), {"ok": True, "authed_user": {"id": "U1", "access_token": "xoxp-1"}})
    assert granted.access.reveal() == "xoxp-1"


@pytest.mark.parametrize(
    "said",
    [{}, {"access_token": None}, {"access_token": "a b\n"}, {"access_token": "ü"}, TOKEN | {"token_type": "DPoP"}],
)
def test_what_cannot_be_shown_as_it_is_is_no_token(said: dict[str, Any]) -> None:
    with pytest.raises(ProviderRefused):
        shaping.granted(terms(), said)


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "n-2"},
        {"nonce": None},
        {"aud": "them"},
        {"aud": ["a", "b"]},
        {"exp": NOW.timestamp()},
        {"exp": "later"},
        {"iss": "https://evil.example.com"},
    ],
)
def test_an_id_token_for_anybody_or_anything_else_is_refused(wrong: dict[str, Any]) -> None:
    known = terms(issuer="https://id.example.com")
    with pytest.raises(ProviderRefused):
        knowing.claims(known, id_token(**wrong), nonce="n-1", issuer="", at=NOW)
    assert knowing.claims(known, id_token(), nonce="n-1", issuer="", at=NOW)["aud"] == "us & them"


@pytest.mark.parametrize("token", [None, 7, "a.b", "a.!.c", "a.bnVsbA.c", "a.e30.c.d"])
def test_what_is_no_id_token_is_refused_where_one_was_asked_for(token: object) -> None:
    with pytest.raises(ProviderRefused):
        knowing.claims(terms(), TOKEN | {"id_token": token}, nonce="n-1", issuer="", at=NOW)


def test_whose_account_it_is_comes_from_whatever_says_it_first() -> None:
    assert knowing.account_in(preset("slack"), {}, {}, {"team": {"name": "Acme", "id": "T1"}}) == "Acme"
    assert knowing.account_in(preset("github"), {}, {"login": "ada"}, {}) == "ada"
    assert knowing.account_in(terms(), {"sub": "1"}, {"email": "ada@example.com"}, {}) == "ada@example.com"
    assert knowing.account_in(terms(), {"email": {"a": 1}}, {}, {}) == ""
    assert len(knowing.account_in(terms(), {"email": "a" * 9999}, {}, {})) == knowing.MOST_ACCOUNT


@pytest.mark.parametrize(
    ("issuer", "stated", "same"),
    [
        (None, "", True),
        ("https://id.example.com", "", True),
        ("https://id.example.com/realms/1", "", True),
        ("https://id.example.com:444", "", False),
        ("http://id.example.com", "", False),
        ("https://evil.example.com", "", False),
        ("https://login.example.com", "https://login.example.com", True),
        ("https://login.example.com/", "https://login.example.com", False),
        ("", "https://login.example.com", False),
    ],
)
def test_who_sends_somebody_back_is_who_they_were_sent_to(issuer: str | None, stated: str, *, same: bool) -> None:
    assert shaping.same_issuer(terms(issuer=stated), issuer) == same


@pytest.mark.parametrize(
    ("status", "body", "back"), [(200, b"", True), (200, b"OK", True), (200, b'{"ok":false}', False), (400, b"", False)]
)
def test_taken_back_is_what_the_provider_says_was(status: int, body: bytes, *, back: bool) -> None:
    assert shaping.taken_back(status, "application/json", body) == back


@pytest.mark.parametrize("uri", [None, "javascript:alert(1)", "", "https://a\nb"])
def test_nobody_is_sent_to_an_address_that_is_none(uri: object) -> None:
    said = {"device_code": "d", "user_code": "u", "expires_in": 60, "verification_uri": uri}
    with pytest.raises(ProviderRefused):
        shaping.device(said)
