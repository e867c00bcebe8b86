"""Sessions: the browsers somebody is signed in with, and the end of them."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel
from starlette.responses import Response

from freehold.core.access import ALL
from freehold.core.errors import Denied, NotFound
from freehold.core.people import Person, Session
from freehold.core.tenants import Caller
from freehold.store.platform import Platform
from freehold.store.threads import in_thread
from freehold.tenants import codes, sessions
from freehold.tenants.addresses import normal
from freehold.tenants.marks import genuine
from freehold.tenants.people import require_reach
from freehold.web import cookies, signing_in
from freehold.web.access import Operator, TheCaller, TheState
from freehold.web.state import State
from freehold.web.views import Listed, Moment

router = APIRouter(tags=["signing in"])

SessionId = Annotated[str, Path(description="Id of the session.", max_length=80)]
PersonName = Annotated[str, Path(description="Id or e-mail address of the person.", max_length=500)]


class SessionView(BaseModel):
    """A browser that somebody is signed in with."""

    id: str
    way: str
    """How they signed in: `otp` (a code), `oidc`, `passkey` or `claim`."""
    strong: bool
    """Whether a passkey was shown in it."""
    client: str
    """What the browser calls itself."""
    address: str
    created_at: Moment
    seen_at: Moment
    expires_at: Moment
    current: bool
    """Whether this was asked in it."""

    @classmethod
    def of(cls, session: Session, caller: Caller) -> "SessionView":
        """Show `session` to `caller`."""
        told = {name: getattr(session, name) for name in cls.model_fields if name != "current"}
        return cls.model_construct(**told, current=session.id == caller.session)


class CodeView(BaseModel):
    """A code that an operator made for somebody."""

    person: str
    email: str
    code: str
    expires_at: Moment


@router.get("/sessions")
def list_sessions(caller: TheCaller, state: TheState) -> Listed[SessionView]:
    """Return the sessions of whoever asks, newest first."""
    with state.store.read() as platform:
        found = sessions.of(platform, caller.person or "", seal=state.seal, at=state.clock.now())
    return Listed(items=[SessionView.of(session, caller) for session in found])


@router.delete("/sessions", status_code=204)
def end_other_sessions(caller: TheCaller, state: TheState) -> Response:
    """Sign out everywhere but here."""
    end_all(state, caller.person or "", by=caller.actor, but=caller.session or "")
    return Response(status_code=204)


@router.delete("/sessions/{session}", status_code=204)
def end_session(caller: TheCaller, state: TheState, session: SessionId) -> Response:
    """Sign out one browser."""
    end(state, caller.person or "", session, by=caller.actor)
    answer = Response(status_code=204)
    if session == caller.session:
        cookies.sign_out(answer)
    return answer


@router.post("/logout", status_code=204)
def sign_out(caller: TheCaller, state: TheState) -> Response:
    """Sign out here: the session ends, and the browser is told to forget what it has of us."""
    end(state, caller.person or "", caller.session or "", by=caller.actor)
    answer = Response(status_code=204)
    cookies.sign_out(answer)
    return answer


@router.delete("/people/{person}/sessions", status_code=204)
def end_sessions_of(caller: Operator, state: TheState, person: PersonName) -> Response:
    """Sign somebody out everywhere."""
    with state.store.read() as platform:
        found = whom(platform, person, state)
    require_reach(caller, found)
    end_all(state, found.id, by=caller.actor)
    return Response(status_code=204)


@router.post("/people/{person}/login-code", status_code=201)
async def make_login_code(caller: Operator, state: TheState, person: PersonName) -> CodeView:
    """Make a code for somebody that any browser may use; only where no mail goes out and nobody else reaches us."""
    if not caller.holds({ALL}, None):  # whoever has the code has all that the person may do, in every tenant
        raise Denied(
            "A code lets you in as somebody else.",
            code="wider_than_creator",
            remedy="Let an operator make it, who may do everything anyway.",
        )
    if not await signing_in.without_mail(state):
        raise Denied(
            "Codes are mailed here, to nobody but those whom they are for.",
            code="not_here",
            remedy="Ask for one at /sign-in. Operators make codes only on a platform that listens on loopback and "
            "has no FREEHOLD_SMTP_URL.",
        )
    return await in_thread(_made, state, person, caller.actor)


def end(state: State, person: str, session: str, *, by: str) -> None:
    """End one session of a person, and what is open in it; raise `NotFound` where they have no such."""
    with state.store.write() as platform:
        ended = sessions.end(platform, person, session, by=by, clock=state.clock)
    state.streams.end(sessions=ended)


def end_all(state: State, person: str, *, by: str, but: str = "") -> None:
    """End all sessions of a person, `but` one where it is named, and what is open in them."""
    with state.store.write() as platform:
        ended = sessions.end_all(platform, person, by=by, clock=state.clock, but=but)
    state.streams.end(sessions=ended)


def whom(platform: Platform, name: str, state: State) -> Person:
    """Return the person with this id or address; raise `NotFound` where there is none."""
    found = platform.people.by_email(normal(name)) if "@" in name else platform.people.find(name)
    if found is None or not genuine(state.seal, found):
        raise NotFound("There is no such person.", remedy="`freehold person list` shows everybody.")
    return found


def _made(state: State, name: str, by: str) -> CodeView:
    with state.store.write() as platform:
        person = whom(platform, name, state)
        made = codes.issue_anywhere(platform, person, by=by, seal=state.seal, ids=state.ids, clock=state.clock)
    return CodeView(person=person.id, email=person.email, code=made.code, expires_at=made.expires_at)
