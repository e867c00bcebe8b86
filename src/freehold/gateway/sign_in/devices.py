"""Signing in from another device (RFC 8628): a person types a code there, and the provider is asked now and then."""

from datetime import datetime, timedelta
from typing import Any, Final, final

from sqlalchemy import Connection as Tx

from freehold.core.errors import Unavailable
from freehold.gateway import secrets, tokens
from freehold.gateway.keeping import Keep
from freehold.gateway.oauth import bad
from freehold.gateway.sign_in import begun, shaping
from freehold.gateway.sign_in.asking import Asking
from freehold.gateway.sign_in.exchanging import ENDS, WAITING, Back, Exchange

LONGEST: Final = timedelta(minutes=30)
INTERVAL: Final = 5.0
MOST_INTERVAL: Final = 60.0


@final
class Devices:
    """Lets people sign in from another device."""

    def __init__(self, keep: Keep, asking: Asking, exchange: Exchange) -> None:
        """Ask providers by `asking`, and leave the rest to `exchange`."""
        self._keep, self._asking, self._exchange = keep, asking, exchange
        self._polled: dict[str, tuple[datetime, float]] = {}
        """When each provider may be asked next, and how long it wants to be left alone in between."""

    async def start(self, *, owner: str, connection: str, by: str) -> dict[str, Any]:
        """Begin, and return what `by` has to type where."""
        terms, secret = await self._keep.write(lambda tx: self._exchange.asks(tx, owner, connection, by, "device"))
        if not terms.provider.device:
            raise bad("This provider signs nobody in on another device.")
        sent = shaping.request(terms, terms.provider.device, shaping.device_form(terms), secret)
        said = shaping.device(await self._asking.ask(sent, owner=owner))
        sign_in, until = self._keep.new_id("sgn"), self._keep.now() + min(said.lasts, LONGEST)
        told = {"device_code": said.code, "mark": terms.mark}
        named = {"owner": owner, "sign_in": sign_in, "connection": connection, "by": by}
        await self._keep.write(lambda tx: begun.begin(tx, self._keep, told=told, until=until, **named))
        interval = min(said.interval, MOST_INTERVAL) if said.interval >= 1 else INTERVAL
        self._later(sign_in, interval)
        shown = {name: getattr(said, name) for name in ("user_code", "uri", "uri_complete")}
        return {"id": sign_in, "interval": interval, "expires_at": until} | shown

    async def poll(self, *, owner: str, sign_in: str, by: str) -> dict[str, Any]:
        """Return how it stands; the provider is asked if it is time to."""
        row = await self._keep.read(lambda tx: _theirs(tx, owner, sign_in, by))
        stands = begun.state(row, self._keep.now())
        if stands != "waiting":
            self._polled.pop(sign_in, None)
            return {"state": stands} | ({"account": await self._account(row)} if stands == begun.CONNECTED else {})
        due, interval = self._polled.get(sign_in, (self._keep.now(), INTERVAL))
        if self._keep.now() < due:
            return {"state": stands, "interval": interval}
        self._later(sign_in, interval)
        return await self._asked(row, interval)

    async def _asked(self, row: Any, interval: float) -> dict[str, Any]:
        came = await self._keep.write(lambda tx: self._polls(tx, row))
        if came is None:
            raise begun.changed()
        try:
            account = await self._exchange.account(came)
        except Unavailable:
            return {"state": "waiting", "interval": interval}
        except shaping.ProviderRefused as refused:
            return self._refused(row.id, refused.said, interval)
        return {"state": begun.CONNECTED, "account": account.account}

    def _refused(self, sign_in: str, said: str, interval: float) -> dict[str, Any]:
        if said not in WAITING:
            self._polled.pop(sign_in, None)
            return {"state": ENDS.get(said, begun.FAILED)}
        interval = min(interval + (INTERVAL if said == "slow_down" else 0.0), MOST_INTERVAL)
        self._later(sign_in, interval)
        return {"state": "waiting", "interval": interval}

    def _later(self, sign_in: str, interval: float) -> None:
        now = self._keep.now()
        self._polled = {one: when for one, when in self._polled.items() if when[0] > now - LONGEST}
        self._polled[sign_in] = (now + timedelta(seconds=interval), interval)

    def _polls(self, tx: Tx, row: Any) -> Back | None:
        told = begun.opened(tx, self._keep, row)
        terms = self._exchange.same(tx, row, told)
        if terms is None or "device_code" not in told:
            begun.end(tx, row.id, begun.FAILED)
            return None
        secret = secrets.opened(tx, self._keep, tenant=row.tenant, name=terms.secret)
        place = {"sign_in": row.id, "owner": row.tenant, "connection": row.connection, "by": row.started_by}
        sent = shaping.request(terms, terms.provider.token, shaping.poll_form(told["device_code"]), secret)
        return Back(terms=terms, secret=secret, sent=sent, again=True, **place)

    async def _account(self, row: Any) -> str:
        found = await self._keep.read(lambda tx: tokens.find(tx, owner=row.tenant, connection=row.connection))
        return found.account if found else ""


def _theirs(tx: Tx, owner: str, sign_in: str, by: str) -> Any:
    row = begun.find(tx, sign_in)
    if row is None or row.tenant != owner or row.started_by != by:
        raise begun.unknown()
    return row
