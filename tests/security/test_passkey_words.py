"""What a device says is believed only if it answers our challenge, on our page, by the key we know."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.ceremonies import Passkey
from freehold.core.errors import Denied
from freehold.core.people import Person
from freehold.tenants.devices import Party, challenge_in, made, making, party_of, showing, shown
from tests.authenticators import PRESENT, VERIFIED, Device, packed, unpacked

AT = datetime(2026, 1, 1, tzinfo=UTC)
HERE = Party(id="localhost", origin="http://localhost:7070")
ADA = Person(id="per_ada", email="ada@example.com", created_at=AT)
CHALLENGE = packed(b"c" * 32)


def passkey_of(device: Device, person: str = ADA.id) -> Passkey:
    found = made(HERE, device.make(making(HERE, ADA, CHALLENGE, ())), CHALLENGE)
    return Passkey(
        id="pky_1",
        person=person,
        name="",
        credential=found.credential,
        public_key=found.public_key,
        created_at=AT,
    )


def test_a_device_makes_a_passkey_and_shows_it() -> None:
    device = Device()
    passkey = passkey_of(device)
    assert passkey.credential == packed(device.credential)
    assert shown(HERE, device.show(showing(HERE, CHALLENGE)), CHALLENGE, passkey) == 1


def test_a_device_is_asked_to_verify_its_person_and_to_remember_whose_the_passkey_is() -> None:
    options = making(HERE, ADA, CHALLENGE, [passkey_of(Device())])
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["attestation"] == "none"
    assert len(options["excludeCredentials"]) == 1
    assert unpacked(options["user"]["id"]) == ADA.id.encode()
    assert showing(HERE, CHALLENGE)["userVerification"] == "required"


def test_the_challenge_is_read_from_what_the_device_signed() -> None:
    device = Device()
    assert challenge_in(device.make(making(HERE, ADA, CHALLENGE, ()))) == CHALLENGE


WRONG: dict[str, Callable[[Device], dict[str, Any]]] = {
    "another page": lambda it: _set(it, origin="http://localhost:7071"),
    "a page over TLS of the same name": lambda it: _set(it, origin="https://localhost:7070"),
    "a page below ours": lambda it: _set(it, origin="http://sub.localhost:7070"),
    "another party": lambda it: _set(it, party="example.com"),
    "somebody it did not verify": lambda it: _set(it, flags=PRESENT),
    "nobody": lambda it: _set(it, flags=VERIFIED),
    "another challenge": lambda it: {"challenge": packed(b"d" * 32)},
    "another act": lambda it: {"type": "payment.get"},
}


def _set(device: Device, **values: Any) -> dict[str, Any]:
    for name, value in values.items():
        setattr(device, name, value)
    return {}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_device_that_answers_for_something_else_is_refused(wrong: str) -> None:
    device = Device()
    passkey = passkey_of(device)
    said = WRONG[wrong](device)
    for attempt in (
        lambda: made(HERE, device.make(making(HERE, ADA, CHALLENGE, ()), **said), CHALLENGE),
        lambda: shown(HERE, device.show(showing(HERE, CHALLENGE), **said), CHALLENGE, passkey),
    ):
        with pytest.raises(Denied) as refused:
            attempt()
        assert (refused.value.code, refused.value.status) == ("bad_passkey", 401)


def test_a_passkey_of_another_key_is_refused() -> None:
    passkey, other = passkey_of(Device()), Device()
    other.owner = ADA.id.encode()
    with pytest.raises(Denied):
        shown(HERE, other.show(showing(HERE, CHALLENGE)), CHALLENGE, passkey)


def test_a_passkey_that_says_it_is_somebody_elses_is_refused() -> None:
    device = Device()
    passkey = passkey_of(device, person="per_eve")
    with pytest.raises(Denied):
        shown(HERE, device.show(showing(HERE, CHALLENGE)), CHALLENGE, passkey)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.binary(max_size=40).map(packed),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle")


@given(
    st.dictionaries(st.sampled_from(["id", "rawId", "type", "response"]), JSON),
    st.dictionaries(st.sampled_from(FIELDS), JSON),
)
def test_whatever_a_device_sends_is_refused_in_one_way(outer: dict[str, Any], inner: dict[str, Any]) -> None:
    device = Device()
    passkey = passkey_of(device)
    good = device.show(showing(HERE, CHALLENGE))
    if not outer and inner.keys() <= {"userHandle", "attestationObject"}:
        return
    broken = {**good, "response": {**good["response"], **inner}, **outer}
    with pytest.raises(Denied):
        shown(HERE, broken, CHALLENGE, passkey)
    with pytest.raises(Denied):
        made(HERE, broken, CHALLENGE)


@given(JSON)
def test_what_holds_no_challenge_is_refused(sent: Any) -> None:
    with pytest.raises(Denied):
        challenge_in({"response": sent})


@pytest.mark.parametrize(
    ("url", "party"),
    [
        ("http://127.0.0.1:7070", HERE),
        ("http://[::1]:7070", HERE),
        ("http://localhost:7070", HERE),
        ("https://agents.example.com", Party(id="agents.example.com", origin="https://agents.example.com")),
        ("https://Agents.example.com:8443", Party(id="agents.example.com", origin="https://agents.example.com:8443")),
        ("https://agents.example.com:443", Party(id="agents.example.com", origin="https://agents.example.com")),
        ("http://agents.example.com", None),
        ("https://192.0.2.1", None),
        ("http://0.0.0.0:7070", None),
    ],
)
def test_passkeys_are_for_a_name_that_browsers_trust(url: str, party: Party | None) -> None:
    assert party_of(url) == party
