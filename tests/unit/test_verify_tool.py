"""The outsider's verifier brings its own cryptography and its own JSON: both are what everybody else's are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from freehold.audit.canonical import canonical
from freehold.core.errors import Invalid
from tools import verify_audit

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_the_tool_spells_json_as_the_platform_does(value: object) -> None:
    try:
        ours = canonical(value).decode()
    except Invalid:
        with pytest.raises(verify_audit.Bad):
            verify_audit.canonical(value)
    else:
        assert verify_audit.canonical(value) == ours


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80), st.integers(0, 63), st.integers(0, 7))
def test_the_tool_believes_just_the_signatures_that_are_right(seed: bytes, told: bytes, place: int, bit: int) -> None:
    key = SigningKey(seed)
    public, signed = bytes(key.verify_key), bytes(key.sign(told).signature)
    assert verify_audit.signed_by(public, told, signed)
    flipped = bytes(byte ^ (1 << bit if n == place else 0) for n, byte in enumerate(signed))
    assert not verify_audit.signed_by(public, told, flipped)


VECTORS = (  # RFC 8032, section 7.1: tests 1, 2, 3 and the SHA(abc) test
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
)


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_tool_knows_ed25519(public: str, message: str, signature: str) -> None:
    key, told, signed = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
    assert verify_audit.signed_by(key, told, signed)
    assert not verify_audit.signed_by(key, told + b"x", signed)
    for place in range(0, 64, 7):
        flipped = bytes(byte ^ (1 << place % 8 if n == place else 0) for n, byte in enumerate(signed))
        assert not verify_audit.signed_by(key, told, flipped)
    beyond = int.from_bytes(signed[32:], "little") + verify_audit.L
    assert not verify_audit.signed_by(key, told, signed[:32] + beyond.to_bytes(32, "little"))
