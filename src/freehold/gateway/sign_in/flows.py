"""
A person's way to the provider and back: in the browser they sit at, or on another device by a code.

Whoever comes back is whoever was sent, with the state they were sent off with, and once. A code is turned into tokens
under the terms it was asked for, or not at all.
"""

import secrets as randomness
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any, Final, final

from sqlalchemy import Connection as Tx

from freehold.audit.recording import PLATFORM
from freehold.core.errors import Denied, FreeholdError, Invalid, NotFound, Unavailable
from freehold.gateway import connections, secrets, tokens
from freehold.gateway.connections import Drivers
from freehold.gateway.keeping import Keep
from freehold.gateway.oauth import Terms, bad, required
from freehold.gateway.ports import Credential
from freehold.gateway.sign_in import begun, knowing, shaping
from freehold.gateway.sign_in.asking import Asking
from freehold.gateway.sign_in.shaping import Departure
from freehold.gateway.tokens import Account

LASTS: Final = timedelta(minutes=15)
MOST_DEVICE: Final = timedelta(minutes=30)
INTERVAL: Final = 5.0
MOST_INTERVAL: Final = 60.0
WAITING: Final = frozenset({"authorization_pending", "slow_down"})
_ENDS: Final = {"access_denied": begun.DENIED, "authorization_declined": begun.DENIED}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Back:
    """Somebody who came back rightly, and what to ask the provider for them."""

    sign_in: str
    owner: str
    connection: str
    terms: Terms
    secret: Credential
    form: Mapping[str, str]
    by: str
    nonce: str = ""
    issuer: str = ""


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

    def __init__(self, keep: Keep, drivers: Drivers, asking: Asking) -> None:
        """Ask providers by `asking`."""
        self._keep, self._drivers, self._asking = keep, drivers, asking
        self._polled: dict[str, tuple[datetime, float]] = {}
        """When each sign-in on another device may be asked for next, and how long it waits in between."""

    async def start(self, *, owner: str, connection: str, by: str, redirect_uri: str) -> dict[str, Any]:
        """Begin, and return where the browser of `by` is to be sent."""
        sign_in, until = self._keep.new_id("sgn"), self._keep.now() + LASTS
        departure = Departure(
            state=f"{sign_in}.{randomness.token_urlsafe(32)}",
            verifier=randomness.token_urlsafe(48),
            nonce=randomness.token_urlsafe(24),
            redirect_uri=redirect_uri,
        )

        def work(tx: Tx) -> Terms:
            terms = self._terms(tx, owner, connection)
            told = {name: getattr(departure, name) for name in Departure.__slots__} | {"mark": terms.mark}
            named = {"owner": owner, "sign_in": sign_in, "connection": connection, "by": by}
            begun.begin(tx, self._keep, told=told, until=until, **named)
            self._note(tx, owner, connection, by, "account.start", {"provider": terms.host})
            return terms

        terms = await self._keep.write(work)
        told = {"id": sign_in, "url": shaping.address(terms, departure), "expires_at": until}
        return told | {"scopes": list(terms.provider.scopes), "provider": terms.host, "name": terms.provider.name}

    async def finish(self, arrival: Arrival) -> dict[str, Any]:
        """Turn what came back into an account, and return whose it is."""
        came = await self._keep.write(lambda tx: self._came(tx, arrival))
        if isinstance(came, FreeholdError):
            raise came
        return self._told(await self._exchanged(came))

    async def start_device(self, *, owner: str, connection: str, by: str) -> dict[str, Any]:
        """Begin on another device, and return what its person has to type there."""
        terms, secret = await self._keep.write(lambda tx: self._asks(tx, owner, connection, by, "device"))
        if not terms.provider.device:
            raise bad("This provider signs nobody in on another device.")
        sent = shaping.request(terms, terms.provider.device, shaping.device_form(terms), secret)
        said = shaping.device(await self._asking.ask(sent, owner=owner))
        sign_in, until = self._keep.new_id("sgn"), self._keep.now() + min(said.lasts, MOST_DEVICE)
        told = {"device_code": said.code, "mark": terms.mark}
        named = {"owner": owner, "sign_in": sign_in, "connection": connection, "by": by}
        await self._keep.write(lambda tx: begun.begin(tx, self._keep, told=told, until=until, **named))
        interval = min(max(said.interval or INTERVAL, 1.0), MOST_INTERVAL)
        self._later(sign_in, interval)
        return {
            "id": sign_in,
            "user_code": said.user_code,
            "uri": said.uri,
            "uri_complete": said.uri_complete,
            "interval": interval,
            "expires_at": until,
        }

    async def poll(self, *, owner: str, sign_in: str, by: str) -> dict[str, Any]:
        """Return how a sign-in on another device stands; the provider is asked if it is time to."""
        row = await self._keep.read(lambda tx: self._theirs(tx, owner, sign_in, by))
        stands = begun.state(row, self._keep.now())
        if stands != "waiting":
            self._polled.pop(sign_in, None)
            return {"state": stands} | ({"account": await self._account(row)} if stands == begun.CONNECTED else {})
        due, interval = self._polled.get(sign_in, (self._keep.now(), INTERVAL))
        if self._keep.now() < due:
            return {"state": "waiting", "interval": interval}
        self._later(sign_in, interval)
        came = await self._keep.write(lambda tx: self._polls(tx, row))
        if isinstance(came, FreeholdError):
            raise came
        try:
            account = await self._exchanged(came, patient=True)
        except shaping.ProviderRefused as refused:
            return self._refused(sign_in, refused, interval)
        return {"state": begun.CONNECTED, "account": account.account}

    def _refused(self, sign_in: str, refused: shaping.ProviderRefused, interval: float) -> dict[str, Any]:
        if refused.said in WAITING:
            interval = min(interval + (INTERVAL if refused.said == "slow_down" else 0.0), MOST_INTERVAL)
            self._later(sign_in, interval)
            return {"state": "waiting", "interval": interval}
        self._polled.pop(sign_in, None)
        return {"state": "expired" if refused.said == "expired_token" else _ENDS.get(refused.said, begun.FAILED)}

    def _later(self, sign_in: str, interval: float) -> None:
        now = self._keep.now()
        self._polled = {one: when for one, when in self._polled.items() if when[0] > now - MOST_DEVICE}
        self._polled[sign_in] = (now + timedelta(seconds=interval), interval)

    def _came(self, tx: Tx, arrival: Arrival) -> _Back | FreeholdError:
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

    def _spend(self, tx: Tx, row: Any, told: Mapping[str, Any], arrival: Arrival) -> _Back:
        begun.end(tx, row.id, begun.SPENT)
        terms, secret = self._asks(tx, row.tenant, row.connection, arrival.by, "code")
        departure = Departure(**{name: told[name] for name in Departure.__slots__})
        return _Back(
            sign_in=row.id,
            owner=row.tenant,
            connection=row.connection,
            terms=terms,
            secret=secret,
            form=shaping.code_form(terms, departure, arrival.code or ""),
            by=arrival.by,
            nonce=departure.nonce,
            issuer=arrival.issuer or "",
        )

    def _refuse(self, tx: Tx, row: Any, arrival: Arrival, why: str) -> None:
        self._note(tx, row.tenant, row.connection, arrival.by, "account.refuse", {"why": why})

    def _wrong(self, tx: Tx, row: Any, told: Mapping[str, Any], arrival: Arrival) -> FreeholdError | None:
        terms = self._same(tx, row, told)
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

    def _polls(self, tx: Tx, row: Any) -> _Back | FreeholdError:
        told = begun.opened(tx, self._keep, row)
        terms = self._same(tx, row, told)
        if terms is None or "device_code" not in told:
            begun.end(tx, row.id, begun.FAILED)
            return begun.changed()
        secret = secrets.opened(tx, self._keep, tenant=row.tenant, name=terms.secret)
        place = {"sign_in": row.id, "owner": row.tenant, "connection": row.connection, "by": row.started_by}
        return _Back(terms=terms, secret=secret, form=shaping.poll_form(told["device_code"]), **place)

    async def _exchanged(self, came: _Back, *, patient: bool = False) -> Account:
        """Return the account that the provider's tokens open, once they are kept; `patient`: it may say to wait."""
        try:
            return await self._asked(came)
        except FreeholdError as error:
            said = error.said if isinstance(error, shaping.ProviderRefused) else ""
            if not (patient and (isinstance(error, Unavailable) or said in WAITING)):
                outcome = _ENDS.get(said, begun.FAILED)
                await self._keep.write(lambda tx: begun.end(tx, came.sign_in, outcome))
            raise

    async def _asked(self, came: _Back) -> Account:
        terms, owner = came.terms, came.owner
        sent = shaping.request(terms, terms.provider.token, came.form, came.secret)
        said = await self._asking.ask(sent, owner=owner)
        granted = shaping.granted(terms, said)
        claims = knowing.claims(terms, said, nonce=came.nonce, issuer=came.issuer, at=self._keep.now())
        about = {}
        if terms.provider.about:
            about = await self._asking.about(terms.provider.about, granted.access, owner=owner)
        named = knowing.account_in(terms, claims, about, said)
        for credential in (granted.access, granted.refresh, came.secret):
            named = credential.scrub(named)

        def work(tx: Tx) -> Account:
            row = begun.find(tx, came.sign_in)
            if row is None or self._same(tx, row, {"mark": terms.mark}) is None:
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

        account = await self._keep.write(work)
        self._keep.changed()
        return account

    def _theirs(self, tx: Tx, owner: str, sign_in: str, by: str) -> Any:
        row = begun.find(tx, sign_in)
        if row is None or row.tenant != owner or row.started_by != by:
            raise begun.unknown()
        return row

    async def _account(self, row: Any) -> str:
        found = await self._keep.read(lambda tx: tokens.find(tx, owner=row.tenant, connection=row.connection))
        return found.account if found else ""

    def _asks(self, tx: Tx, owner: str, connection: str, by: str, what: str) -> tuple[Terms, Credential]:
        """Write down that the provider is asked, and return how and as whom."""
        terms = self._terms(tx, owner, connection)
        secret = secrets.opened(tx, self._keep, tenant=owner, name=terms.secret)
        self._note(tx, owner, connection, by, "account.ask", {"what": what, "provider": terms.host})
        return terms, secret

    def _terms(self, tx: Tx, owner: str, connection: str) -> Terms:
        found = connections.find(tx, self._drivers, tenant=owner, name=connection)
        if found is None or found.owner != owner:
            raise connections.missing(connection)
        return required(found.config, connection)

    def _same(self, tx: Tx, row: Any, told: Mapping[str, Any]) -> Terms | None:
        """Return the terms of a connection, if they are those under which somebody was sent off."""
        try:
            terms = self._terms(tx, row.tenant, row.connection)
        except (NotFound, Invalid):
            return None
        return terms if terms.mark == told.get("mark") else None

    def _note(self, tx: Tx, owner: str, connection: str, by: str, action: str, detail: Mapping[str, Any]) -> None:
        tenant = None if owner == PLATFORM else owner
        self._keep.note(tx, tenant, actor=by, action=action, subject=connection, detail=detail)

    def _told(self, account: Account) -> dict[str, Any]:
        tenant = None if account.owner == PLATFORM else account.owner
        told = {"connection": account.connection, "account": account.account, "scopes": list(account.scopes)}
        return told | {"tenant": tenant}
