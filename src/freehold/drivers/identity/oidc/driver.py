"""One OpenID Connect provider, asked by us: where people are sent, and what their coming back means."""

import logging
from datetime import datetime, timedelta
from typing import Any, Final, final
from urllib.parse import quote_plus

from typing_extensions import override

from freehold.core.ceremonies import Claims
from freehold.core.clock import Clock
from freehold.core.errors import Denied, Invalid
from freehold.drivers.identity.oidc import tokens
from freehold.drivers.identity.oidc.fetching import Fetching, refused, safe
from freehold.drivers.identity.oidc.metadata import Metadata, read
from freehold.gateway.ports import Credential, IdentityProvider

log = logging.getLogger(__name__)

FRESH: Final = timedelta(hours=1)
"""How long what the provider says about itself is believed without asking again."""
AGAIN: Final = timedelta(seconds=10)
"""Between two looks for a key we do not know: somebody could make us look all the time."""


@final
class OpenIdProvider(IdentityProvider):
    """Speaks with the provider at one issuer, as one client of it."""

    def __init__(self, issuer: str, client: str, clock: Clock, *, groups: str = "groups", trust: bool = False) -> None:
        """
        Ask `issuer` as `client`; groups are in the claim `groups`.

        With `trust`, an address counts as verified where the provider does not say whether it is.
        """
        if not safe(issuer) or not client:
            raise Invalid(
                "FREEHOLD_OIDC_ISSUER and FREEHOLD_OIDC_CLIENT_ID name no provider.",
                code="bad_setting",
                remedy="State the issuer as https://host[/path], just as the provider does, and the client's id.",
            )
        self._issuer, self._client, self._clock = issuer, client, clock
        self._groups, self._trust = groups, trust
        self._fetch = Fetching()
        self._metadata: tuple[datetime, Metadata] | None = None
        self._keys: tuple[datetime, dict[str, Any]] | None = None

    @override
    async def start(self, *, state: str, nonce: str, challenge: str, redirect_uri: str) -> str:
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # noqa: PLC0415 - only with a provider

        about = await self._about()
        address: str = prepare_grant_uri(
            about.authorize,
            client_id=self._client,
            response_type="code",
            redirect_uri=redirect_uri,
            scope=about.scope,
            state=state,
            nonce=nonce,
            code_challenge=challenge,
            code_challenge_method="S256",
        )
        return address

    @override
    async def exchange(
        self, *, code: str, verifier: str, nonce: str, redirect_uri: str, issuer: str | None, credential: Credential
    ) -> Claims:
        about = await self._about()
        if issuer != self._issuer and (issuer is not None or about.names_itself):
            raise refused("Another provider sent you back than the one we sent you to.")
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        form |= {"redirect_uri": redirect_uri}
        sent, user = self._proven(form, about, credential)
        answer = await self._fetch.post(about.token, sent, user=user)
        id_token, access_token = answer.get("id_token"), answer.get("access_token")
        if not isinstance(id_token, str) or not isinstance(access_token, str):
            raise refused("The provider gave no ID token.")
        header, claims = await self._opened(id_token, about)
        subject = tokens.checked(
            header,
            claims,
            issuer=self._issuer,
            client=self._client,
            nonce=nonce,
            access_token=access_token,
            now=self._now(),
        )
        info = await self._fetch.get(about.userinfo, token=access_token) if about.userinfo else {}
        return tokens.told(subject, claims, info, issuer=self._issuer, groups=self._groups, trust=self._trust)

    @override
    async def goodbye(self, *, redirect_uri: str) -> str:
        from authlib.common.urls import add_params_to_uri  # noqa: PLC0415 - only with a provider

        about = await self._about()
        wanted = [("client_id", self._client), ("post_logout_redirect_uri", redirect_uri)]
        return str(add_params_to_uri(about.goodbye, wanted)) if about.goodbye else ""

    @override
    async def ended(self, token: str) -> tuple[str, int]:
        _, claims = await self._opened(token, await self._about())
        return tokens.goodbye(claims, issuer=self._issuer, client=self._client, now=self._now())

    async def close(self) -> None:
        """Let go of the connections."""
        await self._fetch.close()

    def _proven(
        self, form: dict[str, str], about: Metadata, credential: Credential
    ) -> tuple[dict[str, str], tuple[str, str] | None]:
        """Return the form and the header's user that show who we are, the way the provider wants it."""
        if not credential:
            return form | {"client_id": self._client}, None
        if about.secret_in_form:
            return form | {"client_id": self._client, "client_secret": credential.reveal()}, None
        # RFC 6749 2.3.1: both are packed before they are joined.
        return form, (quote_plus(self._client), quote_plus(credential.reveal()))

    async def _opened(self, token: str, about: Metadata) -> tuple[dict[str, Any], dict[str, Any]]:
        kid = tokens.kid_of(token)
        now = self._clock.now()
        kept = self._keys
        if kept is None or now - kept[0] > FRESH or (not tokens.knows(kept[1], kid) and now - kept[0] >= AGAIN):
            kept = self._keys = (now, await self._fetch.get(about.keys))
        return tokens.opened(token, kept[1], algorithms=about.algorithms)

    async def _about(self) -> Metadata:
        now = self._clock.now()
        if self._metadata is None or now - self._metadata[0] > FRESH:
            found = await self._fetch.get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            try:
                self._metadata = (now, read(found, issuer=self._issuer))
            except Denied as error:
                log.warning("The sign-in provider cannot be used: %s", error.message)
                raise
        return self._metadata[1]

    def _now(self) -> int:
        return int(self._clock.now().timestamp())
