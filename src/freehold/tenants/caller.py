"""Who asks: from what came with a request to a `Caller`."""

import hmac
from typing import Final

from freehold.core.errors import Denied
from freehold.core.tenants import Caller
from freehold.store.scope import Store
from freehold.tenants.keys import hashed, id_in, sealed, well_formed

OPERATOR: Final = "operator"
UNAUTHENTICATED: Final = 401


def recognise(store: Store, authorization: str, *, operator_hash: str, seal: str) -> Caller:
    """
    Return who sends `Authorization: Bearer <key>`; raise `Denied` (401) where no key in force came.

    Another key than the operator's is looked up by the id it carries, which is no secret. Hashes are compared in
    constant time, and a row counts only if `seal` made it as it stands.
    """
    scheme, _, text = authorization.strip().partition(" ")
    text = text.strip()
    if scheme.lower() != "bearer" or not text:
        raise Denied(
            "This needs a key.",
            code="no_key",
            status=UNAUTHENTICATED,
            remedy="Send it as: Authorization: Bearer <key>. An operator makes one with: freehold key create",
        )
    if not well_formed(text):
        raise _wrong()
    digest = hashed(text)
    if operator_hash and hmac.compare_digest(digest, operator_hash):
        return Caller(actor=OPERATOR, tenant=None, scopes=frozenset({"*"}))
    with store.read() as platform:
        key = platform.keys.find(id_in(text))
    if key is None:
        raise _wrong()
    right = sealed(seal, text, id=key.id, tenant=key.tenant, scopes=key.scopes)
    if not seal or not hmac.compare_digest(right, key.hash):
        raise _wrong()
    return Caller(actor=f"key:{key.id}", tenant=key.tenant, scopes=key.scopes)


def _wrong() -> Denied:
    return Denied(
        "This key is not in force.",
        code="bad_key",
        status=UNAUTHENTICATED,
        remedy="Check that the key is whole; ask an operator for a fresh one if it was revoked.",
    )
