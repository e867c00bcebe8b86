"""
How often somebody may ask: per address, per key or session, per person, per tenant.

Each limit is a steady rate with room for a burst (GCRA): per asker one number is kept, the moment at which all that was
taken so far would have been due. It is counted in memory, so each web process counts alone and a restart forgets.
What is counted is a hash of the secret that was shown, before the database is asked: a flood with one key costs no
query, and nobody can use up the share of another whose secret they do not know.
"""

import functools
import ipaddress
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, final

from freehold.core.clock import Clock
from freehold.core.errors import Exhausted, Invalid
from freehold.core.tenants import Caller
from freehold.settings import Settings

SECOND: Final = 1_000_000_000
BURST_SECONDS: Final = 10
"""How many seconds' worth may come at once."""
REMEMBERED: Final = 16_384
"""Askers that each limit keeps in mind; beyond, the one that was quiet for longest begins afresh."""
OPERATOR: Final = "operator-key"
"""The way of the one who runs the machine: whoever holds its key file can do worse than ask often."""
HOME: Final = 64
"""Bits of an IPv6 address that belong to one customer: they have all the addresses behind them."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@final
class Limit:
    """One rate, counted for each asker apart; safe between threads."""

    def __init__(self, rate: int, clock: Clock, *, remembered: int = REMEMBERED) -> None:
        """Allow `rate` a second to each, and ten seconds' worth at once; 0 allows any."""
        self._clock, self._remembered = clock, remembered
        self._step = SECOND // rate if rate else 0
        self._room = self._step * (rate * BURST_SECONDS - 1)
        self._due: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, asker: str) -> bool:
        """Return whether `asker` is remembered."""
        return asker in self._due

    def __len__(self) -> int:
        """Return how many askers are remembered."""
        return len(self._due)

    def check(self, asker: str) -> None:
        """Raise `Exhausted` (`too_many_requests`) if `asker` has nothing left; take nothing."""
        ahead = self._due.get(asker, 0) - self._clock.ticks() - self._room
        if ahead > 0:
            raise _too_many(ahead)

    def take(self, asker: str) -> None:
        """Take one from what `asker` has left; raise `Exhausted` (`too_many_requests`) if there is none."""
        now = self._clock.ticks()
        with self._lock:
            due = max(self._due.get(asker, now), now)
            ahead = due - now - self._room
            if ahead <= 0:
                self._due[asker] = due + self._step
                self._due.move_to_end(asker)
                if len(self._due) > self._remembered:
                    self._due.popitem(last=False)
        if ahead > 0:
            raise _too_many(ahead)


@dataclass(frozen=True, slots=True)
class Rates:
    """The limits of one web process."""

    address: Limit
    """Of what shows no valid key or session."""
    stranger: Limit
    """Of secrets that were never found valid: apart, so that they push no good one out of memory."""
    caller: Limit
    """Of keys and sessions that were found valid, and of persons."""
    tenant: Limit

    def show(self, secret: str, address: str) -> None:
        """Count a request that shows a secret with this hash (none: empty), before anybody looks whether it is valid."""
        if secret in self.caller:
            self.caller.take(secret)
            return
        self.address.check(address)  # whoever guesses has used it up by their wrong guesses
        if secret:
            self.stranger.take(secret)

    def known(self, secret: str, person: str | None) -> None:
        """Take note that the secret was valid, and whose it is."""
        if secret not in self.caller:
            self.caller.take(secret)
        if person is not None:
            self.caller.take(person)

    def work(self, caller: Caller, tenant: str) -> None:
        """Count what `caller` does within `tenant`, once it is sure that they may see it."""
        if caller.way != OPERATOR:
            self.tenant.take(tenant)


def rates_of(settings: Settings, clock: Clock) -> Rates:
    """Return the limits that `settings` state."""
    return Rates(
        Limit(settings.rate_address, clock),
        Limit(settings.rate_caller, clock),
        Limit(settings.rate_caller, clock),
        Limit(settings.rate_tenant, clock),
    )


def networks(stated: str) -> tuple[Network, ...]:
    """Return the networks that a setting lists; raise `Invalid` (`bad_setting`) where one is none."""
    try:
        return tuple(ipaddress.ip_network(entry.strip(), strict=False) for entry in stated.split(",") if entry.strip())
    except ValueError as error:
        raise Invalid(
            f"FREEHOLD_PROXIES is not right: {error}.",
            code="bad_setting",
            remedy="Write addresses or networks, such as 127.0.0.1,10.0.0.0/8.",
        ) from error


def address_of(peer: str, forwarded: str, proxies: tuple[Network, ...]) -> str:
    """
    Return where a request comes from: the last address that no proxy of ours vouches for.

    `forwarded` is X-Forwarded-For; whoever is no proxy may write there what they like, so it is read only from behind,
    as far as our own proxies wrote it.
    """
    found = peer
    if proxies:
        chain = [part.strip() for part in forwarded.split(",") if part.strip()]
        while chain and _within(found, proxies):
            found = chain.pop()
    return found


@functools.lru_cache(maxsize=4096)
def customer(address: str) -> str:
    """Return who counts as one: an IPv4 address, or the whole of an IPv6 network that one customer has."""
    parsed = _parsed(address)
    if parsed is None:
        return "unknown"
    if parsed.version == 4:  # noqa: PLR2004 - of the protocol
        return str(parsed)
    return str(ipaddress.ip_network((parsed, HOME), strict=False).network_address)


def _within(address: str, proxies: tuple[Network, ...]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in proxies)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


def _too_many(ahead: int) -> Exhausted:
    return Exhausted(
        "This is asked too often.",
        code="too_many_requests",
        after=math.ceil(ahead / SECOND),
        remedy="Wait as long as Retry-After says; an operator can set FREEHOLD_RATE_ADDRESS, _CALLER and _TENANT.",
    )
