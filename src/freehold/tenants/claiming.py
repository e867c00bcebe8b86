"""
Claiming: whoever starts an installation becomes its first operator, with a link that `freehold up` prints.

The link is as good as the machine it was printed on: 256 random bits in a file of the owner, made anew at each start
for as long as nobody has claimed. It works once.
"""

import hmac
from dataclasses import replace

from freehold.audit.canonical import fingerprint
from freehold.audit.database import note
from freehold.core.clock import Clock
from freehold.core.errors import Denied, Invalid
from freehold.core.ids import NewId
from freehold.core.people import Person, PersonState, PlatformRole, SignIn
from freehold.store.people import claimed_already
from freehold.store.platform import Platform
from freehold.tenants import sessions
from freehold.tenants.addresses import normal
from freehold.tenants.marks import genuine, mark_of
from freehold.tenants.names import good_name
from freehold.tenants.sealing import Seal
from freehold.tenants.sessions import Browser, Opened, hashed


def is_claimed(platform: Platform, *, seal: Seal) -> bool:
    """
    Return whether the installation has had its first operator.

    That it was claimed is a row which more than web can write; that somebody is its operator is sealed.
    """
    if platform.installation.claimed_at is not None:
        return True
    operators = platform.people.with_platform_role(PlatformRole.OPERATOR)
    return any(genuine(seal, one) and one.state is PersonState.ACTIVE for one in operators)


def claim(
    platform: Platform,
    *,
    token: str,
    email: str,
    name: str,
    token_hash: str,
    browser: Browser,
    seal: Seal,
    ids: NewId,
    clock: Clock,
) -> Opened:
    """
    Make whoever shows the link's `token` the first operator, and sign them in.

    Raises `Denied` (`bad_claim`) for another token, `Conflict` (`already_claimed`) for all but the first.
    """
    if not token_hash or not hmac.compare_digest(hashed(token), token_hash):
        raise Denied(
            "This link does not claim this installation.",
            code="bad_claim",
            status=401,
            remedy="Use the link that the last start printed; `freehold claim-link` prints it again.",
        )
    address, said = normal(email), good_name(name)
    at, known = clock.now(), platform.people.by_email(address)
    person = known or Person(id=ids("per"), email=address, name=said, created_at=at)
    if known is not None and (not genuine(seal, known) or known.state is not PersonState.ACTIVE):
        raise Invalid("This address cannot be used.", code="bad_email", remedy="Claim with another address.")
    if is_claimed(platform, seal=seal):
        raise claimed_already()
    platform.installation.claim(person.id, at=at)
    person = replace(person, platform_role=PlatformRole.OPERATOR)
    person = replace(person, seal=mark_of(seal, person))
    if known is None:
        platform.people.add(person)
    else:
        platform.people.save(person)
    note(
        platform.connection,
        at=at,
        tenant=None,
        actor=f"person:{person.id}",
        action="platform.claim",
        subject=person.id,
        before=fingerprint(known, "email", "name", "seal"),
        after=fingerprint(person, "email", "name", "seal"),
        personal={"email": person.email, "name": person.name},
        way=str(SignIn.CLAIM),
    )
    return sessions.open(platform, person, way=SignIn.CLAIM, browser=browser, seal=seal, ids=ids, clock=clock)
