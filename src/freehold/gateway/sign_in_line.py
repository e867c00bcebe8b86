"""What web asks of the gateway about accounts that somebody signs in to, so that a connection may use them."""

from collections.abc import Sequence
from typing import Any

from freehold.gateway.dialling import Line


class SignInLine(Line):
    """The part of web's line that is about accounts; no tenant means the platform itself, `by` is always a person."""

    async def start_sign_in(self, tenant: str | None, connection: str, *, by: str, redirect_uri: str) -> dict[str, Any]:
        """
        Begin to sign a connection in to an account.

        Return `id`, the `url` at the provider to send a browser to, `expires_at`, `scopes`, the host of the `provider`
        and its `name`. Whoever comes back must be `by`.
        """
        asked = {"tenant": tenant, "connection": connection, "by": by, "redirect_uri": redirect_uri}
        return dict(await self.ask("sign-ins/start", asked))

    async def finish_sign_in(
        self, *, state: str, code: str | None, error: str | None, issuer: str | None, by: str
    ) -> dict[str, Any]:
        """
        Finish with what a browser brought back, and return `tenant`, `connection`, `account` and `scopes`.

        Raises `NotFound` (`unknown_sign_in`) for a state that `by` was never sent off with, `Conflict`
        (`sign_in_over`) for one that was used or ran out, `Denied` (`sign_in_denied`, `oauth_refused`) where somebody
        said no, and `Unavailable` where the provider cannot be asked.
        """
        asked = {"state": state, "code": code, "error": error, "issuer": issuer, "by": by}
        return dict(await self.ask("sign-ins/finish", asked))

    async def sign_in(self, sign_in: str) -> dict[str, Any]:
        """
        Return one sign-in by its id.

        `id`, `tenant`, `connection`, `by`, `started_at`, `expires_at`, and its `state`: waiting, connected, denied,
        failed or expired.
        """
        return dict(await self.ask("sign-ins/show", {"id": sign_in}))

    async def start_device(self, tenant: str | None, connection: str, *, by: str) -> dict[str, Any]:
        """Begin on another device: `id`, `user_code`, `uri`, `uri_complete`, `interval` (seconds) and `expires_at`."""
        return dict(await self.ask("sign-ins/device", {"tenant": tenant, "connection": connection, "by": by}))

    async def poll_device(self, tenant: str | None, sign_in: str, *, by: str) -> dict[str, Any]:
        """
        Return how that stands: `state` (waiting, connected, denied, failed, expired), and while it waits `interval`.

        The provider is asked no more often than it wants to be, however often this is called.
        """
        return dict(await self.ask("sign-ins/poll", {"tenant": tenant, "id": sign_in, "by": by}))

    async def sign_in_state(self, tenant: str | None, connection: str) -> dict[str, Any]:
        """
        Return how a connection's account stands: `state` (connected, expired, none).

        And `account`, `scopes`, `expires_at`, `refreshable`, `connected_by`, `connected_at`, the host of the `provider`.
        """
        return dict(await self.ask("sign-ins/state", {"tenant": tenant, "connection": connection}))

    async def sign_in_states(self, tenant: str | None) -> list[dict[str, Any]]:
        """Return the same of every connection of the tenant that somebody signed in, with its `connection`."""
        return list(await self.ask("sign-ins/states", {"tenant": tenant}))

    async def disconnect(self, tenant: str | None, connection: str, *, by: str) -> dict[str, Any]:
        """Forget a connection's account; `revoked` is whether its provider said that it took the tokens back."""
        asked = {"tenant": tenant, "connection": connection, "by": by}
        return dict(await self.ask("sign-ins/disconnect", asked))

    async def sign_in_warnings(self) -> list[dict[str, Any]]:
        """
        Return accounts of all tenants that people must be told of, until that is `acked`.

        `id`, `tenant`, `connection`, `what` (expired, or expires: within days, and it cannot be prolonged), `account`,
        `expires_at`, `connected_by`.
        """
        return list(await self.ask("sign-ins/warnings", {}))

    async def acked(self, ids: Sequence[str]) -> None:
        """Say that people were told of these warnings; the same again changes nothing."""
        await self.ask("sign-ins/acked", {"ids": list(ids)})
