"""What web asks of the gateway about secrets, and about the vault as a whole."""

from typing import Any

from freehold.gateway.dialling import Line


class VaultLine(Line):
    """The part of web's line that is about the vault; no tenant means the platform itself."""

    async def set_secret(self, tenant: str | None, name: str, value: str, *, by: str) -> None:
        """Seal `value` as the newest version of a secret."""
        await self.ask("secrets/set", {"tenant": tenant, "name": name, "value": value, "by": by})

    async def list_secrets(self, tenant: str | None) -> list[dict[str, Any]]:
        """Return name, version, set_by and set_at of each secret; a value never comes back."""
        return list(await self.ask("secrets/list", {"tenant": tenant}))

    async def delete_secret(self, tenant: str | None, name: str, *, by: str) -> None:
        """Forget a secret that no connection uses."""
        await self.ask("secrets/delete", {"tenant": tenant, "name": name, "by": by})

    async def rotate_keys(self, tenant: str | None, *, by: str, master: bool = False) -> dict[str, Any]:
        """Begin to replace the data key of a tenant (none: all of them), or the master key; return how it stands."""
        return dict(await self.ask("secrets/rotate", {"tenant": tenant, "by": by, "master": master}))

    async def rotation(self, tenant: str | None) -> dict[str, Any]:
        """Return how the last such stands: `running`, `total` and `done` rows, `keys`, and what went wrong."""
        return dict(await self.ask("secrets/rotation", {"tenant": tenant}))

    async def scan_secrets(self, tenant: str | None) -> dict[str, Any]:
        """Return `faults` (`tenant`, `what`) in what lies in the vault, and of how many `owners` it was looked at."""
        return dict(await self.ask("secrets/scan", {"tenant": tenant}))
