"""People: everybody who can sign in, for operators."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from freehold.core.people import Person, PersonState, PlatformRole
from freehold.tenants import people
from freehold.tenants.marks import genuine
from freehold.tenants.people import Change
from freehold.web.access import Operator, TheState
from freehold.web.lists import Cursor, Limit, page
from freehold.web.views import Asked, Listed, Moment

router = APIRouter(tags=["people"])

PersonName = Annotated[str, Path(description="Id or address of the person.", max_length=254)]


class NewPerson(Asked):
    """Somebody who shall be able to sign in; an address is given once, so no Idempotency-Key is needed."""

    email: str = Field(max_length=600)
    name: str = Field(default="", max_length=600)
    platform_role: PlatformRole | None = None
    """operator or auditor; none for most people."""
    allowance: int = 0
    """How many tenants they may create and own."""


class PersonChange(Asked):
    """What is to be different about somebody; what is left out stays."""

    name: str | None = Field(default=None, max_length=600)
    platform_role: PlatformRole | None = None
    """operator or auditor; null takes it away."""
    allowance: int | None = None
    state: PersonState | None = None
    """active or closed; who is closed is signed out everywhere."""

    def change(self) -> Change:
        """Return the body as what is to be done."""
        told: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        return Change(**told, no_role="platform_role" in told and self.platform_role is None)


class PersonView(BaseModel):
    """Somebody who can sign in."""

    id: str
    email: str
    name: str
    time_zone: str
    language: str
    platform_role: str | None
    allowance: int
    state: str
    created_at: Moment

    @classmethod
    def of(cls, person: Person) -> "PersonView":
        """Show `person`."""
        return cls(**{name: getattr(person, name) for name in cls.model_fields})


@router.post("/people", status_code=201)
def create_person(caller: Operator, state: TheState, body: NewPerson) -> PersonView:
    """Let somebody sign in."""
    with state.store.write() as platform:
        made = people.create(
            platform,
            email=body.email,
            name=body.name,
            platform_role=body.platform_role,
            allowance=body.allowance,
            by=caller,
            seal=state.seal,
            ids=state.ids,
            clock=state.clock,
        )
    return PersonView.of(made)


@router.get("/people")
def list_people(caller: Operator, state: TheState, limit: Limit = 100, cursor: Cursor = "") -> Listed[PersonView]:
    """Return everybody who can sign in, and who could."""
    with state.store.read() as platform:
        found = platform.people.page(after=cursor, limit=limit + 1)
    shown = page(found, limit, show=lambda person: person, key=lambda person: person.id)
    return Listed(items=[PersonView.of(one) for one in shown.items if genuine(state.seal, one)], next=shown.next)


@router.get("/people/{person}")
def show_person(caller: Operator, state: TheState, person: PersonName) -> PersonView:
    """Return one person."""
    with state.store.read() as platform:
        return PersonView.of(people.get(platform, person, seal=state.seal))


@router.patch("/people/{person}")
def change_person(caller: Operator, state: TheState, person: PersonName, body: PersonChange) -> PersonView:
    """Change what somebody is to the platform, close them, or let them in again."""
    with state.store.write() as platform:
        changed = people.change(platform, person, body.change(), by=caller, seal=state.seal, clock=state.clock)
    state.streams.end(person=changed.id)
    return PersonView.of(changed)
