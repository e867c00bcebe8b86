"""One person, one address, however it is typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import Invalid
from freehold.tenants.addresses import mask, normal


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("ada@example.com", "ada@example.com"),
        ("  Ada@Example.COM\n", "ada@example.com"),
        ("\uff21\uff24\uff21@example.com", "ada@example.com"),
        ("ada@\uff45xample\uff0ecom", "ada@example.com"),
        ("ada@example\u3002com", "ada@example.com"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
        ("ada+tag@example.com", "ada+tag@example.com"),
        ("JOSÉ@example.com", "josé@example.com"),
        ("jose\u0301@example.com", "josé@example.com"),
        ("root@localhost", "root@localhost"),
    ],
)
def test_one_mailbox_has_one_spelling(typed: str, kept: str) -> None:
    assert normal(typed) == kept


def test_letters_that_only_look_alike_stay_apart() -> None:
    assert normal("аda@example.com") != normal("ada@example.com")  # noqa: RUF001 - a Cyrillic letter is the point


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@@example.com",
        "ada@one.example@two.example",
        "ada\uff20one.example@two.example",
        "ada@example.com\r\nBcc: eve@example.com",
        "ada\n@example.com",
        "ada\0@example.com",
        "ada\u200b@example.com",
        "ada eve@example.com",
        "ada@example.com,eve@example.com",
        "Ada <ada@example.com>",
        '"ada"@example.com',
        ".ada@example.com",
        "ada..b@example.com",
        "ada@-example.com/",
        "ada@example..com",
        "ada@[127.0.0.1]",
        "ada@xn--zz--.example",
        "a" * 65 + "@example.com",
        "ada@" + "a" * 64 + ".com",
        "ada@" + "a.example" * 40,
        "é" * 60 + "@" + "a" * 60 + "." + "b" * 60 + "." + "c" * 60,
        "x" * 100_000 + "@example.com",
    ],
)
def test_what_is_no_address_of_one_mailbox_is_refused(typed: str) -> None:
    with pytest.raises(Invalid) as refused:
        normal(typed)
    assert refused.value.code == "bad_email"


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_spelling_that_is_kept_is_kept_as_it_is_and_breaks_no_header(local: str, domain: str) -> None:
    try:
        kept = normal(f"{local}@{domain}")
    except Invalid:
        return
    assert normal(kept) == kept
    assert kept.count("@") == 1
    assert kept.isprintable()
    assert kept.rpartition("@")[2].isascii()


def test_a_log_is_told_hardly_more_than_the_domain() -> None:
    assert mask("ada@example.com") == "a…@example.com"
    assert mask("nonsense") == "…"
