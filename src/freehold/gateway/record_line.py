"""What web asks of the gateway about the record: rows, chains, and the heads that the gateway signs."""

from collections.abc import Sequence
from typing import Any

from freehold.gateway.dialling import Line


class RecordLine(Line):
    """The part of web's line that is about the record; no tenant means the platform itself."""

    async def audit(
        self, tenant: str | None, *, after: int = 0, limit: int = 500, **wanted: str | int
    ) -> list[dict[str, Any]]:
        """
        Return rows of the gateway's record from behind the position `after`; no tenant: the platform's.

        `wanted` are `actor`, `action`, `subject`, `run`, `since` (milliseconds), and `last` for the newest.
        """
        return list(await self.ask("audit", {"tenant": tenant, "after": after, "limit": limit, **wanted}))

    async def verify_audit(
        self, *, heads: list[dict[str, Any]] | None = None, seen: Sequence[dict[str, Any]] = ()
    ) -> dict[str, Any]:
        """
        Verify every chain of the gateway: `ok`, `count`, `heads`, `faults`, and how `anchors` stand.

        With the ends of the database's chains, told as for an anchor, those are compared with what was signed.
        """
        return dict(await self.ask("audit/verify", {"heads": heads, "seen": list(seen)}))

    async def audit_lines(
        self, tenant: str | None, *, after: int, until: int, limit: int = 500
    ) -> list[dict[str, Any]]:
        """Return a stretch of one chain as it is exported, each line with its `position` beside."""
        asked = {"tenant": tenant, "after": after, "until": until, "limit": limit}
        return list(await self.ask("audit/lines", asked))

    async def audit_head(
        self, tenant: str | None, *, stores: Sequence[str], heads: list[dict[str, Any]], every: bool = False
    ) -> dict[str, Any]:
        """Sign what is about to be exported; return the `line` and the gateway's own `heads` in it."""
        asked = {"tenant": tenant, "stores": list(stores), "heads": heads, "every": every}
        return dict(await self.ask("audit/head", asked))

    async def audit_known(self) -> dict[str, Any]:
        """Return when the last anchor was signed (`at`), and the `heads` of the database it knows."""
        return dict(await self.ask("audit/known", {}))

    async def audit_anchor(
        self, *, heads: list[dict[str, Any]], seen: list[dict[str, Any]], accepted: str = ""
    ) -> dict[str, Any]:
        """Sign the ends of all chains and write them to the second place; return the anchor."""
        return dict(await self.ask("audit/anchor", {"heads": heads, "seen": seen, "accepted": accepted}))

    async def audit_key(self) -> str:
        """Return the public key under which heads are signed, in hexadecimal."""
        return str((await self.ask("audit/key", {}))["key"])
