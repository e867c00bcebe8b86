"""How often one may ask, on a clock that is wound by hand."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import Exhausted, Invalid
from freehold.settings import Settings
from freehold.testing.clock import FakeClock
from freehold.web.rates import BURST_SECONDS, Limit, Rates, address_of, customer, networks, rates_of


def taken(limit: Limit, asker: str = "a", *, tries: int = 10_000) -> int:
    """Return how many `asker` gets before the first refusal."""
    for n in range(tries):
        try:
            limit.take(asker)
        except Exhausted:
            return n
    return tries


def rates(clock: FakeClock | None = None, **stated: int) -> Rates:
    return rates_of(Settings(**stated), clock or FakeClock())  # type: ignore[arg-type]


def test_a_burst_is_ten_seconds_worth_and_comes_back_with_time() -> None:
    clock = FakeClock()
    limit = Limit(20, clock)
    assert taken(limit) == 200
    clock.wind(1)
    assert taken(limit) == 20
    clock.wind(3600)
    assert taken(limit) == 200


def test_a_refusal_says_when_to_come_back_and_costs_nothing() -> None:
    clock = FakeClock()
    limit = Limit(1, clock)
    assert taken(limit) == BURST_SECONDS
    for _ in range(100):
        with pytest.raises(Exhausted) as refused:
            limit.take("a")
        assert (refused.value.status, refused.value.code, refused.value.after) == (429, "too_many_requests", 1)
    clock.wind(1)
    limit.take("a")


def test_each_asker_has_their_own_share() -> None:
    limit = Limit(5, FakeClock())
    assert taken(limit, "noisy") == 50
    assert taken(limit, "quiet") == 50


def test_nought_is_no_limit() -> None:
    limit = Limit(0, FakeClock())
    assert taken(limit) == 10_000
    limit.check("a")


def test_memory_is_bounded_and_whoever_asks_stays_in_it() -> None:
    limit = Limit(1, FakeClock(), remembered=10)
    assert taken(limit, "noisy") == BURST_SECONDS
    for n in range(9):
        limit.take(f"other{n}")
    assert len(limit) == 10
    with pytest.raises(Exhausted):
        limit.take("noisy")
    for n in range(1000):
        limit.take(f"more{n}")
    assert len(limit) == 10


@given(st.integers(1, 500), st.lists(st.integers(0, 3_000), max_size=300))
def test_in_any_span_nobody_gets_more_than_the_burst_and_the_rate(rate: int, pauses: list[int]) -> None:
    clock = FakeClock()
    limit, got, spent = Limit(rate, clock), 0, 0
    for milliseconds in pauses:
        clock.wind(milliseconds / 1000)
        spent += milliseconds
        got += taken(limit, tries=50)
    assert got <= rate * BURST_SECONDS + rate * spent / 1000 + 1


def test_threads_get_no_more_together_than_one_alone() -> None:
    limit, got = Limit(20, FakeClock()), list[int]()
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        got.append(sum(1 for _ in range(100) if _one(limit)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) == 200


def _one(limit: Limit) -> bool:
    try:
        limit.take("a")
    except Exhausted:
        return False
    return True


def test_whoever_guesses_at_keys_uses_up_their_address_and_harms_no_good_key() -> None:
    rated = rates(rate_address=2)
    rated.show("good", "192.0.2.1")
    rated.known("good", None)
    for n in range(20):
        rated.show(f"wrong{n}", "192.0.2.1")
        rated.address.take("192.0.2.1")  # what the gate does once a secret turns out to be none
    with pytest.raises(Exhausted):
        rated.show("wrong", "192.0.2.1")
    rated.show("good", "192.0.2.1")
    rated.show("other", "192.0.2.2")


def test_many_wrong_keys_push_no_good_one_out_of_memory() -> None:
    rated = rates(rate_address=0)
    rated.show("good", "192.0.2.1")
    rated.known("good", "per_1")
    for n in range(20_000):
        rated.show(f"wrong{n}", "192.0.2.1")
    assert "good" in rated.caller


def test_one_person_with_many_sessions_is_one_caller() -> None:
    rated = rates(rate_caller=1)
    for n in range(BURST_SECONDS):
        rated.show(f"session{n}", "192.0.2.1")
        rated.known(f"session{n}", "per_1")
    rated.show("another", "192.0.2.1")
    with pytest.raises(Exhausted):
        rated.known("another", "per_1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "found"),
    [
        ("192.0.2.1", "", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1", "10.0.0.0/8", "192.0.2.1"),
        ("127.0.0.1", "198.51.100.1", "127.0.0.1", "198.51.100.1"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.1", "127.0.0.1", "198.51.100.1"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.1, 10.1.2.3", "127.0.0.1, 10.0.0.0/8", "198.51.100.1"),
        ("127.0.0.1", "", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "10.1.1.1", "127.0.0.1,10.0.0.0/8", "10.1.1.1"),
        ("127.0.0.1", "nonsense", "127.0.0.1", "unknown"),
        ("::ffff:192.0.2.1", "", "", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "", "", "2001:db8:1:2::"),
        ("::1", "2001:db8:1:2:ffff::1", "::1", "2001:db8:1:2::"),
        ("fe80::1%eth0", "", "", "fe80::"),
        ("", "", "", "unknown"),
    ],
)
def test_who_asks_is_the_last_one_no_proxy_of_ours_vouches_for(
    peer: str, forwarded: str, proxies: str, found: str
) -> None:
    assert customer(address_of(peer, forwarded, networks(proxies))) == found


def test_a_proxy_that_is_no_address_is_told_at_the_start() -> None:
    with pytest.raises(Invalid) as refused:
        networks("10.0.0.0/99")
    assert "FREEHOLD_PROXIES" in str(refused.value)
