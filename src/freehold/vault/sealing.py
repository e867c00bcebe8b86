"""
Sealing: XChaCha20-Poly1305 with associated data, in two layers.

The master key wraps one data key per tenant; a data key seals that tenant's values. What is sealed is bound to
its tenant, name, version and purpose: bytes that were moved from one place to another do not open there.
"""

from dataclasses import dataclass
from typing import Final, final

from nacl.exceptions import CryptoError
from nacl.secret import Aead
from nacl.utils import random

from freehold.audit.canonical import canonical
from freehold.core.errors import Denied

_WRAPS: Final = "tenant key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something sealed belongs; it opens nowhere else."""

    tenant: str
    name: str
    version: int
    purpose: str

    def bytes(self) -> bytes:
        """Return the place as associated data."""
        return canonical({"tenant": self.tenant, "name": self.name, "version": self.version, "purpose": self.purpose})


@final
class Sealer:
    """Seals and opens the values of one tenant."""

    __slots__ = ("_box", "_tenant")

    def __init__(self, tenant: str, key: bytes) -> None:
        self._tenant = tenant
        self._box = Aead(key)

    def seal(self, plain: bytes, *, name: str, purpose: str, version: int = 1) -> bytes:
        """Return `plain` sealed for its place."""
        place = Place(tenant=self._tenant, name=name, version=version, purpose=purpose)
        return bytes(self._box.encrypt(plain, place.bytes()))

    def open(self, sealed: bytes, *, name: str, purpose: str, version: int = 1) -> bytes:
        """Return what was sealed for this place; raise `Denied` for anything else."""
        return _open(self._box, sealed, Place(tenant=self._tenant, name=name, version=version, purpose=purpose))


@final
class Vault:
    """Holds the master key and makes and unwraps tenants' keys."""

    __slots__ = ("_box",)

    def __init__(self, master: bytes) -> None:
        self._box = Aead(master)

    def new_key(self, tenant: str) -> bytes:
        """Return a fresh data key for `tenant`, wrapped: only this is ever stored."""
        return bytes(self._box.encrypt(random(Aead.KEY_SIZE), _wrapping(tenant).bytes()))

    def sealer(self, tenant: str, wrapped: bytes) -> Sealer:
        """Return the way to seal and open for `tenant`; raise `Denied` where the key is another's."""
        return Sealer(tenant, _open(self._box, wrapped, _wrapping(tenant)))


def _wrapping(tenant: str) -> Place:
    return Place(tenant=tenant, name="data", version=1, purpose=_WRAPS)


def _open(box: Aead, sealed: bytes, place: Place) -> bytes:
    try:
        return bytes(box.decrypt(sealed, place.bytes()))
    except (CryptoError, ValueError, TypeError) as error:
        raise Denied(
            f"What is stored as {place.purpose} {place.name!r} does not open here.",
            code="does_not_open",
            remedy="The master key is another one, or stored bytes were changed or moved. Put the right ones back.",
        ) from error
