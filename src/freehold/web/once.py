"""
Requests that make something under an `Idempotency-Key`: the same request again is answered as the first was.

What commits in the database in one go remembers its key in the same transaction and does not need this; this is
for what is made at the gateway, whose store no transaction of ours spans.
"""

from collections.abc import Awaitable, Callable

from freehold.audit.canonical import digest
from freehold.store.outbox import Idempotency
from freehold.store.threads import in_thread
from freehold.web.state import State


async def once(
    state: State, tenant: str | None, place: str, key: str, body: object, make: Callable[[], Awaitable[str]]
) -> str:
    """Return the name of what `make` makes, or of what it made for the same request before."""
    if not key:
        return await make()
    made = await in_thread(_before, state, tenant or "", place, key, digest(body))
    if made is None:
        made = await make()
        await in_thread(_keep, state, tenant or "", place, key, digest(body), made)
    return made


def _before(state: State, tenant: str, place: str, key: str, asked: str) -> str | None:
    with state.store.read() as platform:
        return Idempotency(platform.connection, tenant).made(place, key, asked)


def _keep(state: State, tenant: str, place: str, key: str, asked: str, made: str) -> None:
    with state.store.write() as platform:
        idempotency = Idempotency(platform.connection, tenant)
        if idempotency.made(place, key, asked) is None:
            idempotency.keep(place, key, asked, made, at=state.clock.now())
