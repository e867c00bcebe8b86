"""Whoever is signed in: who they are, where they belong, and what they may do."""

import re
from dataclasses import replace
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, Field

from freehold.audit.canonical import fingerprint
from freehold.audit.database import note
from freehold.core.people import Member, Person
from freehold.core.tenants import Caller
from freehold.store.platform import Platform
from freehold.tenants.marks import genuine
from freehold.tenants.names import good_name
from freehold.web.access import TheCaller, TheState
from freehold.web.state import State
from freehold.web.views import Asked, Moment

router = APIRouter(prefix="/me", tags=["signing in"])

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")


PERSONAL: Final = ("email", "name")


def a_zone(name: str) -> str:
    """Return `name` if it is a time zone, or empty; raise `ValueError` where not."""
    try:
        return ZoneInfo(name).key if name else ""
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("it is no time zone; write one such as Europe/Berlin, or nothing") from error


def a_language(tag: str) -> str:
    """Return `tag` if it looks like a language, or is empty; raise `ValueError` where not."""
    if tag and not _LANGUAGE.fullmatch(tag):
        raise ValueError("it is no language; write a tag such as en or de-AT, or nothing")
    return tag


class Wanted(Asked):
    """What somebody wants to be different about themselves; what is not named stays as it is."""

    name: Annotated[str, Field(max_length=200)] | None = None
    time_zone: Annotated[str, Field(max_length=64), AfterValidator(a_zone)] | None = None
    """IANA name such as `Europe/Berlin`; empty for that of the tenant one looks at."""
    language: Annotated[str, Field(max_length=35), AfterValidator(a_language)] | None = None
    """BCP 47 tag such as `de-AT`; empty for that of the tenant."""


class PlaceView(BaseModel):
    """What somebody is in a tenant."""

    tenant: str
    slug: str
    name: str
    tenant_state: str
    member: str
    role: str
    state: str
    """A suspended member keeps the role and may do nothing with it."""
    scopes: list[str]


class MeView(BaseModel):
    """Whoever is signed in."""

    id: str
    email: str
    name: str
    time_zone: str
    language: str
    platform_role: str | None
    allowance: int
    created_at: Moment
    session: str
    way: str
    scopes: list[str]
    """What they may do to the whole platform in this session."""
    tenants: list[PlaceView]


@router.get("")
def show_me(caller: TheCaller, state: TheState) -> MeView:
    """Return who is signed in, and what they may do where."""
    with state.store.read() as platform:
        return _view(state, platform, _person(platform, caller), caller)


@router.patch("")
def change_me(caller: TheCaller, state: TheState, body: Wanted) -> MeView:
    """Change what one may change about oneself."""
    wanted = body.model_dump(exclude_none=True)
    if body.name is not None:
        wanted["name"] = good_name(body.name)
    with state.store.write() as platform:
        person = _person(platform, caller)
        changed = replace(person, **wanted)
        if changed != person:
            platform.people.save(changed)
            _note(state, platform, person, changed, caller)
        return _view(state, platform, changed, caller)


def _person(platform: Platform, caller: Caller) -> Person:
    found = platform.people.find(caller.person or "")
    if found is None:
        raise LookupError("Somebody who was let in is not there.")
    return found


def _note(state: State, platform: Platform, before: Person, after: Person, caller: Caller) -> None:
    note(
        platform.connection,
        at=state.clock.now(),
        tenant=None,
        actor=caller.actor,
        action="person.update",
        subject=after.id,
        personal={"name": after.name, "time_zone": after.time_zone, "language": after.language},
        before=fingerprint(before, *PERSONAL),
        after=fingerprint(after, *PERSONAL),
    )


def _view(state: State, platform: Platform, person: Person, caller: Caller) -> MeView:
    places = [place for place in platform.people.places(person.id) if genuine(state.seal, place)]
    return MeView(
        id=person.id,
        email=person.email,
        name=person.name,
        time_zone=person.time_zone,
        language=person.language,
        platform_role=None if person.platform_role is None else str(person.platform_role),
        allowance=person.allowance,
        created_at=person.created_at,
        session=caller.session or "",
        way=caller.way,
        scopes=sorted(caller.platform),
        tenants=[_place(platform, place, caller) for place in places],
    )


def _place(platform: Platform, place: Member, caller: Caller) -> PlaceView:
    tenant = platform.tenants.find(place.tenant)
    return PlaceView(
        tenant=tenant.id,
        slug=tenant.slug,
        name=tenant.name,
        tenant_state=str(tenant.state),
        member=place.id,
        role=str(place.role),
        state=str(place.state),
        scopes=sorted(caller.within.get(tenant.id, ())),
    )
