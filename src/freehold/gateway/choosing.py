"""Which model a run calls: the one its version was granted, and for a coordinator's helpers the executor."""

from typing import Final

from sqlalchemy import Connection as Tx

from freehold.core.errors import Denied
from freehold.core.money import Level
from freehold.gateway.calls import levels
from freehold.gateway.grants import Grants

HELPERS: Final = (Level.COORDINATOR, Level.EXECUTOR)
"""Whoever was granted the first may have helpers call the second."""


def chosen(tx: Tx, grants: Grants, model: str) -> str:
    """
    Return the model that is called for a run that names `model`; raise `Denied` where its version may not have it.

    Helpers call what the version was granted where nobody set routes for `executor`.
    """
    if model == grants.model:
        return model
    if (grants.model, model) == HELPERS:
        return model if levels.chain(tx, tenant=grants.tenant, level=model) else grants.model
    raise Denied("This version was granted another model.", code="model_not_granted", remedy="Make a version with it.")
