"""What web asks about money, levels and model keys, as it must look."""

from datetime import datetime
from typing import Any

import msgspec

from freehold.core.money import BudgetScope, Period
from freehold.gateway.requests import TenantRequest


class BudgetRequest(msgspec.Struct, kw_only=True):
    """A limit to set or forget."""

    tenant: str
    scope: BudgetScope
    period: Period
    by: str
    subject: str = ""
    limit_nano: int = 0


class AccountRequest(msgspec.Struct, kw_only=True):
    """How a tenant is charged, and where its models may be; what is not said stays."""

    tenant: str
    by: str
    markup_ppm: int | msgspec.UnsetType = msgspec.UNSET
    prepaid: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether it can only spend what was paid in advance."""
    regions: list[str] | msgspec.UnsetType = msgspec.UNSET


class CreditRequest(msgspec.Struct, kw_only=True):
    """Money that a tenant paid in advance."""

    tenant: str
    nano: int
    by: str
    reference: str = ""
    """By what it was paid; what was added under one is not added again."""


class LevelRequest(TenantRequest, kw_only=True):
    """Routes of a level to set or forget."""

    level: str
    by: str
    routes: list[str] = msgspec.field(default_factory=list)


class ModelKeyRequest(msgspec.Struct, kw_only=True):
    """A model key to make or revoke."""

    tenant: str
    by: str
    key: str = ""
    """Its id, of one to revoke."""
    name: str = ""
    agent: str = ""
    models: list[str] = []
    expires_at: datetime | None = None


class ConnectionChange(TenantRequest, kw_only=True):
    """What shall be other about a connection; what is not said stays."""

    name: str
    by: str
    config: dict[str, Any] = msgspec.field(default_factory=dict)
    """Only what changes of it; null takes a name away."""
    secret: str | msgspec.UnsetType | None = msgspec.UNSET


class ConnectionTest(TenantRequest, kw_only=True):
    """A connection to try."""

    name: str
    by: str
