"""
A person's way to the provider and back, in the browser they sit at.

Whoever comes back is whoever was sent, with the state they were sent off with, and once. A code is turned into tokens
under the terms it was asked for, or not at all.
"""

import secrets as randomness
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest
from typing import Any, Final, final

from sqlalchemy import Connection as Tx

from freehold.audit.recording import PLATFORM
from freehold.core.errors import Denied, FreeholdError
from freehold.gateway.keeping import Keep
from freehold.gateway.oauth import Terms
from freehold.gateway.sign_in import begun, shaping, signed
from freehold.gateway.sign_in.exchanging import Back, Exchange
from freehold.gateway.sign_in.shaping import Departure

LASTS: Final = timedelta(minutes=15)
"""How long somebody may stay away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What a browser brought back, and who sits at it."""

    state: str
    code: str | None
    error: str | None
    issuer: str | None
    by: str


@final
class Flows:
    """Takes people to providers and back."""

    def __init__(self, keep: Keep, exchange: Exchange) -> None:
        """Leave what comes after to `exchange`."""
        self._keep, self._exchange = keep, exchange

    async def start(self, *, owner: str, connection: str, by: str, redirect_uri: str) -> dict[str, Any]:
        """Begin, and return where the browser of `by` is to be sent."""
        sign_in, until = self._keep.new_id("sgn"), self._keep.now() + LASTS
        departure = Departure(
            state=f"{sign_in}.{randomness.token_urlsafe(32)}",
            verifier=randomness.token_urlsafe(48),
            nonce=randomness.token_urlsafe(24),
            redirect_uri=redirect_uri,
        )

        terms, token = await self._token(owner, connection, by, departure)

        def work(tx: Tx) -> None:
            sealed = {name: getattr(departure, name) for name in Departure.__slots__} | {"mark": terms.mark} | token
            named = {"owner": owner, "sign_in": sign_in, "connection": connection, "by": by}
            begun.begin(tx, self._keep, told=sealed, until=until, **named)
            self._exchange.note(tx, owner, connection, by, "sign_in.start", {"provider": terms.host})

        await self._keep.write(work)
        url = signed.address(terms, token["token"]) if token else shaping.address(terms, departure)
        told = {"id": sign_in, "url": url, "expires_at": until}
        return told | {"scopes": list(terms.provider.scopes), "provider": terms.host, "name": terms.provider.name}

    async def _token(self, owner: str, connection: str, by: str, departure: Departure) -> tuple[Terms, dict[str, str]]:
        """Return how a connection is signed in, and the token to be sent off with where its provider wants one."""
        terms = await self._keep.read(lambda tx: self._exchange.terms(tx, owner, connection))
        if not terms.signed:
            return terms, {}
        terms, secret = await self._keep.write(lambda tx: self._exchange.asks(tx, owner, connection, by, "request"))
        sent = signed.requested(terms, departure, secret, at=self._keep.now())
        return terms, signed.token_in(await self._exchange.ask(sent, owner))

    async def finish(self, arrival: Arrival) -> dict[str, Any]:
        """Turn what came back into an account, and return whose it is."""
        came = await self._keep.write(lambda tx: self._came(tx, arrival))
        if isinstance(came, FreeholdError):
            raise came
        account = await self._exchange.account(came)
        told = {"connection": account.connection, "account": account.account, "scopes": list(account.scopes)}
        return told | {"tenant": None if account.owner == PLATFORM else account.owner}

    def _came(self, tx: Tx, arrival: Arrival) -> Back | FreeholdError:
        """Return who came back rightly, which nobody can do twice; else what is wrong with it."""
        row = begun.find(tx, arrival.state.partition(".")[0])
        told = {} if row is None else begun.opened(tx, self._keep, row)
        expected = compare_digest(str(told.get("state", "")).encode(), arrival.state.encode())
        if row is None or row.started_by != arrival.by or not expected:
            if row is not None:
                self._refuse(tx, row, arrival, "another state" if row.started_by == arrival.by else "another person")
            return begun.unknown()
        if row.outcome or begun.state(row, self._keep.now()) != "waiting":
            return begun.over()
        wrong = self._wrong(tx, row, told, arrival)
        if wrong is not None:
            begun.end(tx, row.id, begun.DENIED if arrival.error == "access_denied" else begun.FAILED)
            self._refuse(tx, row, arrival, wrong.code)
            return wrong
        return self._spend(tx, row, told, arrival)

    def _spend(self, tx: Tx, row: Any, told: Mapping[str, Any], arrival: Arrival) -> Back:
        begun.end(tx, row.id, begun.SPENT)
        terms, secret = self._exchange.asks(tx, row.tenant, row.connection, arrival.by, "code")
        departure, code = Departure(**{name: told[name] for name in Departure.__slots__}), arrival.code or ""
        if terms.signed:
            sent = signed.exchanged(terms, told, code, secret, at=self._keep.now())
        else:
            sent = shaping.request(terms, terms.provider.token, shaping.code_form(terms, departure, code), secret)
        return Back(
            sign_in=row.id,
            owner=row.tenant,
            connection=row.connection,
            terms=terms,
            secret=secret,
            sent=sent,
            by=arrival.by,
            nonce=departure.nonce,
            issuer=arrival.issuer or "",
        )

    def _refuse(self, tx: Tx, row: Any, arrival: Arrival, why: str) -> None:
        self._exchange.note(tx, row.tenant, row.connection, arrival.by, "sign_in.refuse", {"why": why})

    def _wrong(self, tx: Tx, row: Any, told: Mapping[str, Any], arrival: Arrival) -> FreeholdError | None:
        terms = self._exchange.same(tx, row, told)
        if terms is None:
            return begun.changed()
        if not shaping.same_issuer(terms, arrival.issuer):
            return shaping.ProviderRefused("wrong_issuer")
        if arrival.error == "access_denied":
            return Denied(
                "The provider was told not to let us in.",
                code="sign_in_denied",
                remedy="Begin again if that was a mistake: freehold connection connect " + row.connection,
            )
        return shaping.ProviderRefused(arrival.error or "no_code") if arrival.error or not arrival.code else None
