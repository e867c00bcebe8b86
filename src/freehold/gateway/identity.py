"""Sign-in by a provider: web asks, and the one secret that proves us to the provider stays here."""

from dataclasses import asdict
from typing import Any, Final, final

import msgspec
from sqlalchemy import Connection as Tx

from freehold.core.errors import Denied, Invalid
from freehold.gateway import secrets
from freehold.gateway.edge import Answer, route
from freehold.gateway.keeping import Keep
from freehold.gateway.ports import Credential, IdentityProvider

SECRET: Final = "oidc"  # noqa: S105 - the name of one
"""The platform's secret that holds the client secret, where no setting does."""


class StartRequest(msgspec.Struct, kw_only=True):
    """Somebody wants to sign in."""

    state: str
    nonce: str
    challenge: str
    redirect_uri: str


class ExchangeRequest(msgspec.Struct, kw_only=True):
    """Somebody came back from the provider."""

    code: str
    verifier: str
    nonce: str
    redirect_uri: str
    issuer: str | None = None


class GoodbyeRequest(msgspec.Struct, kw_only=True):
    """Somebody signed out and shall be signed out of the provider too."""

    redirect_uri: str


class EndedRequest(msgspec.Struct, kw_only=True):
    """The provider says that somebody signed out."""

    token: str


@final
class SignOn:
    """Answers what web asks about the provider."""

    def __init__(self, keep: Keep, provider: IdentityProvider | None, stated: str = "") -> None:
        """Ask `provider`, if there is one; `stated` is the client secret where a setting holds it."""
        self._keep, self._provider, self._stated = keep, provider, Credential(stated)

    def routes(self) -> dict[str, Answer]:
        """Return what web's socket answers."""
        return {
            "oidc/start": route(StartRequest, self._start),
            "oidc/exchange": route(ExchangeRequest, self._exchange),
            "oidc/goodbye": route(GoodbyeRequest, self._goodbye),
            "oidc/ended": route(EndedRequest, self._ended),
        }

    async def _start(self, request: StartRequest) -> dict[str, str]:
        return {"url": await self._there().start(**msgspec.structs.asdict(request))}

    async def _exchange(self, request: ExchangeRequest) -> dict[str, Any]:
        provider = self._there()
        # Written down before anything is sent: what leaves and is not in the record did not leave.
        credential = await self._keep.write(self._noted)
        try:
            claims = await provider.exchange(**msgspec.structs.asdict(request), credential=credential)
        except Denied as error:
            reason = {"reason": error.message}
            await self._keep.write(
                lambda tx: self._keep.note(
                    tx, None, actor="platform", action="oidc.refuse", subject=SECRET, detail=reason
                )
            )
            raise
        return asdict(claims) | {"groups": sorted(claims.groups)}

    async def _goodbye(self, request: GoodbyeRequest) -> dict[str, str]:
        return {"url": await self._there().goodbye(redirect_uri=request.redirect_uri)}

    async def _ended(self, request: EndedRequest) -> dict[str, Any]:
        subject, at = await self._there().ended(request.token)
        return {"subject": subject, "at": at}

    def _noted(self, tx: Tx) -> Credential:
        self._keep.note(tx, None, actor="platform", action="oidc.exchange", subject=SECRET)
        if self._stated or not secrets.exists(tx, tenant=None, name=SECRET):
            return self._stated
        return secrets.opened(tx, self._keep, tenant=None, name=SECRET)

    def _there(self) -> IdentityProvider:
        if self._provider is None:
            raise Invalid(
                "This platform has no sign-in provider.",
                code="no_oidc",
                remedy="State FREEHOLD_OIDC_ISSUER and FREEHOLD_OIDC_CLIENT_ID, or sign in another way.",
            )
        return self._provider
