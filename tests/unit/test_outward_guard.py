"""What the guard lets through, and how it asks what names mean."""

import asyncio
import ipaddress
from collections.abc import Sequence

import pytest

from freehold.core.errors import Denied
from freehold.gateway.asked import Behalf
from freehold.gateway.outward import guard as judging
from freehold.gateway.outward.destinations import ANY, Open
from freehold.gateway.outward.guard import Guard
from freehold.gateway.outward.hosts import place_of
from freehold.gateway.outward.lookups import EACH, Lookups, system
from freehold.gateway.outward.ranges import Range, range_of
from freehold.gateway.ports import NotSent

ACME, OTHER, OPERATORS = Behalf("ten_1"), Behalf("ten_2"), Behalf("ten_1", operators=True)
PUBLIC, PUBLIC_6 = "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"


class Names:
    """A name service that says what it is told to, and counts."""

    def __init__(self, **said: Sequence[str]) -> None:
        self.said = {name.replace("_", "."): list(addresses) for name, addresses in said.items()}
        self.asked: list[str] = []
        self.silent, self._more = asyncio.Event(), asyncio.Event()
        self.silent.set()

    async def __call__(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        self._more.set()
        await self.silent.wait()
        if name not in self.said:
            raise OSError(name)
        return self.said[name]

    async def heard(self, count: int) -> None:
        """Wait until so many questions have come."""
        while len(self.asked) < count:
            self._more.clear()
            await self._more.wait()


class Opened:
    """What is open, for as long as it is."""

    def __init__(self, *places: tuple[str, str, int]) -> None:
        self.places = frozenset(places)

    async def __call__(self) -> Open:
        return self.places


async def led(guard: Guard, place: str, behalf: Behalf = ACME) -> list[str]:
    return [str(address) for address in await guard.addresses(place_of(place), behalf)]


async def test_what_is_public_is_open_to_everybody() -> None:
    guard = Guard(Opened(), lookup=Names(far_example=[PUBLIC, PUBLIC_6, PUBLIC]))
    assert await led(guard, "far.example:443") == [PUBLIC, PUBLIC_6]
    assert await led(guard, f"[{PUBLIC_6}]:443") == [PUBLIC_6]


async def test_of_a_mixed_answer_only_what_may_be_gone_to_is_left() -> None:
    names = Names(mixed_example=["10.0.0.1", PUBLIC, "169.254.169.254", "::1"])
    assert await led(Guard(Opened(), lookup=names), "mixed.example:80") == [PUBLIC]
    opened = Opened(("ten_1", "mixed.example", 80))
    assert await led(Guard(opened, lookup=names), "mixed.example:80") == ["10.0.0.1", PUBLIC, "::1"]


@pytest.mark.parametrize(
    ("opened", "place", "behalf", "refused"),
    [
        (("", "10.0.0.1", 80), "10.0.0.1:80", ACME, False),
        (("", "10.0.0.1", 80), "10.0.0.1:80", OTHER, False),
        (("ten_1", "10.0.0.1", 80), "10.0.0.1:80", ACME, False),
        (("ten_1", "10.0.0.1", 80), "10.0.0.1:80", OTHER, True),
        (("ten_1", "10.0.0.1", 80), "10.0.0.1:81", ACME, True),
        (("ten_1", "10.0.0.1", ANY), "10.0.0.1:81", ACME, False),
        (("", "nas.example", 80), "nas.example:80", ACME, False),
        (("", "nas.example", 80), "NAS.example.:80", ACME, False),
        (("", "nas.example", 80), "10.0.0.1:80", ACME, True),
        (("", "10.0.0.1", 80), "nas.example:80", ACME, True),
        (("", "other.example", 80), "nas.example:80", ACME, True),
        (("ten_2", "other.example", 80), "nas.example:80", OPERATORS, False),
        (("", "169.254.169.254", 80), "169.254.169.254:80", ACME, True),
        (("", "169.254.169.254", 80), "169.254.169.254:80", OPERATORS, True),
    ],
)
async def test_private_networks_are_open_where_an_operator_said_so(
    opened: tuple[str, str, int], place: str, behalf: Behalf, *, refused: bool
) -> None:
    guard = Guard(Opened(opened), lookup=Names(nas_example=["10.0.0.1"]))
    if not refused:
        assert await led(guard, place, behalf) == ["10.0.0.1"]
        return
    with pytest.raises(Denied) as told:
        await led(guard, place, behalf)
    assert told.value.code == "address_refused"


async def test_the_refusal_says_which_command_would_allow_it_and_to_whom() -> None:
    guard = Guard(Opened(), lookup=Names(nas_example=["10.0.0.1"]))
    with pytest.raises(Denied) as told:
        await led(guard, "nas.example:8080")
    assert told.value.remedy.endswith("freehold destination allow NAME nas.example:8080 --tenant ten_1")
    with pytest.raises(Denied) as told:
        await led(guard, "169.254.169.254:80")
    assert "freehold" not in told.value.remedy


async def test_what_is_closed_is_closed_with_the_next_call_though_the_name_is_remembered() -> None:
    names, opened = Names(nas_example=["10.0.0.1"]), Opened(("", "nas.example", 80))
    guard = Guard(opened, lookup=names)
    assert await led(guard, "nas.example:80") == ["10.0.0.1"]
    opened.places = frozenset()
    with pytest.raises(Denied):
        await led(guard, "nas.example:80")
    assert names.asked == ["nas.example"]


async def test_what_a_name_means_is_asked_again_once_it_was_long_enough_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "REMEMBERED_SECONDS", 0.0)
    names = Names(far_example=[PUBLIC])
    guard = Guard(Opened(), lookup=names)
    await led(guard, "far.example:80")
    names.said["far.example"] = ["127.0.0.1"]
    with pytest.raises(Denied):
        await led(guard, "far.example:80")


@pytest.mark.parametrize("said", [[], ["no address"], ["1.2.3"]])
async def test_a_name_without_an_address_is_unknown_and_nothing_was_sent(said: list[str]) -> None:
    guard = Guard(Opened(), lookup=Names(odd_example=said))
    for place in ("odd.example:80", "missing.example:80"):
        with pytest.raises(NotSent) as told:
            await led(guard, place)
        assert told.value.code == "name_unknown"


async def test_a_name_with_very_many_addresses_is_looked_at_only_so_far() -> None:
    guard = Guard(Opened(), lookup=Names(far_example=[f"93.184.{n // 250}.{n % 250 + 1}" for n in range(1_000)]))
    assert len(await led(guard, "far.example:80")) == judging.MOST


async def test_the_same_question_is_put_once_however_many_ask() -> None:
    names = Names(far_example=[PUBLIC])
    names.silent.clear()
    guard = Guard(Opened(), lookup=names)
    waiting = [asyncio.create_task(led(guard, "far.example:80", who)) for who in (ACME, OTHER, ACME)]
    await names.heard(1)
    names.silent.set()
    assert await asyncio.gather(*waiting) == [[PUBLIC]] * 3
    assert names.asked == ["far.example"]


async def test_a_tenant_whose_name_server_keeps_silent_holds_up_nobody_else() -> None:
    names = Names(far_example=[PUBLIC])
    names.silent.clear()
    lookups = Lookups(names)
    held = [asyncio.create_task(lookups.addresses(f"n{n}.example", "ten_1")) for n in range(EACH + 5)]
    await names.heard(EACH)
    other = asyncio.create_task(lookups.addresses("far.example", "ten_2"))
    await names.heard(EACH + 1)
    assert names.asked[-1] == "far.example"
    names.silent.set()
    assert await other == [PUBLIC]
    assert all(isinstance(told, OSError) for told in await asyncio.gather(*held, return_exceptions=True))
    assert len(names.asked) == EACH + 6


async def test_who_stops_waiting_does_not_end_the_question_of_others() -> None:
    names = Names(far_example=[PUBLIC])
    names.silent.clear()
    lookups = Lookups(names)
    first, second = (asyncio.create_task(lookups.addresses("far.example", who)) for who in ("ten_1", "ten_2"))
    await names.heard(1)
    first.cancel()
    names.silent.set()
    assert await second == [PUBLIC]


async def test_the_machine_is_asked_and_knows_itself() -> None:
    assert "127.0.0.1" in await system("localhost")
    with pytest.raises((OSError, UnicodeError)):
        await system("a" * 64 + ".example")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (PUBLIC, Range.PUBLIC), (PUBLIC_6, Range.PUBLIC), ("1.1.1.1", Range.PUBLIC), ("223.255.255.255", Range.PUBLIC),
        ("9.255.255.255", Range.PUBLIC), ("11.0.0.0", Range.PUBLIC), ("172.15.255.255", Range.PUBLIC),
        ("172.32.0.0", Range.PUBLIC), ("192.167.255.255", Range.PUBLIC), ("192.169.0.0", Range.PUBLIC),
        ("100.63.255.255", Range.PUBLIC), ("100.128.0.0", Range.PUBLIC), ("126.255.255.255", Range.PUBLIC),
        ("128.0.0.0", Range.PUBLIC), ("198.17.255.255", Range.PUBLIC), ("198.20.0.0", Range.PUBLIC),
        ("10.0.0.0", Range.PRIVATE), ("127.255.255.255", Range.PRIVATE), ("100.64.0.0", Range.PRIVATE),
        ("::1", Range.PRIVATE), ("fdff::1", Range.PRIVATE), ("fc00::", Range.PRIVATE),
        ("0.0.0.0", Range.NEVER), ("169.254.169.254", Range.NEVER), ("198.19.255.255", Range.NEVER),
        ("224.0.0.0", Range.NEVER), ("255.255.255.255", Range.NEVER), ("100.100.100.200", Range.NEVER),
        ("::", Range.NEVER), ("::ffff:8.8.8.8", Range.NEVER), ("::8.8.8.8", Range.NEVER),
        ("64:ff9b::808:808", Range.NEVER), ("2002:808:808::", Range.NEVER), ("2001::1", Range.NEVER),
        ("2001:1ff:ffff::", Range.NEVER), ("2001:200::", Range.PUBLIC), ("3fff:fff::", Range.NEVER),
        ("fe80::1", Range.NEVER), ("ff02::1", Range.NEVER), ("fd00:ec2::254", Range.NEVER),
        ("2606:4700::5efe:808:808", Range.NEVER), ("2606:4700::1:5efe:808:808", Range.PUBLIC),
    ],
)  # fmt: skip
def test_an_address_is_what_the_registries_say(address: str, expected: Range) -> None:
    assert range_of(ipaddress.ip_address(address)) is expected
