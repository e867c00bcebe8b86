"""What comes back holds no credential, however it is cut, packed or spelt, and leads to nowhere by itself."""

import gzip
import itertools
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import Exhausted, Unavailable
from freehold.gateway.ports import Credential
from freehold.gateway.requesting.answers import headers, location
from freehold.gateway.requesting.injecting import blotted
from freehold.gateway.requesting.scrubbing import BLOT, Blot
from freehold.gateway.requesting.unpacking import PIECE, Unpacked
from tests.canaries import Finder, planted, repeated

SECRET = "sk-ab/ab+abab7f"


def passed(data: bytes, cuts: list[int], *secrets: str) -> bytes:
    blot, found = Blot(*map(Credential, secrets or (SECRET,))), b""
    ends = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    for begin, end in itertools.pairwise(ends):
        found += blot.feed(data[begin:end])
    return found + blot.end()


@given(
    st.lists(st.sampled_from([b"a", b"sk", b"sk-ab", b"sk-ab/ab", SECRET.encode(), b"\xff"])),
    st.lists(st.integers(0, 90)),
)
def test_pieces_come_to_the_same_as_the_whole(words: list[bytes], cuts: list[int]) -> None:
    data = b"".join(words)
    assert passed(data, cuts) == data.replace(SECRET.encode(), BLOT)


@pytest.mark.parametrize("number", range(len(repeated(SECRET))))
def test_every_usual_spelling_is_found_at_every_cut(number: int) -> None:
    secret = planted("egress")
    data = f"you sent {repeated(secret)[number]}!".encode()
    for at in range(len(data)):
        assert Finder().found("told", passed(data, [at], secret)) == []
    assert Finder().found("told", passed(data, list(range(len(data))), secret)) == []


@pytest.mark.parametrize("spelt", ["sk-ab%2fab%2babab7f", "sk-ab\\/ab+abab7f", "sk-&lt;&amp;&#x27;secret"])
def test_spellings_of_other_frameworks_are_found_too(spelt: str) -> None:
    assert BLOT in passed(f"<p>{spelt}</p>".encode(), [], SECRET, "sk-<&'secret")


def test_no_more_is_held_back_than_could_be_the_beginning() -> None:
    blot = Blot(Credential(SECRET))
    assert blot.feed(b"hello\n") == b"hello\n"
    assert blot.feed(b"hello sk-") == b"hello "
    assert blot.feed(b"no") == b"sk-no"


def test_without_a_credential_bytes_are_passed_as_they_are() -> None:
    piece = b"sk-"
    assert Blot().feed(piece) is piece
    assert Blot(Credential()).feed(piece) is piece


def test_a_password_is_found_without_its_user() -> None:
    basic = blotted({"inject": "basic"}, Credential("ada:correct-horse"))
    assert Blot(*basic).whole("wrong password correct-horse") == "wrong password [secret]"


@pytest.mark.parametrize("secret", ["sk_live_0123456789:", "sk_live_0123456789:api_token"])
def test_a_key_that_stands_for_the_user_is_found_without_its_password(secret: str) -> None:
    basic = blotted({"inject": "basic"}, Credential(secret))
    assert Blot(*basic).whole("no such key: sk_live_0123456789") == "no such key: [secret]"


def test_who_has_a_password_of_some_length_is_no_secret() -> None:
    basic = blotted({"inject": "basic"}, Credential("ada@example.org:token-0123456789"))
    assert Blot(*basic).whole("owner: ada@example.org") == "owner: ada@example.org"


PACKS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "Gzip ": gzip.compress,
}


def raw_deflate(data: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(data) + packing.flush()


@pytest.mark.parametrize("encoding", [*PACKS, "raw"])
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_what_is_packed_is_unpacked_wherever_it_is_cut(encoding: str, size: int) -> None:
    data = bytes(range(256)) * 40
    packed = raw_deflate(data) if encoding == "raw" else PACKS[encoding](data)
    unpacked = Unpacked("deflate" if encoding == "raw" else encoding, 1 << 20)
    found = b"".join(unpacked.feed(packed[at : at + size]) for at in range(0, len(packed), size))
    unpacked.end()
    assert found == data


def test_one_packet_may_follow_the_other() -> None:
    assert Unpacked("gzip", 100).feed(gzip.compress(b"one") + gzip.compress(b"two")) == b"onetwo"


def test_a_bomb_is_cut_or_refused_before_it_fills_the_memory() -> None:
    bomb = gzip.compress(b"0" * (50 << 20))
    with pytest.raises(Exhausted) as refused:
        Unpacked("gzip", 1000).feed(bomb)
    assert refused.value.code == "too_much"
    cut = Unpacked("gzip", 1000, cut=True)
    assert (cut.feed(bomb), cut.full) == (b"0" * 1000, True)


def test_a_bomb_of_empty_packets_ends() -> None:
    assert Unpacked("gzip", 1000).feed(gzip.compress(b"") * 1000) == b""


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip;q=1", "unheard"])
def test_what_cannot_be_looked_into_is_not_passed_on(encoding: str) -> None:
    with pytest.raises(Unavailable) as refused:
        Unpacked(encoding, 100)
    assert refused.value.code == "unreadable_answer"


@pytest.mark.parametrize("data", [b"no gzip at all", gzip.compress(b"x" * 100)[:10] + b"\xff" * 50], ids=["no", "half"])
def test_what_is_not_packed_as_it_says_is_not_passed_on(data: bytes) -> None:
    with pytest.raises(Unavailable):
        Unpacked("gzip", 1000).feed(data)


def test_half_a_packet_is_noticed_at_its_end() -> None:
    unpacked = Unpacked("gzip", 1000)
    unpacked.feed(gzip.compress(b"hello")[:-4])
    with pytest.raises(Unavailable):
        unpacked.end()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("https://api.example.com/v2/items/6?a=1#b", "/egress/api/items/6?a=1#b"),
        ("/v2/items/6", "/egress/api/items/6"),
        ("//api.example.com/v2/x", "/egress/api/x"),
        ("https://api.example.com/v2", "/egress/api"),
        ("../items/6", "../items/6"),
        ("https://api.example.com/v1/items/6", "https://api.example.com/v1/items/6"),
        ("https://api.example.com/v20/items", "https://api.example.com/v20/items"),
        ("http://api.example.com/v2/items", "http://api.example.com/v2/items"),
        ("https://api.example.com:444/v2/items", "https://api.example.com:444/v2/items"),
        ("https://api.example.com.evil.example/v2/x", "https://api.example.com.evil.example/v2/x"),
        ("https://u@api.example.com/v2/x", "https://u@api.example.com/v2/x"),
        ("http://169.254.169.254/latest", "http://169.254.169.254/latest"),
        ("https://[bad", "https://[bad"),
        ("", ""),
    ],
)
def test_a_redirect_stays_below_the_connection_or_goes_without_it(value: str, told: str) -> None:
    assert location("https://api.example.com/v2", value, "/egress/api") == told


def test_headers_are_told_without_cookies_the_way_and_the_credential() -> None:
    said = {
        "content-type": "text/plain", "set-cookie": "s=1", "connection": "close", "transfer-encoding": "chunked",
        "content-length": "5", "content-encoding": "gzip", "alt-svc": "h3", "x-echo": f"Bearer {SECRET}", SECRET: "name",
        "location": f"https://api.example.com/v2/x?api_key={SECRET}", "etag": '"1"',
    }  # fmt: skip
    told = headers(said, Blot(Credential(SECRET)), base="https://api.example.com/v2", prefix="/egress/api")
    assert told == {
        "content-type": "text/plain",
        "x-echo": "Bearer [secret]",
        "[secret]": "name",
        "location": "/egress/api/x?api_key=[secret]",
        "etag": '"1"',
    }


def test_what_was_packed_comes_in_small_pieces_however_much_it_is() -> None:
    packed = gzip.compress(bytes(20 << 20))
    pieces = list(Unpacked("gzip", 1 << 30).pieces(packed))
    assert (sum(map(len, pieces)), max(map(len, pieces))) == (20 << 20, PIECE)
