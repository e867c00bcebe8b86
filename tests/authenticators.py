"""A device with passkeys, in software: what a browser and its authenticator send, as WebAuthn says it."""

import base64
import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, SYNCABLE, SYNCED, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Device:
    """Makes one passkey and shows it; does as it is told about what it says wrongly."""

    origin: str = "http://localhost:7070"
    party: str = ""
    """Whom it says it serves; empty: whoever asks."""
    flags: int = PRESENT | VERIFIED
    counts: bool = True
    signs: int = 0
    owner: bytes = b""
    credential: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def make(self, options: dict[str, Any], **said: Any) -> dict[str, Any]:
        """Answer the options of a registration."""
        self.owner = unpacked(options["user"]["id"])
        client = self._client("webauthn.create", options["challenge"], said)
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + struct.pack(">H", len(self.credential)) + self.credential + cbor2.dumps(public)
        data = self._data(self.party or options["rp"]["id"], ATTESTED) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer({"clientDataJSON": packed(client), "attestationObject": packed(attestation)})

    def show(self, options: dict[str, Any], **said: Any) -> dict[str, Any]:
        """Answer the options of a sign-in."""
        self.signs += self.counts
        client = self._client("webauthn.get", options["challenge"], said)
        data = self._data(self.party or options["rpId"], 0)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": packed(client),
                "authenticatorData": packed(data),
                "signature": packed(signature),
                "userHandle": packed(self.owner),
            }
        )

    def _client(self, kind: str, challenge: str, said: dict[str, Any]) -> bytes:
        told = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(told | said).encode()

    def _data(self, party: str, more: int) -> bytes:
        return hashlib.sha256(party.encode()).digest() + struct.pack(">BI", self.flags | more, self.signs)

    def _answer(self, response: dict[str, Any]) -> dict[str, Any]:
        name = packed(self.credential)
        return {"id": name, "rawId": name, "type": "public-key", "response": response}
