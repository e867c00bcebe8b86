"""Who looks at a page: the person of its session, in their language and at their time."""

from dataclasses import dataclass

from starlette.requests import Request

from freehold.core.people import Person
from freehold.core.tenants import Caller
from freehold.store.threads import in_thread
from freehold.web.pages.rendering import words_for
from freehold.web.pages.words import Words
from freehold.web.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody who signed in."""

    caller: Caller
    person: Person
    words: Words


async def visitor_of(request: Request, state: State) -> Visitor | None:
    """Return who looks; none where nobody is signed in, and a key is nobody here."""
    caller = getattr(request.state, "caller", None)
    if not isinstance(caller, Caller) or caller.person is None:
        return None
    person = await in_thread(_person, state, caller.person)
    if person is None:
        return None
    words = words_for(request.headers, language=person.language, zone=person.time_zone)
    return Visitor(caller=caller, person=person, words=words)


def _person(state: State, person: str) -> Person | None:
    with state.store.read() as platform:
        return platform.people.find(person)
