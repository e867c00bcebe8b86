"""Webhooks are signed and verified as Standard Webhooks says, by the clock that was handed in."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from freehold.core.errors import Denied, Invalid
from freehold.drivers.connector.webhook import Webhook, message_id, signed, verifier
from freehold.gateway.ports import Credential
from freehold.testing.clock import FakeClock
from tests.dialling import client

SECRET = Credential("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
# The published example: this secret, id, time and body give this signature.
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def verify(headers: dict[str, str], body: bytes = BODY, *, later: float = 0, secret: Credential = SECRET) -> None:
    clock = FakeClock(AT)
    clock.wind(later)
    verifier(clock.now)(secret, headers, body)


def test_the_published_example_signs_and_verifies() -> None:
    assert signed(SECRET, id=HEADERS["webhook-id"], at=AT, body=BODY) == HEADERS
    verify(HEADERS)
    verify({name.title(): value for name, value in HEADERS.items()})


def test_one_right_signature_among_several_is_enough() -> None:
    several = f"v1,{base64.b64encode(bytes(32)).decode()} v2,x {HEADERS['webhook-signature']}"
    verify(HEADERS | {"webhook-signature": several})


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": "1614265331"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "9" * 40},
        {"webhook-timestamp": "١٦"},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": ""},
        {"webhook-signature": HEADERS["webhook-signature"].removeprefix("v1,")},
        {"webhook-signature": "v1,é"},
        {"webhook-id": ""},
    ],
)
def test_what_is_not_signed_like_this_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(Denied) as caught:
        verify(HEADERS | changed)
    assert (caught.value.code, caught.value.status) == ("bad_signature", 401)


def test_another_body_is_refused() -> None:
    with pytest.raises(Denied):
        verify(HEADERS, BODY + b" ")


@pytest.mark.parametrize("seconds", [299, -299])
def test_five_minutes_are_tolerated(seconds: float) -> None:
    verify(HEADERS, later=seconds)


@pytest.mark.parametrize("seconds", [302, -302, 1e6])
def test_more_is_not(seconds: float) -> None:
    with pytest.raises(Denied):
        verify(HEADERS, later=seconds)


@pytest.mark.parametrize(
    ("value", "code"), [("", "blank_secret"), ("  ", "blank_secret"), ("whsec_", "bad_webhook_secret"), ("plain text", "bad_webhook_secret")]
)  # fmt: skip
def test_a_secret_that_protects_nothing_is_refused(value: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        Webhook(client(), FakeClock()).check({"url": "https://a.example/hook"}, Credential(value))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "config", [{}, {"url": "ftp://a/b"}, {"url": "https://u:p@a/b"}, {"url": "https://"}, {"url": 1}, {"url": "https://a", "x": 1}]
)  # fmt: skip
def test_an_address_that_cannot_be_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        Webhook(client(), FakeClock()).check(config, SECRET)


def test_every_attempt_has_the_same_message_id() -> None:
    assert message_id("run/1/1/1") == message_id("run/1/1/1") != message_id("run/1/1/2")
