"""Who asks: from what came with a request to a `Caller`."""

import hmac
from typing import Final

from freehold.core.errors import Denied
from freehold.core.tenants import Caller
from freehold.store.scope import Store
from freehold.tenants.keys import hashed, well_formed

OPERATOR: Final = "operator"
UNAUTHENTICATED: Final = 401


def recognise(store: Store, authorization: str, *, operator_hash: str) -> Caller:
    """
    Return who sends `Authorization: Bearer <key>`; raise `Denied` (401) where no key in force came.

    The operator's hash is compared in constant time; another key's is looked up by a hash over 256 random
    bits, which tells nothing about the key.
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
        key = platform.keys.find(digest)
    if key is None:
        raise _wrong()
    return Caller(actor=f"key:{key.id}", tenant=key.tenant, scopes=key.scopes)


def _wrong() -> Denied:
    return Denied(
        "This key is not in force.",
        code="bad_key",
        status=UNAUTHENTICATED,
        remedy="Check that the key is whole; ask an operator for a fresh one if it was revoked.",
    )
