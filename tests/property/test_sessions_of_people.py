"""By whatever way somebody signed in, their session can do what their roles say, and nothing more."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.access import ROLES
from freehold.core.people import Member, MemberState, Person, PlatformRole, Role, Session, SignIn
from freehold.tenants.marks import mark_of
from freehold.tenants.sealing import Seal
from freehold.tenants.standing import caller_in

AT = datetime(2026, 1, 1, tzinfo=UTC)
SEAL = Seal("5ea1" * 16)
SCOPES = sorted({scope for role in ROLES.values() for scope in role if scope != "*"} | {"platform:admin"})

people = st.builds(
    Person,
    id=st.just("per_1"),
    email=st.just("a@example.com"),
    created_at=st.just(AT),
    platform_role=st.none() | st.sampled_from(PlatformRole),
    allowance=st.sampled_from([0, 3]),
)
sessions = st.builds(
    Session,
    id=st.just("ses_1"),
    person=st.just("per_1"),
    way=st.sampled_from(SignIn),
    hash=st.just("h"),
    created_at=st.just(AT),
    seen_at=st.just(AT),
    expires_at=st.just(AT),
    strong=st.booleans(),
)
places = st.builds(
    Member,
    id=st.just("mem_1"),
    tenant=st.sampled_from(["ten_1", "ten_2"]),
    person=st.just("per_1"),
    role=st.sampled_from(Role),
    created_at=st.just(AT),
    state=st.sampled_from(MemberState),
)


@given(
    person=people,
    session=sessions,
    held=st.lists(places, max_size=2, unique_by=lambda one: one.tenant),
    genuine=st.booleans(),
    passkey=st.booleans(),
)
def test_a_session_gives_no_more_than_the_roles_of_its_person(
    *, person: Person, session: Session, held: list[Member], genuine: bool, passkey: bool
) -> None:
    marked = [
        Member(**{name: getattr(one, name) for name in one.__slots__} | {"seal": mark_of(SEAL, one) if genuine else ""})
        for one in held
    ]
    caller = caller_in(session, person, marked, seal=SEAL, passkey=passkey)
    platform = ROLES[person.platform_role] if person.platform_role else frozenset()
    granted = {one.tenant: ROLES[one.role] for one in held if genuine and one.state is MemberState.ACTIVE}
    assert caller.within == granted
    assert caller.platform - {"provisioning:write"} <= platform
    assert "provisioning:write" not in caller.platform or person.allowance or "*" in platform
    if passkey and not session.strong and person.platform_role is PlatformRole.OPERATOR:
        assert not any(caller.may(scope) for scope in SCOPES if not scope.startswith("provisioning:"))
