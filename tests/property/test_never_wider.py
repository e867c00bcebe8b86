"""
Nobody gives more than they have: over every way in which a key, a session, an invitation or a role comes to be.

Whoever asks is any role, any key, or anybody at the platform; what they ask for is anything. What comes out is let in
by the same function that lets requests in, and compared with what its maker may do.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.core.access import ALL, LEVELS, NOUNS, ROLES, ROUTES
from freehold.core.errors import FreeholdError
from freehold.core.people import MemberState, PlatformRole, Role, SignIn
from freehold.core.tenants import Caller, Tenant
from freehold.tenants import inviting, keys, members, people, sessions
from freehold.tenants.caller import Presented, recognise
from freehold.tenants.people import Change
from tests.crowd import member, person
from tests.webs import Web, made

SCOPES = [ALL, *(f"{noun}:{level}" for noun, level in itertools.product(NOUNS, LEVELS))]
ASKED = sorted({scope for scope in ROUTES.values() if not scope.startswith(("none", "self"))} | set(SCOPES) - {ALL})
TENANTS = ("acme", "other")

some_scopes = st.frozensets(st.sampled_from(SCOPES), min_size=1, max_size=4)
calm = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Web:
    found = made(tmp_path_factory.mktemp("wider"))
    for slug in TENANTS:
        found.tenant(slug)
    return found


@st.composite
def callers(draw: st.DrawFn) -> Caller:
    """Draw somebody: a member of one tenant or of both, a key of a tenant or of the platform, an operator, an auditor."""
    kind = draw(st.sampled_from(["member", "key", "platform key", "platform"]))
    if kind == "member":
        roles = draw(st.dictionaries(st.sampled_from(TENANTS), st.sampled_from(Role), min_size=1))
        return Caller(actor="person:p", person="p", within={slug: ROLES[role] for slug, role in roles.items()})
    if kind == "key":
        return Caller(actor="key:k", within={draw(st.sampled_from(TENANTS)): draw(some_scopes)})
    if kind == "platform key":
        return Caller(actor="key:k", platform=draw(some_scopes))
    return Caller(actor="person:p", person="p", platform=ROLES[draw(st.sampled_from(PlatformRole))])


def at_home(web: Web, caller: Caller) -> Caller:
    """Return `caller` with the ids of tenants in place of their slugs."""
    within = {tenant(web, slug).id: scopes for slug, scopes in caller.within.items()}
    return Caller(actor=caller.actor, person=caller.person, platform=caller.platform, within=within)


def tenant(web: Web, slug: str) -> Tenant:
    with web.state.store.read() as platform:
        return platform.tenants.find(slug)


def powers(web: Web, caller: Caller) -> Iterator[tuple[str, str | None]]:
    """Give all that a caller may do, and where."""
    for place in (None, *(tenant(web, slug).id for slug in TENANTS)):
        yield from ((scope, place) for scope in ASKED if caller.may(scope, place))


def assert_no_wider(web: Web, made: Caller, maker: Caller) -> None:
    assert set(powers(web, made)) <= set(powers(web, maker))


def let_in(web: Web, **presented: str) -> Caller:
    return recognise(web.state.store, Presented(**presented), known=web.state.known, at=web.clock.now())


@calm
@given(
    maker=callers(),
    scopes=some_scopes,
    slug=st.sampled_from([None, *TENANTS]),
    rotator=st.none() | callers(),
)
def test_no_key_is_wider_than_who_makes_or_rotates_it(
    web: Web, maker: Caller, scopes: frozenset[str], slug: str | None, rotator: Caller | None
) -> None:
    maker = at_home(web, maker)
    place = None if slug is None else tenant(web, slug).id
    told: dict[str, Any] = {"seal": web.state.seal, "ids": web.state.ids, "clock": web.clock}
    with web.state.store.write() as platform:
        try:
            key, text = keys.create(platform, tenant=place, name="", scopes=scopes, creator=maker, **told)
        except FreeholdError:
            return
        if rotator is not None:
            maker = at_home(web, rotator)
            try:
                _, text = keys.rotate(platform, tenant=place, key=key.id, overlap=timedelta(0), by=maker, **told)
            except FreeholdError:
                return
    assert_no_wider(web, let_in(web, authorization=f"Bearer {text}"), maker)


@calm
@given(maker=callers(), slug=st.sampled_from(TENANTS), role=st.sampled_from(Role))
def test_no_invitation_gives_more_than_who_offers_it_has(web: Web, maker: Caller, slug: str, role: Role) -> None:
    maker, where = replace(at_home(web, maker), actor="operator"), tenant(web, slug)  # who it is matters later
    told: dict[str, Any] = {"seal": web.state.seal, "ids": web.state.ids, "clock": web.clock}
    web.clock.wind(600)  # a tenant may not invite too many at once
    email = f"{web.state.ids('inv')}@example.com"
    try:
        with web.state.store.tenant(where.id).write() as scope:
            made = inviting.invite(scope, email=email, role=role, days=7, by=maker, **told)
    except FreeholdError:
        return
    with web.state.store.write() as platform:
        taken = inviting.accept(platform, made.mailed, person=None, **told)
        browser = sessions.Browser()
        opened = sessions.open(platform, taken.person, way=SignIn.CODE, browser=browser, **told)
    assert_no_wider(web, let_in(web, session=opened.text), maker)


@calm
@given(
    maker=callers(),
    slug=st.sampled_from(TENANTS),
    before=st.sampled_from(Role),
    role=st.none() | st.sampled_from(Role),
    state=st.none() | st.sampled_from(MemberState),
)
def test_no_member_is_made_or_unmade_by_who_is_less(
    web: Web, maker: Caller, slug: str, before: Role, role: Role | None, state: MemberState | None
) -> None:
    maker, where = at_home(web, maker), tenant(web, slug)
    member(web, where, Role.OWNER)  # so that nothing is refused for want of one
    who = member(web, where, before)
    with web.state.store.tenant(where.id).write() as scope:
        place = scope.members.of_person(who.id)
        assert place is not None
        try:
            after = members.change(
                scope, place.id, role=role, state=state, by=maker, seal=web.state.seal, clock=web.clock
            )
        except FreeholdError:
            return
    for one in (before, after.role):
        assert maker.holds(ROLES[one], where.id)


@calm
@given(
    maker=callers(),
    before=st.none() | st.sampled_from(PlatformRole),
    role=st.none() | st.sampled_from(PlatformRole),
    allowance=st.integers(0, 1),
)
def test_nobody_is_made_more_to_the_platform_than_who_makes_them(
    web: Web, maker: Caller, before: PlatformRole | None, role: PlatformRole | None, allowance: int
) -> None:
    maker = at_home(web, maker)
    person(web, platform_role=PlatformRole.OPERATOR)  # so that nothing is refused for want of one
    who = person(web, platform_role=before)
    told: dict[str, Any] = {"seal": web.state.seal, "clock": web.clock}
    with web.state.store.write() as platform:
        try:
            wanted = Change(platform_role=role, no_role=role is None, allowance=allowance)
            changed = people.change(platform, who.id, wanted, by=maker, **told)
        except FreeholdError:
            return
        opened = sessions.open(
            platform, changed, way=SignIn.CODE, browser=sessions.Browser(), ids=web.state.ids, **told
        )
    assert_no_wider(web, let_in(web, session=opened.text), maker)


@pytest.mark.parametrize(("role", "other"), list(itertools.product(Role, Role)))
def test_a_role_reaches_another_just_when_it_may_do_all_of_it(role: Role, other: Role) -> None:
    caller = Caller(actor="person:p", within={"ten_1": ROLES[role]})
    assert caller.holds(ROLES[other], "ten_1") is role.reaches(other)
