"""Which hosts a pattern lets through, and which patterns can be written down."""

import pytest

from freehold.core.errors import Invalid
from freehold.gateway.egress.hosts_granted import MOST, checked, is_granted, not_granted
from freehold.gateway.outward.hosts import place_of


@pytest.mark.parametrize(
    ("pattern", "place", "granted"),
    [
        ("packs.example", "packs.example:443", True),
        ("packs.example", "packs.example:80", True),
        ("Packs.Example.", "packs.EXAMPLE:443", True),
        ("packs.example", "packs.example.:443", True),
        ("packs.example", "packs.example:8443", False),
        ("packs.example", "files.packs.example:443", False),
        ("packs.example", "evilpacks.example:443", False),
        ("packs.example", "packs.example.evil.example:443", False),
        ("packs.example:8443", "packs.example:8443", True),
        ("packs.example:8443", "packs.example:443", False),
        ("packs.example:443", "packs.example:443", True),
        ("packs.example:443", "packs.example:80", False),
        ("*.files.example.org", "a.files.example.org:443", True),
        ("*.files.example.org", "a.b.files.example.org:443", True),
        ("*.files.example.org", "files.example.org:443", False),
        ("*.files.example.org", "xfiles.example.org:443", False),
        ("*.example.org:8080", "a.example.org:8080", True),
        ("*.example.org:8080", "a.example.org:443", False),
        ("93.184.215.14", "93.184.215.14:443", True),
        ("93.184.215.14", "93.184.215.15:443", False),
        ("[2606:2800::1]", "[2606:2800:0::1]:443", True),
        ("[2606:2800::1]:22", "[2606:2800::1]:22", True),
        ("bücher.example", "xn--bcher-kva.example:443", True),
    ],
)
def test_a_pattern_lets_through_what_it_says_and_nothing_else(pattern: str, place: str, *, granted: bool) -> None:
    assert is_granted(checked([pattern]), place_of(place)) is granted


@pytest.mark.parametrize(
    "pattern",
    [
        "", "*", "*.", "*.com", "*.*.example.org", "a.*.org", "*example.org", "https://packs.example",
        "packs.example/simple",
        "packs.example:", "packs.example:0", "packs.example:99999", "packs.example:*",
        "user@packs.example", "*.10.0.0.1", "*.[::1]", "127.1",
        "0x7f000001", "packs .example", "packs.example\n", "[::1", "::1", "*.:443", "[fe80::1%eth0]",
    ],
)  # fmt: skip
def test_what_is_no_host_cannot_be_granted(pattern: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked([pattern])
    assert refused.value.code == "bad_egress"


def test_what_is_said_twice_is_kept_once_and_there_is_an_end() -> None:
    assert checked(["packs.example", "PACKS.example.", "*.Example.org"]) == ("packs.example", "*.example.org")
    with pytest.raises(Invalid):
        checked(f"h{number}.example.org" for number in range(MOST + 1))


def test_what_a_refusal_says_to_grant_would_let_it_through() -> None:
    for place in (
        "packs.example:443",
        "packs.example:80",
        "packs.example:8443",
        "[2606:2800::1]:443",
        "[2606:2800::1]:22",
    ):
        stated = not_granted(place_of(place)).remedy.rpartition(" ")[2]
        assert is_granted(checked([stated]), place_of(place))
