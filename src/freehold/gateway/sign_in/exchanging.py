"""What both ways to a consent end in: the provider is asked for tokens, and they are kept as an account."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from sqlalchemy import Connection as Tx

from freehold.audit.recording import PLATFORM
from freehold.core.errors import FreeholdError, Invalid, NotFound, Unavailable
from freehold.gateway import connections, secrets, tokens
from freehold.gateway.connections import Drivers
from freehold.gateway.keeping import Keep
from freehold.gateway.oauth import Terms, required
from freehold.gateway.outward.exchange import Sent
from freehold.gateway.ports import Credential
from freehold.gateway.sign_in import begun, knowing, shaping
from freehold.gateway.sign_in.asking import Asking
from freehold.gateway.tokens import Account

WAITING: Final = frozenset({"authorization_pending", "slow_down"})
"""What a provider says where somebody has yet to agree on another device."""
ENDS: Final = {
    "access_denied": begun.DENIED,
    "authorization_declined": begun.DENIED,
    "expired_token": begun.EXPIRED,
}
"""What becomes of a sign-in by what the provider says; all else is a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """Somebody who came back rightly, and what to ask the provider for them."""

    sign_in: str
    owner: str
    connection: str
    terms: Terms
    secret: Credential
    sent: Sent
    by: str
    nonce: str = ""
    issuer: str = ""
    again: bool = False
    """Whether the provider may be asked once more where it could not be asked."""


@final
class Exchange:
    """Turns what somebody came back with into an account."""

    def __init__(self, keep: Keep, drivers: Drivers, asking: Asking) -> None:
        """Ask providers by `asking`."""
        self._keep, self._drivers, self._asking = keep, drivers, asking

    async def account(self, came: Back) -> Account:
        """
        Return the account that the provider's tokens open, once they are kept.

        Unless it only says to wait, whatever it says else is the end of the sign-in.
        """
        try:
            account = await self._account(came)
        except FreeholdError as error:
            said = error.said if isinstance(error, shaping.ProviderRefused) else ""
            if said not in WAITING and not (came.again and isinstance(error, Unavailable)):
                await self._keep.write(lambda tx: begun.end(tx, came.sign_in, ENDS.get(said, begun.FAILED)))
            raise
        self._keep.changed()
        return account

    async def _account(self, came: Back) -> Account:
        terms, owner = came.terms, came.owner
        said = await self.ask(came.sent, owner)
        granted = shaping.granted(terms, said)
        claims = knowing.claims(terms, said, nonce=came.nonce, issuer=came.issuer, at=self._keep.now())
        about = await self._asking.about(terms, granted.access, owner=owner)
        named = knowing.account_in(terms, claims, about, said)
        for credential in (granted.access, granted.refresh, came.secret):
            named = credential.scrub(named)

        def work(tx: Tx) -> Account:
            row = begun.find(tx, came.sign_in)
            if row is None or self.same(tx, row, {"mark": terms.mark}) is None:
                raise begun.changed()
            begun.end(tx, came.sign_in, begun.CONNECTED)
            return tokens.connect(
                tx,
                self._keep,
                owner=owner,
                connection=came.connection,
                granted=granted,
                scopes=terms.provider.scopes if granted.scopes is None else granted.scopes,
                account=named,
                provider=terms.host,
                by=came.by,
            )

        return await self._keep.write(work)

    async def ask(self, sent: Sent, owner: str) -> dict[str, Any]:
        """Return what a provider answers."""
        return await self._asking.ask(sent, owner=owner)

    def asks(self, tx: Tx, owner: str, connection: str, by: str, what: str) -> tuple[Terms, Credential]:
        """Write down that the provider is asked, and return how and as whom."""
        terms = self.terms(tx, owner, connection)
        secret = secrets.opened(tx, self._keep, tenant=owner, name=terms.secret)
        self.note(tx, owner, connection, by, "sign_in.ask", {"what": what, "provider": terms.host})
        return terms, secret

    def terms(self, tx: Tx, owner: str, connection: str) -> Terms:
        """Return how a connection of `owner` itself is signed in; raise `NotFound` or `Invalid` where it is not."""
        found = connections.find(tx, self._drivers, tenant=owner, name=connection)
        if found is None or found.owner != owner:
            raise connections.missing(connection)
        return required(found.config, connection)

    def same(self, tx: Tx, row: Any, told: Mapping[str, Any]) -> Terms | None:
        """Return the terms of a connection, if they are those under which somebody was sent off."""
        try:
            terms = self.terms(tx, row.tenant, row.connection)
        except (NotFound, Invalid):
            return None
        return terms if terms.mark == told.get("mark") else None

    def note(self, tx: Tx, owner: str, connection: str, by: str, action: str, detail: Mapping[str, Any]) -> None:
        """Write down what somebody did about the account of a connection."""
        tenant = None if owner == PLATFORM else owner
        self._keep.note(tx, tenant, actor=by, action=action, subject=connection, detail=detail)
