"""Key pairs of tenants and of the platform: made at first use, their private halves sealed like any secret."""

from typing import Final, Literal

from sqlalchemy import Connection as Tx
from sqlalchemy import insert, select

from freehold.audit.recording import PLATFORM
from freehold.core.errors import NotFound
from freehold.gateway.keeping import Keep
from freehold.gateway.manifests import fingerprint
from freehold.gateway.tables import key_pairs
from freehold.vault import pairs

Purpose = Literal["texts", "heads"]
"""`texts` opens the personal text beside a record; `heads` signs the ends of all chains."""

SEALED: Final = "key pair"
_MAKE: Final = {"texts": pairs.opening, "heads": pairs.signing}


def public_key(tx: Tx, keep: Keep, *, tenant: str | None, purpose: Purpose) -> str:
    """Return the public half, in hexadecimal; the pair is made now if there is none. Only inside `write`."""
    owner = tenant or PLATFORM
    known = known_key(tx, tenant=tenant, purpose=purpose)
    if known:
        return known
    made = _MAKE[purpose]()
    sealer = keep.sealer(tx, owner)
    sealed = sealer.seal(made.private, name=purpose, purpose=SEALED)
    values = {"tenant": owner, "purpose": purpose, "public": made.public, "sealed": sealed, "made_at": keep.now()}
    tx.execute(insert(key_pairs).values(values))
    listed = keep.manifests.change(tx, owner, sealer, {f"{SEALED}/{purpose}": fingerprint(1, sealed)})
    detail = {"public": made.public, "manifest": listed}
    keep.note(tx, tenant, actor="gateway", action="key_pair.make", subject=purpose, detail=detail)
    return made.public


def known_key(tx: Tx, *, tenant: str | None, purpose: Purpose) -> str:
    """Return the public half; empty if the pair was not made yet."""
    which = key_pairs.c.tenant == (tenant or PLATFORM), key_pairs.c.purpose == purpose
    return str(tx.execute(select(key_pairs.c.public).where(*which)).scalar() or "")


def opened(tx: Tx, keep: Keep, *, tenant: str | None, box: bytes) -> bytes:
    """Return the personal text that was encrypted to `tenant`."""
    return pairs.opened(_private(tx, keep, tenant=tenant, purpose="texts"), box)


def signature(tx: Tx, keep: Keep, told: bytes) -> str:
    """Return the platform's signature of `told`; only inside `write`."""
    public_key(tx, keep, tenant=None, purpose="heads")
    return pairs.signature(_private(tx, keep, tenant=None, purpose="heads"), told)


def _private(tx: Tx, keep: Keep, *, tenant: str | None, purpose: Purpose) -> bytes:
    owner = tenant or PLATFORM
    which = key_pairs.c.tenant == owner, key_pairs.c.purpose == purpose
    sealed = tx.execute(select(key_pairs.c.sealed).where(*which)).scalar()
    opener = keep.opener(tx, tenant)
    if sealed is None or opener is None:
        raise NotFound("There is no such key pair any more.", code="missing_key_pair")
    keep.manifests.require(tx, owner, SEALED, purpose, version=1, sealed=sealed)
    return opener.open(sealed, name=purpose, purpose=SEALED)
