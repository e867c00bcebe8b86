"""Signing in, for the API and for the pages alike: each step in one transaction, and the mail after the answer."""

from starlette.background import BackgroundTask

from freehold.core.errors import FreeholdError
from freehold.core.people import SignIn
from freehold.store.threads import in_thread
from freehold.tenants import claiming, codes, sessions
from freehold.tenants.addresses import normal
from freehold.tenants.codes import LASTING, Issued
from freehold.tenants.sessions import Browser, Opened
from freehold.web.mailing import mail, send
from freehold.web.state import State


async def send_code(state: State, email: str, browser: Browser) -> BackgroundTask:
    """
    Make a code for `email`, and return what sends it: let the answer go out first, it is the same for everybody.

    Raises `Invalid` (`bad_email`) for what is no address.
    """
    issued = await in_thread(_issued, state, normal(email), browser)
    told = mail(
        "code",
        key=f"login/{issued.id}",
        to=issued.email,
        language=issued.language,
        decoy=not issued.told,
        code=issued.code,
        place=state.settings.base_url,
        minutes=int(LASTING.total_seconds() // 60),
    )
    return BackgroundTask(send, state.gateway, told)


async def sign_in(state: State, email: str, code: str, browser: Browser) -> Opened:
    """
    Sign in whoever has `email`, with the code that was sent there, and return the session.

    Raises `Denied` (`bad_code`) where the code is not right, whatever the reason.
    """
    opened = await in_thread(_signed_in, state, normal(email), code, browser)
    if opened is None:
        raise codes.refused()
    state.streams.end(sessions=opened.left)
    return opened


async def claim(state: State, *, token: str, email: str, name: str, browser: Browser) -> Opened:
    """Make whoever shows `token` the first operator and sign them in; raises as `claiming.claim` does."""
    opened = await in_thread(_claimed, state, token, email, name, browser)
    state.streams.end(sessions=opened.left)
    return opened


async def is_claimed(state: State) -> bool:
    """Return whether the installation has had its first operator."""
    return await in_thread(_is_claimed, state)


async def without_mail(state: State) -> bool:
    """Return whether codes are shown on this machine, because no mail goes out and nobody else reaches web."""
    if not state.settings.on_loopback:
        return False
    try:
        return not (await state.gateway.health()).get("mail", True)
    except FreeholdError:
        return False


def _issued(state: State, email: str, browser: Browser) -> Issued:
    with state.store.write() as platform:
        return codes.issue(platform, email, browser=browser.nonce, seal=state.seal, ids=state.ids, clock=state.clock)


def _signed_in(state: State, email: str, code: str, browser: Browser) -> Opened | None:
    with state.store.write() as platform:
        person = codes.redeem(platform, email, code, browser=browser.nonce, seal=state.seal, clock=state.clock)
        if person is None:
            return None  # and what was counted is committed
        return sessions.open(
            platform,
            person,
            way=SignIn.CODE,
            browser=browser,
            seal=state.seal,
            ids=state.ids,
            clock=state.clock,
        )


def _claimed(state: State, token: str, email: str, name: str, browser: Browser) -> Opened:
    with state.store.write() as platform:
        return claiming.claim(
            platform,
            token=token,
            email=email,
            name=name,
            token_hash=state.known.claim_hash,
            browser=browser,
            seal=state.seal,
            ids=state.ids,
            clock=state.clock,
        )


def _is_claimed(state: State) -> bool:
    with state.store.read() as platform:
        return claiming.is_claimed(platform, seal=state.seal)
