"""People for tests of web: somebody, their place in a tenant, the browser they are signed in with."""

import hashlib
import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any

from freehold.core.people import Member, Person, Role, Session, SignIn
from freehold.core.tenants import Tenant
from freehold.tenants.marks import mark_of
from freehold.web.head import COOKIE
from tests.webs import ADDRESS, Web


def person(web: Web, email: str = "", **fields: Any) -> Person:
    """Let there be somebody who can sign in."""
    identity = web.state.ids("per")
    made = Person(id=identity, email=email or f"{identity}@example.com", created_at=web.clock.now(), **fields)
    made = replace(made, seal=mark_of(web.state.seal, made))
    with web.state.store.write() as platform:
        platform.people.add(made)
    return made


def member(web: Web, tenant: Tenant, role: Role, who: Person | None = None, **fields: Any) -> Person:
    """Let somebody have a place in the tenant, and return who it is."""
    found, at = who or person(web), web.clock.now()
    made = Member(id=web.state.ids("mem"), tenant=tenant.id, person=found.id, role=role, created_at=at, **fields)
    with web.state.store.tenant(tenant.id).write() as scope:
        scope.members.add(replace(made, seal=mark_of(web.state.seal, made)))
    return found


def changed(web: Web, tenant: Tenant, who: Person, **fields: Any) -> None:
    """Let somebody be something else in the tenant from now on."""
    with web.state.store.tenant(tenant.id).write() as scope:
        found = scope.members.of_person(who.id)
        assert found is not None
        found = replace(found, **fields)
        scope.members.save(replace(found, seal=mark_of(web.state.seal, found)))


def signed_in(web: Web, who: Person, **fields: Any) -> dict[str, str]:
    """Let somebody be signed in, and return what their browser sends from a page of ours."""
    value, at = secrets.token_urlsafe(32), web.clock.now()
    told: dict[str, Any] = {"way": SignIn.CODE, "strong": True, "expires_at": at + timedelta(days=7)} | fields
    made = Session(
        id=web.state.ids("ses"),
        person=who.id,
        hash=hashlib.sha256(value.encode()).hexdigest(),
        created_at=at,
        seen_at=at,
        **told,
    )
    with web.state.store.write() as platform:
        platform.sessions.add(replace(made, seal=mark_of(web.state.seal, made)))
    return {"Cookie": f"{COOKIE}={value}", "Origin": f"http://{ADDRESS}"}
