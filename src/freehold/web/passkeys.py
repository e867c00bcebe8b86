"""Passkeys: made in a session, shown to sign in or to show once more, more strongly, who one is."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from freehold.audit.asking import Asking, asking
from freehold.audit.database import note
from freehold.core.ceremonies import CeremonyKind, Passkey
from freehold.core.errors import Denied, FreeholdError, Invalid
from freehold.core.people import Person, PlatformRole, SignIn
from freehold.core.tenants import Caller
from freehold.store.platform import Platform
from freehold.tenants import devices, passkeys, people, sessions
from freehold.tenants.ceremonies import begin, finish
from freehold.tenants.devices import Party
from freehold.tenants.sessions import Browser, Opened
from freehold.web import cookies
from freehold.web.access import Operator, TheCaller, TheState
from freehold.web.state import State
from freehold.web.views import Asked, Listed, Moment

router = APIRouter(tags=["passkeys"])

MOST_PARTS = 10
PasskeyId = Annotated[str, Path(description="Id of the passkey.", max_length=80)]
PersonId = Annotated[str, Path(description="Id of the person.", max_length=80)]
Options = dict[str, Any]
"""What `navigator.credentials` takes, its bytes in base64url."""


class Credential(BaseModel):
    """What a browser got from its device, its bytes in base64url."""

    id: str = Field(max_length=2048)
    raw_id: str = Field(alias="rawId", max_length=2048)
    type: str = Field(max_length=40)
    response: dict[str, Any] = Field(max_length=MOST_PARTS)

    def told(self) -> dict[str, Any]:
        """Return it as a browser writes it."""
        return self.model_dump(by_alias=True)


class NewPasskey(Asked):
    """A passkey that a device made."""

    credential: Credential
    name: str = Field(default="", max_length=100, description="What its owner calls it.")


class ShownPasskey(Asked):
    """A passkey that a device showed."""

    credential: Credential


class PasskeyView(BaseModel):
    """What is kept of a passkey."""

    id: str
    name: str
    synced: bool
    created_at: Moment
    used_at: Moment | None

    @classmethod
    def of(cls, passkey: Passkey) -> "PasskeyView":
        """Show `passkey`."""
        return cls(
            id=passkey.id,
            name=passkey.name,
            synced=passkey.synced,
            created_at=passkey.created_at,
            used_at=passkey.used_at,
        )


class SignedIn(BaseModel):
    """Who signed in, and until when at most."""

    person: str
    email: str
    name: str
    session: str
    expires_at: Moment

    @classmethod
    def of(cls, opened: Opened) -> "SignedIn":
        """Show what was opened."""
        return cls(
            person=opened.person.id,
            email=opened.person.email,
            name=opened.person.name,
            session=opened.session.id,
            expires_at=opened.session.expires_at,
        )


@router.get("/passkeys")
def list_passkeys(caller: TheCaller, state: TheState) -> Listed[PasskeyView]:
    """Return your passkeys."""
    with state.store.read() as platform:
        found = passkeys.of(platform.connection, str(caller.person), seal=state.seal)
    return Listed(items=[PasskeyView.of(one) for one in found], next=None)


@router.post("/passkeys/challenge")
def begin_passkey(caller: TheCaller, state: TheState) -> Options:
    """Return what your device needs to make a passkey; it has five minutes."""
    party = _party(state)
    with state.store.write() as platform:
        person, strong = _signed_in(platform, caller)
        known = passkeys.may_change(platform.connection, person.id, strong=strong, seal=state.seal)
        challenge = begin(
            platform.connection,
            CeremonyKind.REGISTER,
            browser=str(caller.session),
            person=person.id,
            seal=state.seal,
            at=state.clock.now(),
        )
    return devices.making(party, person, challenge, known)


@router.post("/passkeys", status_code=201)
def add_passkey(caller: TheCaller, state: TheState, body: NewPasskey) -> PasskeyView:
    """Add the passkey that your device made as an answer to the challenge."""
    party, said = _party(state), body.credential.told()
    challenge = _answered(state, said, CeremonyKind.REGISTER, browser=str(caller.session))
    made = devices.made(party, said, challenge)
    with state.store.write() as platform:
        person, strong = _signed_in(platform, caller)
        return PasskeyView.of(
            passkeys.add(
                platform,
                person,
                made,
                name=body.name.strip(),
                strong=strong,
                seal=state.seal,
                ids=state.ids,
                clock=state.clock,
            )
        )


@router.delete("/passkeys/{passkey}", status_code=204)
def remove_passkey(caller: TheCaller, state: TheState, passkey: PasskeyId) -> None:
    """Remove one of your passkeys; it signs nobody in any more."""
    with state.store.write() as platform:
        person, strong = _signed_in(platform, caller)
        needed = state.known.operator_passkey and person.platform_role is PlatformRole.OPERATOR
        passkeys.remove(platform, person, passkey, strong=strong, needed=needed, seal=state.seal, clock=state.clock)


@router.delete("/people/{person}/passkeys", status_code=204)
def remove_lost_passkeys(caller: Operator, state: TheState, person: PersonId) -> None:
    """Remove all passkeys of somebody who lost them."""
    with state.store.write() as platform:
        found = people.get(platform, person, seal=state.seal)
        people.require_reach(caller, found)
        passkeys.remove_all(platform, found.id, by=caller.actor, clock=state.clock)


@router.post("/login/passkey/challenge")
def begin_sign_in(request: Request, response: Response, state: TheState) -> Options:
    """Return what a device needs to show a passkey; it has five minutes."""
    party, browser = _party(state), cookies.browser_of(request)
    with state.store.write() as platform:
        challenge = begin(
            platform.connection,
            CeremonyKind.PASSKEY,
            browser=browser.nonce,
            seal=state.seal,
            at=state.clock.now(),
        )
    cookies.keep(response, browser)
    return devices.showing(party, challenge)


@router.post("/login/passkey")
def sign_in(request: Request, response: Response, state: TheState, body: ShownPasskey) -> SignedIn:
    """
    Sign in with the passkey that was shown; the session the browser was in before ends.

    Somebody who is signed in already has, in the session they get, shown a passkey.
    """
    browser = cookies.browser_of(request)
    asking.set(Asking(asking.get().request, str(SignIn.PASSKEY)))
    try:
        opened = _opened(state, browser, body.credential.told())
    except Denied:
        _note_refusal(state)
        raise
    state.streams.end(sessions=opened.left)
    cookies.sign_in(response, opened)
    return SignedIn.of(opened)


def _opened(state: State, browser: Browser, said: dict[str, Any]) -> Opened:
    party = _party(state)
    challenge = _answered(state, said, CeremonyKind.PASSKEY, browser=browser.nonce)
    with state.store.write() as platform:
        person = passkeys.show(platform, party, said, challenge, seal=state.seal, clock=state.clock)
        if person is not None:
            return sessions.open(
                platform,
                person,
                way=SignIn.PASSKEY,
                browser=browser,
                seal=state.seal,
                ids=state.ids,
                clock=state.clock,
                strong=True,
            )
    raise devices.refused()  # what was found about the device is written down


def _answered(state: State, said: dict[str, Any], kind: CeremonyKind, *, browser: str) -> str:
    """Return the challenge that is answered, which is used up by that; raise `Denied` where it was not this one's."""
    challenge = devices.challenge_in(said)
    with state.store.write() as platform:
        at = state.clock.now()
        found = finish(platform.connection, kind, challenge, browser=browser, seal=state.seal, at=at)
    if found is None:
        raise devices.refused()
    return challenge


def _signed_in(platform: Platform, caller: Caller) -> tuple[Person, bool]:
    """Return who asks, and whether they showed a passkey in this session."""
    person = platform.people.find(str(caller.person))
    if person is None:
        raise FreeholdError("Somebody signed in who is not there.")
    return person, any(one.id == caller.session and one.strong for one in platform.sessions.of(person.id))


def _party(state: State) -> Party:
    party = devices.party_of(state.settings.base_url)
    if party is None:
        raise Invalid(
            "Passkeys need a name and HTTPS.",
            code="no_passkeys",
            remedy="The operator sets FREEHOLD_PUBLIC_URL to https://host; until then, sign in another way.",
        )
    return party


def _note_refusal(state: State) -> None:
    with state.store.write() as platform:
        note(
            platform.connection,
            at=state.clock.now(),
            tenant=None,
            actor="nobody",
            action="person.sign_in_failed",
            subject="passkey",
            verdict="deny",
        )
