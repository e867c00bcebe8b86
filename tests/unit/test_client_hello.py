"""What a tunnel's first words are read as: the server that TLS asks for, in whatever pieces it comes."""

import ssl

import pytest

from freehold.core.errors import Denied
from freehold.gateway.egress.gate import Gate
from freehold.gateway.egress.hello import MOST, Hello, NotTls
from freehold.gateway.outward.hosts import place_of


def hello(name: str | None = "files.example.org", *, alpn: int = 0) -> bytes:
    """Return what a real client says first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols([f"{'p' * 200}{number}" for number in range(alpn)])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def in_records(said: bytes, size: int) -> bytes:
    """Return the same hello in records of `size` bytes."""
    content = said[5:]
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    return b"".join(said[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)


def read(said: bytes, step: int = 0) -> Hello:
    found = Hello()
    for at in range(0, len(said), step or len(said)):
        found.feed(said[at : at + (step or len(said))])
    return found


@pytest.mark.parametrize("step", [0, 1, 2, 5, 6, 99])
@pytest.mark.parametrize("size", [1 << 14, 1, 3, 4, 5, 100])
def test_the_name_is_found_however_the_hello_is_cut(step: int, size: int) -> None:
    found = read(in_records(hello(), size), step)
    assert (found.done, found.name) == (True, "files.example.org")


def test_a_hello_that_is_not_whole_says_nothing_yet() -> None:
    whole = hello()
    assert not any(read(whole[:end]).done for end in range(1, len(whole)))


def test_a_hello_without_a_name_has_none() -> None:
    assert read(hello(None)).name is None


def test_a_large_hello_is_read_and_a_larger_one_is_none() -> None:
    assert read(hello(alpn=60)).name == "files.example.org"
    endless = in_records(hello()[:6] + (MOST - 10).to_bytes(3, "big") + bytes(MOST), 1 << 10)
    with pytest.raises(NotTls):
        read(endless, 100)


def _twice() -> bytes:
    one = hello("a.example.org")
    name = b"\x00\x00\x00\x12\x00\x10\x00\x00\x0da.example.org"
    assert name in one
    return one.replace(name, name * 2)


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\n\r\n",
        b"\x80\x2e\x01\x03\x01",  # as SSL 2 began
        b"\x17\x03\x03\x00\x01x",
        b"\x16\x02\x00\x00\x01\x01",
        b"\x16\x03\x01\x00\x00\x16\x03\x01",
        b"\x16\x03\x01\x40\x01" + bytes(10),
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
        b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
        in_records(hello(), 50)[:55] + b"\x17",
        _twice(),
    ],
    ids=range(12),
)
def test_what_is_no_hello_is_noticed(said: bytes) -> None:
    with pytest.raises(NotTls):
        read(said)


def test_whatever_byte_is_changed_it_is_a_hello_or_none() -> None:
    whole = hello()
    for place in range(len(whole)):
        for value in (0, 255, whole[place] ^ 1):
            try:
                read(whole[:place] + bytes([value]) + whole[place + 1 :], 700)
            except NotTls:
                continue


def test_nothing_passes_the_gate_before_the_hello_names_the_host() -> None:
    whole, gate = hello(), Gate(place_of("files.example.org:443"))
    assert [gate.through(whole[at : at + 1]) for at in range(len(whole) - 1)] == [b""] * (len(whole) - 1)
    assert gate.through(whole[-1:] + b"more") == whole + b"more"
    assert gate.open


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("files.example.org:443", hello("other.example.org")),
        ("files.example.org:443", hello("example.org")),
        ("files.example.org:443", hello("files.example.org.evil.example")),
        ("files.example.org:443", hello(None)),
        ("files.example.org:443", b"GET / HTTP/1.1\r\nHost: files.example.org\r\n\r\n"),
        ("files.example.org:443", b"CONNECT files.example.org:443 HTTP/1.1\r\n\r\n"),
        ("files.example.org:443", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("files.example.org:8443", hello("other.example.org")),
        ("files.example.org:8443", in_records(hello("other.example.org", alpn=200), 1 << 14)),
        ("files.example.org:8080", b"CONNECT other.example.org:443 HTTP/1.1\r\n\r\n"),
        ("93.184.215.14:443", hello("other.example.org")),
    ],
    ids=range(11),
)
def test_what_asks_for_something_else_never_leaves(place: str, said: bytes) -> None:
    for step in (len(said), 1, 7):
        with pytest.raises(Denied):
            _all_kept_back(Gate(place_of(place)), [said[at : at + step] for at in range(0, len(said), step)])


def _all_kept_back(gate: Gate, pieces: list[bytes]) -> None:
    for piece in pieces:
        assert gate.through(piece) == b""


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("FILES.example.org.:443", hello("files.example.org")),
        ("93.184.215.14:443", hello(None)),
        ("files.example.org:22", b"SSH-2.0-test\r\n"),
        ("files.example.org:80", b"CONTINUE"),
        ("files.example.org:8443", hello("files.example.org")),
        ("files.example.org:9000", b"\x16not TLS at all"),
    ],
    ids=range(6),
)
def test_what_was_to_be_expected_passes_whole(place: str, said: bytes) -> None:
    for step in (len(said), 1, 7):
        gate = Gate(place_of(place))
        passed = b"".join(gate.through(said[at : at + step]) for at in range(0, len(said), step) if not gate.open)
        assert gate.open
        assert said.startswith(passed)


def test_a_program_that_hangs_up_before_its_hello_is_whole_has_said_nothing() -> None:
    gate = Gate(place_of("files.example.org:443"))
    gate.through(hello()[:40])
    with pytest.raises(Denied):
        gate.end()
    assert Gate(place_of("files.example.org:443")).end() == b""
