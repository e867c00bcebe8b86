"""Frames from a server: what is no credential goes on as it is, what is one does not, however it is cut."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import Denied
from freehold.gateway.egress.frames import AT_ONCE, MOST_HELD, Frames
from freehold.gateway.ports import Credential

SECRET = "tok-canary-5d1f0c9a7e2b"


def frame(payload: bytes, opcode: int = 1, *, fin: bool = True) -> bytes:
    """Return a frame as a server sends it."""
    first = bytes([(0x80 if fin else 0) | opcode])
    if len(payload) < 126:
        return first + bytes([len(payload)]) + payload
    size, mark = (2, 126) if len(payload) < 1 << 16 else (8, 127)
    return first + bytes([mark]) + len(payload).to_bytes(size, "big") + payload


def fed(said: bytes, step: int = 0, secret: str = SECRET) -> bytes:
    frames = Frames([Credential(secret)])
    step = step or len(said)
    return b"".join(frames.feed(said[at : at + step]) for at in range(0, len(said), step))


@pytest.mark.parametrize("step", [0, 1, 2, 7, 100])
def test_a_credential_is_blotted_out_and_lengths_stay(step: int) -> None:
    said = frame(b"before " + SECRET.encode() + b" after") + frame(b"x" * 200) + frame(SECRET.encode() * 300, 2)
    heard = fed(said, step)
    assert len(heard) == len(said)
    assert SECRET.encode() not in heard
    assert heard.startswith(frame(b"before " + b"*" * len(SECRET) + b" after"))


@pytest.mark.parametrize("cut", range(1, len(SECRET)))
def test_a_credential_in_two_frames_of_a_message_is_found(cut: int) -> None:
    one, two = SECRET[:cut].encode(), SECRET[cut:].encode()
    between = frame(b"are you there", 9)
    for middle in (b"", between, frame(b"", 0, fin=False)):
        said = frame(b"a" + one, fin=False) + middle + frame(two + b"z", 0)
        for step in (0, 1, 3):
            heard = fed(said, step)
            stars = [b"*" * len(one), b"*" * len(two)]
            assert heard == frame(b"a" + stars[0], fin=False) + middle + frame(stars[1] + b"z", 0)


def test_what_a_message_ends_with_does_not_wait_for_the_next() -> None:
    said = frame(b"tok-")
    assert fed(said) == said
    frames = Frames([Credential(SECRET)])
    assert frames.feed(frame(b"hello tok-", fin=False)) == frame(b"hello tok-", fin=False)[:-4]
    assert frames.feed(frame(b"en", 0)) == b"tok-" + frame(b"en", 0)


def test_a_credential_in_a_ping_or_a_close_is_blotted_too() -> None:
    for opcode in (8, 9, 10):
        assert SECRET.encode() not in fed(frame(b"\x03\xe8" + SECRET.encode(), opcode), 1)


@pytest.mark.parametrize(
    "said",
    [
        b"\xc1\x01x",  # compressed
        b"\xa1\x01x",
        b"\x81\x81aaaax",  # masked
        b"\x09\x01x",  # a control frame in pieces
        b"\x89\x7e\x00\x80",
    ],
    ids=range(5),
)
def test_what_was_not_agreed_upon_is_refused(said: bytes) -> None:
    with pytest.raises(Denied):
        fed(said)


@given(
    st.lists(st.tuples(st.binary(max_size=300), st.sampled_from([1, 2, 9, 10])), max_size=8),
    st.integers(min_value=1, max_value=64),
)
def test_frames_without_a_credential_arrive_as_they_were(messages: list[tuple[bytes, int]], step: int) -> None:
    said = b"".join(frame(payload[: 125 if opcode > 8 else 300], opcode) for payload, opcode in messages)
    assert fed(said, step, "\x01secret-that-never-comes\x02") == said


@given(st.lists(st.binary(max_size=6), max_size=12), st.integers(min_value=1, max_value=9))
def test_a_credential_never_comes_through(pieces: list[bytes], step: int) -> None:
    payload = b"".join(piece + b"abcdefgh" for piece in pieces)
    cuts = [payload[at : at + 3] for at in range(0, len(payload), 3)] or [b""]
    said = frame(cuts[0], 2, fin=len(cuts) == 1)
    said += b"".join(frame(cut, 0, fin=at == len(cuts) - 2) for at, cut in enumerate(cuts[1:]))
    heard = fed(said, step, "abcdefgh")
    assert b"abcdefgh" not in _payload(heard)
    assert len(heard) == len(said)


def _payload(said: bytes) -> bytes:
    found, at = b"", 0
    while at < len(said):
        found += said[at + 2 : at + 2 + said[at + 1]]
        at += 2 + said[at + 1]
    return found


def test_a_message_that_never_ends_is_not_waited_for_for_ever() -> None:
    frames = Frames([Credential(SECRET)])
    frames.feed(frame(SECRET[:1].encode(), fin=False))
    with pytest.raises(Denied) as caught:
        b"".join(map(frames.feed, [frame(b"x" * 100, 9)] * MOST_HELD))
    assert caught.value.code == "bad_frame"


def test_no_more_frames_are_looked_at_in_one_go_than_others_can_wait_for() -> None:
    frames, said = Frames([Credential(SECRET)]), frame(b"") * (2 * AT_ONCE) + frame(SECRET.encode())
    heard = frames.feed(said)
    assert (len(heard), frames.more) == (2 * AT_ONCE, True)
    while frames.more:
        heard += frames.feed(b"")
    assert heard == said.replace(SECRET.encode(), b"*" * len(SECRET))


def test_a_credential_in_frames_of_one_byte_is_found_among_other_frames() -> None:
    said = b"".join(frame(bytes([byte]), fin=False) + frame(b"", 9) for byte in b"a" + SECRET.encode() + b"z")
    for step in (0, 3, 50):
        heard = fed(said + frame(b"", 0), step)
        assert heard[2::5][: len(SECRET) + 2] == b"a" + b"*" * len(SECRET) + b"z"
        assert (len(heard), heard[0::5]) == (len(said) + 2, (said + frame(b"", 0))[0::5])


def test_a_long_credential_that_nearly_stands_there_costs_no_more_than_it_is_long() -> None:
    secret, began = "a" * 4_000 + "b", time.process_time()
    frames = Frames([Credential(secret)])
    frames.feed(frame(b"a" * 3_999, fin=False) + frame(b"a", 0, fin=False) * 900)
    assert time.process_time() - began < 1
