"""Events are cut where they end, whatever ends their lines and wherever the network cut them."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import Unavailable
from freehold.gateway.calls import sse

STREAM = (
    b'\xef\xbb\xbfdata: {"n":1}\n\n: ping\n\nevent: x\ndata: a\ndata:b\n\n\ndata: {"n":2}\n\n'
    b'id: 7\r\ndata: {"n":3}\r\n\r\ndata: 4\r\rdata\n\ndata:\n\nretry: 5\n\ndata: [DONE]\n\n'
)
DATA = [b'{"n":1}', b"a\nb", b'{"n":2}', b'{"n":3}', b"4", b"[DONE]"]


def cut(pieces: list[bytes]) -> tuple[bytes, list[bytes]]:
    events = sse.Events()
    found = [event for piece in pieces for event in events.feed(piece)] + events.end()
    return b"".join(event.raw for event in found), [event.data for event in found if event.data]


@pytest.mark.parametrize("at", range(len(STREAM) + 1))
def test_a_cut_anywhere_changes_nothing(at: int) -> None:
    assert cut([STREAM[:at], STREAM[at:]]) == (STREAM, DATA)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_every_byte_by_itself_changes_nothing(ending: bytes) -> None:
    stream = STREAM.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", ending)
    raw, data = cut([stream[at : at + 1] for at in range(len(stream))])
    assert (raw, data) == (stream, DATA)


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=12))
def test_many_cuts_change_nothing(places: list[int]) -> None:
    cuts = [0, *sorted(places), len(STREAM)]
    assert cut([STREAM[start:end] for start, end in itertools.pairwise(cuts)]) == (STREAM, DATA)


def test_an_event_leaves_as_soon_as_it_is_whole() -> None:
    events = sse.Events()
    assert [len(events.feed(piece)) for piece in (b"data: a\n", b"\n", b"data: b\n\nda", b"ta: c\r\n\r", b"\n")] == [
        0,
        1,
        1,
        1,
        0,
    ]


@pytest.mark.parametrize(("rest", "raw"), [(b"data: x", b"data: x\n\n"), (b"data: x\n", b"data: x\n\n")])
def test_a_last_event_without_its_blank_line_counts(rest: bytes, raw: bytes) -> None:
    assert cut([rest]) == (raw, [b"x"])


def test_a_rest_that_carries_nothing_is_dropped() -> None:
    assert cut([b"data: a\n\n: still here"]) == (b"data: a\n\n", [b"a"])


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 1_000)
    with pytest.raises(Unavailable) as caught:
        cut([b"data: " + b"x" * 600, b"x" * 600])
    assert caught.value.code == "provider_malformed"


def test_an_event_in_a_great_many_pieces_costs_no_more_than_its_length() -> None:
    events, began = sse.Events(), time.process_time()
    for _ in range(16_384):
        events.feed(b"x" * 512)
    assert len(events.feed(b"\n\n")) == 1
    assert time.process_time() - began < 5
