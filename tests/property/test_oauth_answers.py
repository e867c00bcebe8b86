"""Whatever a provider of accounts answers, it is a token, a no or somebody who is away; never a riddle."""

import base64
import contextlib
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import Unavailable
from freehold.gateway.oauth import Terms, terms_of
from freehold.gateway.sign_in import knowing, shaping
from freehold.gateway.sign_in.shaping import ProviderRefused

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMES = ["access_token", "refresh_token", "token_type", "expires_in", "scope", "id_token", "error", "ok", "authed_user"]
NAMES += ["email", "sub", "team", "device_code", "user_code", "verification_uri", "interval", "code"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text() | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
ANSWERS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)


def terms(name: str) -> Terms:
    found = terms_of({"oauth": {"preset": name, "client_id": "us", "client_secret": "x"}})
    assert found is not None
    return found


@given(st.sampled_from(["google", "slack", "trello"]), st.integers(200, 599), ANSWERS)
def test_an_answer_is_understood_or_refused(name: str, status: int, answer: dict[str, Any]) -> None:
    try:
        said = shaping.told(status, "application/json", json.dumps(answer).encode())
        granted = shaping.granted(terms(name), said)
    except (ProviderRefused, Unavailable) as error:
        error.message.encode()
    else:
        assert granted.access.reveal().isprintable()
        json.dumps(granted.scopes).encode()
        knowing.account_in(terms(name), answer, said).encode()


@given(
    st.binary(max_size=300),
    st.sampled_from(["application/json", "text/plain", "application/x-www-form-urlencoded", ""]),
)
def test_so_are_bytes_that_are_nothing(body: bytes, content_type: str) -> None:
    with contextlib.suppress(ProviderRefused):
        shaping.granted(terms("google"), shaping.told(200, content_type, body))
    shaping.taken_back(200, content_type, body)


@given(VALUES, st.text(max_size=20))
def test_so_is_an_id_token(claims: object, tail: str) -> None:
    packed = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    for token in (f"a.{packed}.c", f"a.{packed}{tail}.c", tail):
        try:
            knowing.claims(terms("google"), {"id_token": token}, nonce="n", issuer="", at=NOW)
        except ProviderRefused:
            continue
        raise AssertionError("Nobody made this for us.")


@given(ANSWERS)
def test_so_is_the_beginning_on_a_device(answer: dict[str, Any]) -> None:
    try:
        told = shaping.device(answer)
    except ProviderRefused:
        return
    assert told.uri.startswith(("https://", "http://"))
