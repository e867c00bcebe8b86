"""
Routing: which connections a call to a model may go by, in the order they are tried.

What was found out is remembered until something about connections, secrets, levels or accounts changes: `Ways` holds
it with the credential opened, so a call in between reads nothing. Another provider is put in with one change, and the
next call goes there.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final, final
from urllib.parse import urlsplit

from sqlalchemy import Connection as Tx

from freehold.catalog.providers import presets
from freehold.core.errors import Denied, FreeholdError, Invalid
from freehold.core.money import Level
from freehold.gateway import connections, secrets
from freehold.gateway.asked import Behalf
from freehold.gateway.calls import levels
from freehold.gateway.calls.cooling import Place
from freehold.gateway.connections import REHEARSAL, Connected, Drivers
from freehold.gateway.formats import ModelDriver
from freehold.gateway.keeping import Keep
from freehold.gateway.money import accounts
from freehold.gateway.money.prices import Price, Prices
from freehold.gateway.ports import Credential

REMEMBERED: Final = 10_000
"""Ways that are remembered at most; then all are found anew."""
_KNOBS: Final = "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where calls to a model go."""

    connected: Connected
    model: str
    """As the provider calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A route with all that a call by it takes."""

    driver: ModelDriver
    connected: Connected
    model: str
    credential: Credential
    price: Price
    own: bool
    """Whether the tenant pays the provider itself."""
    level: str
    """The alias that led here, if one did."""
    host: str
    place: Place
    behalf: Behalf

    @property
    def name(self) -> str:
        """The route as people write it."""
        return f"{self.connected.name}/{self.model}"


@final
class Ways:
    """Finds ways, and remembers them while nothing changes."""

    def __init__(self, keep: Keep, drivers: Drivers, prices: Prices, *, rehearsal: bool) -> None:
        """Find among `drivers`; `rehearsal` allows the built-in model."""
        self._keep, self._drivers, self._prices, self._rehearsal = keep, drivers, prices, rehearsal
        self._known: dict[tuple[str, str], tuple[Way, ...]] = {}
        self._generation, self._day = -1, date.min

    async def find(self, tenant: str, model: str) -> tuple[Way, ...]:
        """
        Return the ways to `model` for `tenant`, at least one.

        Raises `Invalid` (`unknown_model`) where there is none, `Denied` (`region_refused`) where none is allowed.
        """
        today = self._keep.now().date()  # prices hold from a day on
        if (self._generation, self._day) != (self._keep.generation, today) or len(self._known) > REMEMBERED:
            self._known, self._generation, self._day = {}, self._keep.generation, today
        found = self._known.get((tenant, model))
        if found is None:
            before = self._keep.generation
            found = await self._keep.read(lambda tx: self._found(tx, tenant, model))
            if before == self._generation == self._keep.generation:
                self._known[tenant, model] = found
        return found

    def _found(self, tx: Tx, tenant: str, model: str) -> tuple[Way, ...]:
        found = routes(tx, self._drivers, tenant=tenant, model=model, rehearsal=self._rehearsal)
        allowed = accounts.find(tx, tenant=tenant).regions
        within = [route for route in found if not allowed or region_of(route.connected) in allowed]
        if not within:
            raise Denied(
                f"The model {model[:80]!r} is not in a region where this tenant's data may go.",
                code="region_refused",
                remedy=f"Use a connection in one of: {', '.join(sorted(allowed))}; or state the connection's region.",
            )
        return tuple(self._way(tx, tenant, route, model) for route in within)

    def _way(self, tx: Tx, tenant: str, route: Route, model: str) -> Way:
        connected = route.connected
        kind, config = connected.kind, connected.config
        preset = presets().get(kind)
        return Way(
            driver=self._drivers.models[kind],
            connected=connected,
            model=route.model,
            credential=secrets.opened(tx, self._keep, tenant=connected.owner, name=connected.secret),
            price=self._prices.of(kind, config, route.model),
            own=bool(tenant) and connected.owner == tenant,
            level=model if model in set(Level) else "",
            host=urlsplit(preset.base_url_of(config)).netloc if preset else "",
            place=(connected.owner, connected.name, connected.secret or "", route.model),
            behalf=connected.behalf(tenant),
        )


def routes(tx: Tx, drivers: Drivers, *, tenant: str, model: str, rehearsal: bool) -> tuple[Route, ...]:
    """
    Return where calls to `model` go: by the routes of a level, by CONNECTION/MODEL, or by a bare name.

    Of a level, a route that leads nowhere any more is left out as long as another is there.
    """
    if model not in set(Level):
        return (_route(tx, drivers, tenant=tenant, model=model, rehearsal=rehearsal),)
    found: list[Route] = []
    wrong: FreeholdError = Invalid(
        f"Nobody said which model the level {model!r} is.",
        code="unknown_model",
        remedy=f"Say it with: freehold level set {model} CONNECTION/MODEL",
    )
    for route in levels.chain(tx, tenant=tenant, level=model):
        try:
            found.append(_route(tx, drivers, tenant=tenant, model=route, rehearsal=rehearsal))
        except Invalid as error:
            wrong = error
    if not found:
        raise wrong
    return tuple(found)


def region_of(connected: Connected) -> str:
    """Return the region that a connection is in, as it says itself or else as its kind says; empty where nobody did."""
    preset = presets().get(connected.kind)
    return preset.region_of(connected.config) if preset else "own"


def _route(tx: Tx, drivers: Drivers, *, tenant: str, model: str, rehearsal: bool) -> Route:
    if model.partition(_KNOBS)[0] == REHEARSAL:
        return _rehearsal(tx, drivers, model, allowed=rehearsal)
    name, slash, rest = model.partition("/")
    connected = connections.find(tx, drivers, tenant=tenant, name=name) if slash else _only(tx, drivers, tenant)
    asked = rest if slash else model
    if connected is None or connected.kind not in drivers.models or connected.name == REHEARSAL or not asked:
        raise Invalid(
            f"There is no model {model[:80]!r}.",
            code="unknown_model",
            remedy="Write CONNECTION/MODEL, with a connection made by: "
            "freehold connection create openai NAME --base-url URL",
        )
    found = Route(connected=connected, model=asked)
    drivers.models[found.connected.kind].check(found.model)
    return found


def _rehearsal(tx: Tx, drivers: Drivers, model: str, *, allowed: bool) -> Route:
    connected = connections.find(tx, drivers, tenant=None, name=REHEARSAL)
    if connected is None or not allowed:
        raise Invalid(
            "The rehearsal model is for demonstrations and tests, and is switched off here.",
            code="unknown_model",
            remedy="Use CONNECTION/MODEL, or start the platform with FREEHOLD_REHEARSAL=1.",
        )
    drivers.models[connected.kind].check(model)
    return Route(connected=connected, model=model)


def _only(tx: Tx, drivers: Drivers, tenant: str) -> Connected | None:
    visible = connections.of_models(tx, drivers, tenant=tenant)
    return visible[0] if len(visible) == 1 else None
