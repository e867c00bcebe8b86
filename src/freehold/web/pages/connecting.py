"""
/connect/{link}: signing in to an account outside, so that a connection may use it.

The page says what is asked for; a button begins, in the name of whoever presses it, and leads to the provider; the
provider leads back to /connect/callback. Only who was sent off can come back. A link alone gives nothing to anybody.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from freehold.audit.asking import asking
from freehold.core.errors import Denied, FreeholdError, Invalid, NotFound
from freehold.core.tenants import Tenant
from freehold.store.threads import in_thread
from freehold.web.abroad import AccountHeldView, Asks, asks_of
from freehold.web.access import TheState, require_changing
from freehold.web.connect_links import LASTING, LONGEST, PAGE, Link, missing, read, written
from freehold.web.pages.actors import said
from freehold.web.pages.forms import fields_of, see, sign_in_first
from freehold.web.pages.rendering import page
from freehold.web.pages.showing import Piece, pieces
from freehold.web.pages.visiting import Visitor, visitor_of
from freehold.web.state import State

router = APIRouter(include_in_schema=False)
BACK: Final = f"{PAGE}callback"
"""The one address that providers lead back to; people who register us with one name it."""
DONE: Final = "done"
"""Behind the page's address once somebody came back to it connected."""
_WORD: Final = 4096

LinkText = Annotated[str, Path(max_length=LONGEST)]
Word = Annotated[str | None, Query(max_length=_WORD)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a link is about, for somebody who may know."""

    link: Link
    tenant: Tenant | None
    """None: the platform."""
    by: str
    """Who asked, as people say it; empty where it was the visitor, or nobody."""
    may: bool
    """Whether the visitor may connect it."""

    @property
    def owner(self) -> str | None:
        """Return whose connection it is, as the gateway calls it."""
        return self.link.tenant or None


@router.get(BACK)
async def come_back(
    request: Request,
    state: TheState,
    code: Word = None,
    error: Word = None,
    iss: Word = None,
    verifier: Annotated[str | None, Query(alias="oauth_verifier", max_length=_WORD)] = None,
    shown: Annotated[str, Query(alias="state", max_length=_WORD)] = "",
) -> Response:
    """Finish what was begun by whoever comes back from a provider."""
    visitor = await visitor_of(request, state)
    if visitor is None:
        return sign_in_first(request)
    actor, begun = visitor.caller.actor, await _begun(state, visitor, shown)
    try:
        if begun is None or begun["state"] != "connected":  # else it is only loaded anew
            await state.gateway.finish_sign_in(state=shown, code=code or verifier, error=error, issuer=iss, by=actor)
        if begun is None:
            raise missing()
    except FreeholdError as fault:
        return _failed(state, visitor, fault, request, begun)
    return see(f"{_page_of(state, visitor, begun)}?{DONE}=1")


@router.get(PAGE + "{link}")
async def show(request: Request, state: TheState, link: LinkText) -> Response:
    """Show what would be connected, and how it stands with it."""
    visitor = await visitor_of(request, state)
    if visitor is None:
        return sign_in_first(request)
    subject = await in_thread(_subject, state, visitor, link)
    asks = await asks_of(state, subject.owner, subject.link.connection)
    held = AccountHeldView.of(await state.gateway.sign_in_state(subject.owner, asks.name))
    told = _told(subject, asks, visitor) | await in_thread(_held, state, visitor, held, asks)
    done = DONE in request.query_params and held.state == "connected"
    return page(request, "connect.html", visitor.words, **told, address_here=PAGE + link, done=done)


@router.post(PAGE + "{link}")
async def go(request: Request, state: TheState, link: LinkText) -> Response:
    """
    Begin in the name of whoever sends this, and lead on to the provider.

    By a page that leads on rather than by a redirect: browsers hold redirects of a form against the page's list of
    places that forms may lead to, and nobody knows where a provider leads people next.
    """
    await fields_of(request)
    visitor = await visitor_of(request, state)
    if visitor is None:
        return see(f"/sign-in?next={PAGE}{link}")
    subject = await in_thread(_subject, state, visitor, link)
    _require(subject.tenant, visitor)
    asks = await asks_of(state, subject.owner, subject.link.connection)
    begun = await state.gateway.start_sign_in(
        subject.owner, asks.name, by=visitor.caller.actor, redirect_uri=state.settings.base_url + BACK
    )
    url = _outward(str(begun["url"]))
    return page(request, "connect_go.html", visitor.words, url=url, host=urlsplit(url).netloc, provider=asks.provider)


async def _begun(state: State, visitor: Visitor, shown: str) -> dict[str, Any] | None:
    """Return what the visitor began and may still do; none where they began nothing, which the gateway then says."""
    try:
        begun = await state.gateway.sign_in(shown.partition(".")[0])
    except NotFound:
        return None
    if begun["by"] != visitor.caller.actor:
        return None
    await in_thread(_still_may, state, visitor, begun["tenant"])
    return begun


def _still_may(state: State, visitor: Visitor, tenant: str | None) -> None:
    """Return if somebody may still connect what they began to, before the gateway is told that they came back."""
    caller = visitor.caller
    if not (caller.sees(tenant) if tenant else caller.may("platform:read")):
        raise missing()
    with state.store.read() as platform:
        found = platform.tenants.find(tenant) if tenant else None
    _require(found, visitor)


def _subject(state: State, visitor: Visitor, text: str) -> Subject:
    """Return what the link is about if the visitor may know; missing otherwise, whatever the reason."""
    link, caller = read(text, seal=state.seal), visitor.caller
    seen = caller.may("connections:read", link.tenant) if link.tenant else caller.may("platform:read")
    if not seen:
        raise missing()
    with state.store.read() as platform:
        tenant = platform.tenants.find(link.tenant) if link.tenant else None
        by = said(platform, link.by, visitor) if link.by else ""
    if tenant is not None:
        state.rates.work(caller, tenant.id)
    if link.over(state.clock.now()):
        raise NotFound(
            "This link has run out.",
            code="link_over",
            remedy=f"`freehold connection connect {link.connection}` prints a new one.",
        )
    return Subject(link=link, tenant=tenant, by=by, may=_may(visitor, tenant))


def _may(visitor: Visitor, tenant: Tenant | None) -> bool:
    return visitor.caller.may("connections:write", tenant.id) if tenant else visitor.caller.may("platform:write")


def _require(tenant: Tenant | None, visitor: Visitor) -> None:
    if not _may(visitor, tenant):
        scope = "connections:write" if tenant else "platform:write"
        raise Denied(
            f"This needs the scope {scope}.", code="missing_scope", remedy="Ask an owner for a role that has it."
        )
    if tenant is not None:
        require_changing(tenant, visitor.caller)


def _outward(url: str) -> str:
    """Return `url` if a browser can be sent there and nothing is run by that."""
    if urlsplit(url).scheme not in {"https", "http"} or not urlsplit(url).netloc:
        raise Invalid("The provider's address is none of a page.", code="bad_config", remedy="Change the connection.")
    return url


def _told(subject: Subject, asks: Asks, visitor: Visitor) -> dict[str, Any]:
    """Return what the page says of the connection and of what it asks for."""
    tenant = subject.tenant
    return {
        "tenant": (tenant.name or tenant.slug) if tenant else visitor.words("page.platform"),
        "name": asks.name,
        "kind": asks.kind,
        "leads_to": pieces(asks.address),
        "provider": asks.provider,
        "host": asks.host,
        "scopes": _in_words(asks, asks.scopes),
        "by": subject.by,
        "asked": subject.link.by != "",
        "may": subject.may,
        "until": subject.link.until,
        "command": f"freehold connection disconnect {asks.name} {f'--tenant {tenant.slug}' if tenant else '--platform'}",
    }


def _in_words(asks: Asks, scopes: Iterable[str]) -> list[tuple[tuple[Piece, ...], str]]:
    """Return each of `scopes`, and what it means where the preset says it."""
    return [(pieces(scope), asks.words.get(scope, "")) for scope in scopes]


def _held(state: State, visitor: Visitor, held: AccountHeldView, asks: Asks) -> dict[str, Any]:
    """Return what the page says of the account that is connected already."""
    with state.store.read() as platform:
        by = said(platform, held.connected_by, visitor) if held.connected_by else ""
    return {
        "state": held.state,
        "account": pieces(held.account),
        "given": _in_words(asks, held.scopes),
        "connected_by": by,
        "since": _moment(held.connected_at),
        "ends": None if held.refreshable else _moment(held.expires_at),
    }


def _failed(
    state: State, visitor: Visitor, fault: FreeholdError, request: Request, begun: dict[str, Any] | None
) -> Response:
    """Say what went wrong at the provider or on the way back, and lead to where it can be tried again."""
    words, name = visitor.words, f"connect.failed_{fault.code}"
    lines = [words(name)] if words.has(name) else [fault.message, fault.remedy]
    way_on = {"href": _page_of(state, visitor, begun), "text": words("connect.again")} if begun else {}
    return page(
        request,
        "told.html",
        words,
        status=fault.status,
        title=words("connect.failed"),
        lines=[line for line in [*lines, words("connect.failed_kept")] if line],
        way_on=way_on,
        number=asking.get().request,
    )


def _page_of(state: State, visitor: Visitor, begun: dict[str, Any]) -> str:
    """Return the address of the page where it was begun, as a link of the visitor's own."""
    link = Link(
        tenant=begun["tenant"] or "",
        connection=begun["connection"],
        by=visitor.caller.actor,
        until=state.clock.now() + LASTING,
    )
    return PAGE + written(link, seal=state.seal)


def _moment(told: str | None) -> datetime | None:
    return datetime.fromisoformat(told) if told else None
