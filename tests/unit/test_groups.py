"""What a provider's groups make of people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.ceremonies import GivenRole
from freehold.core.errors import Invalid
from freehold.core.people import PlatformRole, Role
from freehold.tenants.groups import ORDER, Change, changed, read

ROLES = ["", *(str(role) for role in Role)]


def by_group(role: str, before: str = "") -> GivenRole:
    return GivenRole(person="per_1", tenant="ten_1", role=role, before=before)


def test_a_group_gives_a_role_in_a_tenant_or_to_the_platform() -> None:
    groups = read("admins=operator, auditors=auditor,acme-admins=acme:admin,acme-admins=other:viewer")
    assert groups.of({"admins"}) == {"": "operator"}
    assert groups.of({"acme-admins"}) == {"acme": "admin", "other": "viewer"}
    assert groups.of({"somebody"}) == {}


def test_of_several_groups_the_highest_role_counts() -> None:
    groups = read("a=acme:viewer,b=acme:admin,c=acme:member,x=auditor,y=operator")
    assert groups.of({"a", "b", "c", "x", "y"}) == {"acme": "admin", "": "operator"}


def test_a_group_may_have_an_equals_sign_in_its_name() -> None:
    assert read("CN=Staff OU=All=acme:member").of({"CN=Staff OU=All"}) == {"acme": "member"}


def test_no_setting_gives_nothing() -> None:
    assert read("").of({"admins"}) == {}


@pytest.mark.parametrize(
    "text", ["admins", "=operator", "a=owner", "a=acme:operator", "a=acme:", "a=:owner", "a=acme:boss", "a=auditor:x"]
)
def test_an_entry_that_says_nothing_is_named(text: str) -> None:
    with pytest.raises(Invalid, match=f"FREEHOLD_OIDC_GROUPS is not right at '{text}'"):
        read(f"good=operator,{text}")


@pytest.mark.parametrize(
    ("current", "given", "wanted", "result"),
    [
        ("", None, "", Change(role="")),
        ("", None, "admin", Change(role="admin", given="admin")),
        ("member", None, "", Change(role="member")),
        ("member", None, "admin", Change(role="admin", given="admin", before="member")),
        ("owner", None, "admin", Change(role="owner")),
        ("admin", None, "admin", Change(role="admin")),
        ("admin", by_group("admin"), "", Change(role="")),
        ("admin", by_group("admin", "member"), "", Change(role="member")),
        ("admin", by_group("admin"), "viewer", Change(role="viewer", given="viewer")),
        ("admin", by_group("admin", "member"), "viewer", Change(role="member")),
        ("viewer", by_group("admin"), "", Change(role="viewer")),
        ("owner", by_group("admin"), "admin", Change(role="owner")),
        ("", by_group("admin"), "", Change(role="")),
    ],
)
def test_what_a_group_gave_goes_with_the_group_and_what_people_gave_stays(
    current: str, given: GivenRole | None, wanted: str, result: Change
) -> None:
    assert changed(current, given, wanted) == result


@given(st.sampled_from(ROLES), st.lists(st.sampled_from(ROLES), max_size=6))
def test_whatever_groups_do_somebody_ends_with_what_people_gave_them(theirs: str, wishes: list[str]) -> None:
    role, kept = theirs, None
    for wanted in [*wishes, ""]:
        now = changed(role, kept, wanted)
        role, kept = now.role, by_group(now.given, now.before) if now.given else None
        assert ORDER.index(role or "viewer") <= ORDER.index(wanted or "viewer")
    assert role == theirs
    assert kept is None


def test_platform_roles_are_in_the_order_too() -> None:
    assert changed("operator", None, "auditor") == Change(role="operator")
    assert changed("auditor", None, "operator").before == PlatformRole.AUDITOR
