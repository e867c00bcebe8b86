"""
Who calls at the outside door: whoever shows a model key.

A key is looked for by its hash and remembered until something about keys changes; when it ends is looked at each
time. That it was used is written down later, for many at once.
"""

from datetime import datetime
from typing import Final, final

from sqlalchemy import Connection as Tx

from freehold.core.errors import Denied
from freehold.gateway.calls import model_keys
from freehold.gateway.calls.model_keys import ModelKey
from freehold.gateway.formats import Caller, Whom
from freehold.gateway.keeping import Keep

REMEMBERED: Final = 10_000
UNKNOWN: Final = "This key opens nothing here."


@final
class KeyCallers:
    """Knows callers by their model keys."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._known: dict[str, tuple[ModelKey, Caller]] = {}
        self._generation = -1
        self._used: dict[str, datetime] = {}

    async def caller(self, shown: str) -> Caller:
        """Return who shows this key; raise `Denied` (401) for a key that is none, or none any more."""
        if not model_keys.well_formed(shown):
            raise _no_key(shown)
        hashed = model_keys.hashed(shown)
        if self._generation != self._keep.generation or len(self._known) > REMEMBERED:
            self._known, self._generation = {}, self._keep.generation
        found = self._known.get(hashed) or await self._looked_up(hashed)
        if found is None:
            raise _unknown()
        key, caller = found
        now = self._keep.now()
        if key.expires_at is not None and key.expires_at <= now:
            raise _unknown()
        self._used[key.id] = now
        return caller

    async def write_down(self) -> None:
        """Write down which keys were used since the last time."""
        used, self._used = self._used, {}
        if used:
            at = max(used.values())
            await self._keep.write(lambda tx: model_keys.used(tx, tuple(used), at))

    async def _looked_up(self, hashed: str) -> tuple[ModelKey, Caller] | None:
        before = self._keep.generation
        key = await self._keep.read(lambda tx: model_keys.find(tx, hash=hashed))
        if key is None:
            return None
        whom = Whom(tenant=key.tenant, agent=key.agent, key=key.id, attended=True, by=f"model-key:{key.id}")

        def still(tx: Tx) -> None:
            self._require(tx, key, hashed, before)

        found = key, Caller(whom=whom, models=key.models or None, still=still)
        if before == self._generation == self._keep.generation:
            self._known[hashed] = found
        return found

    def _require(self, tx: Tx, key: ModelKey, hashed: str, generation: int) -> None:
        """Raise `Denied` where a key ended, or was revoked, while its request was on its way or waited for money."""
        same = self._keep.generation == generation or model_keys.find(tx, hash=hashed) == key
        if not same or not key.in_force(self._keep.now()):
            raise _unknown()


def _no_key(shown: str) -> Denied:
    """Return the error for what has not the form of a model key; keys of the API are shown here by mistake."""
    if not shown:
        return _unknown("No model key was shown.")
    return _unknown("An API key opens no models." if shown.startswith("fh_") else UNKNOWN)


def _unknown(message: str = UNKNOWN) -> Denied:
    return Denied(
        message,
        code="bad_key",
        status=401,
        remedy="Make one with: freehold model-key create NAME --tenant TENANT",
    )
