"""
Sealing: XChaCha20-Poly1305 with associated data, in two layers.

The master key wraps the data keys of tenants; a data key seals its tenant's values. What is sealed is bound to
its tenant, name, version and purpose: bytes that were moved from one place to another do not open there. A tenant
has one data key, and two while the older generation of it is being replaced.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from nacl.exceptions import CryptoError
from nacl.secret import Aead
from nacl.utils import random

from freehold.audit.canonical import canonical
from freehold.core.errors import Denied

HEADER: Final = 4
"""Bytes in front of what is sealed: the generation of its key."""
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

    __slots__ = ("_boxes", "_tenant", "generation")

    def __init__(self, tenant: str, keys: Mapping[int, bytes]) -> None:
        """Seal under the newest generation in `keys`, open under any of them."""
        self._tenant = tenant
        self._boxes = {generation: Aead(key) for generation, key in keys.items()}
        self.generation = max(keys)

    def seal(self, plain: bytes, *, name: str, purpose: str, version: int = 1) -> bytes:
        """Return `plain` sealed for its place, with the generation of its key in front."""
        place = Place(tenant=self._tenant, name=name, version=version, purpose=purpose)
        sealed = bytes(self._boxes[self.generation].encrypt(plain, place.bytes()))
        return self.generation.to_bytes(HEADER) + sealed

    def open(self, sealed: bytes, *, name: str, purpose: str, version: int = 1) -> bytes:
        """Return what was sealed for this place; raise `Denied` for anything else."""
        place = Place(tenant=self._tenant, name=name, version=version, purpose=purpose)
        return _open(self._boxes.get(generation_of(sealed)), sealed[HEADER:], place)


@final
class Vault:
    """Holds the master key and makes and unwraps tenants' keys."""

    __slots__ = ("_boxes",)

    def __init__(self, master: bytes, *older: bytes) -> None:
        """Wrap with `master`; while it replaces `older` ones, what those wrapped is unwrapped too."""
        self._boxes = [Aead(key) for key in (master, *older)]

    def new_key(self, tenant: str, generation: int = 1) -> bytes:
        """Return a fresh data key for `tenant`, wrapped: only this is ever stored."""
        return self._wrapped(tenant, generation, random(Aead.KEY_SIZE))

    def sealer(self, tenant: str, wrapped: Mapping[int, bytes]) -> Sealer:
        """Return the way to seal and open for `tenant`; raise `Denied` where a key is another's."""
        return Sealer(tenant, {number: self._unwrapped(tenant, number, key) for number, key in wrapped.items()})

    def wrapped_anew(self, tenant: str, generation: int, wrapped: bytes) -> bytes:
        """Return the same data key under the master key that counts now."""
        return self._wrapped(tenant, generation, self._unwrapped(tenant, generation, wrapped))

    def unwraps(self, tenant: str, generation: int, wrapped: bytes) -> bool:
        """Return whether a master key of ours wrapped this."""
        try:
            self._unwrapped(tenant, generation, wrapped)
        except Denied:
            return False
        return True

    def _wrapped(self, tenant: str, generation: int, key: bytes) -> bytes:
        return bytes(self._boxes[0].encrypt(key, _wrapping(tenant, generation).bytes()))

    def _unwrapped(self, tenant: str, generation: int, wrapped: bytes) -> bytes:
        place = _wrapping(tenant, generation)
        for older in self._boxes[1:]:
            with contextlib.suppress(Denied):
                return _open(older, wrapped, place)
        return _open(self._boxes[0], wrapped, place)


def generation_of(sealed: bytes) -> int:
    """Return which generation of the tenant's key `sealed` says it is under."""
    return int.from_bytes(sealed[:HEADER])


def _wrapping(tenant: str, generation: int) -> Place:
    return Place(tenant=tenant, name="data", version=generation, purpose=_WRAPS)


def _open(box: Aead | None, sealed: bytes, place: Place) -> bytes:
    try:
        if box is not None:
            return bytes(box.decrypt(sealed, place.bytes()))
    except (CryptoError, ValueError, TypeError) as error:
        raise _stuck(place) from error
    raise _stuck(place)


def _stuck(place: Place) -> Denied:
    return Denied(
        f"What is stored as {place.purpose} {place.name!r} does not open here.",
        code="does_not_open",
        remedy="The master key is another one, or stored bytes were changed or moved. Put the right ones back.",
    )
