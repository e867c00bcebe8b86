"""Whether a tenant stands so that anything may begin in it; asked in the transaction of what is to begin."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection

from freehold.core.errors import Conflict, NotFound
from freehold.core.tenants import TenantState
from freehold.store.tenants import Tenants

NOT_ACTIVE: Final = "tenant_not_active"
REMEDIES: Final[Mapping[TenantState, str]] = MappingProxyType(
    {
        TenantState.DRAFT: "Deploy it first: freehold tenant deploy TENANT",
        TenantState.SUSPENDED: "All is kept. An operator resumes it with: freehold tenant resume TENANT",
        TenantState.DELETED: "An operator can restore it until it is destroyed: freehold tenant restore TENANT",
    }
)
"""What to do about a tenant in which nothing begins."""


def is_active(connection: Connection, tenant: str) -> bool:
    """Return whether runs of the tenant with this id may go on."""
    return Tenants(connection).state(tenant) is TenantState.ACTIVE


def require_active(connection: Connection, tenant: str) -> None:
    """Return if runs may begin in the tenant; raise `Conflict` (`tenant_not_active`) where they may not."""
    state = Tenants(connection).state(tenant)
    if state is None:
        raise NotFound("There is no such tenant.")
    if state is not TenantState.ACTIVE:
        raise not_active(state)


def not_active(state: TenantState) -> Conflict:
    """Return the refusal of what only an active tenant does, for one that stands so."""
    return Conflict(
        f"The tenant is {'a draft' if state is TenantState.DRAFT else state}, and nothing runs in it.",
        code=NOT_ACTIVE,
        remedy=REMEDIES[state],
    )
