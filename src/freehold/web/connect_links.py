"""
Links to the page where somebody signs in to an account outside, on behalf of a connection.

A link only says what shall be connected and who asked for it. It opens nothing: whoever follows it has to be signed
in and allowed to change the connection, and only their button begins anything. So nothing of it is kept; web's seal
shows that the words are ours.
"""

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from freehold.audit.canonical import canonical
from freehold.core.errors import NotFound
from freehold.tenants.sealing import Seal

LASTING: Final = timedelta(days=1)
MAILED: Final = timedelta(days=14)
"""How long a link is good that waits in somebody's mail."""
PAGE: Final = "/connect/"
LONGEST: Final = 800
_MARK: Final = 32
_KIND: Final = "connect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What shall be connected."""

    tenant: str
    """Whose connection it is; empty for the platform's."""
    connection: str
    by: str
    """Who asks for it, as an actor; empty where the platform itself does."""
    until: datetime

    def over(self, at: datetime) -> bool:
        """Return whether it has run out."""
        return self.until <= at


def written(link: Link, *, seal: Seal) -> str:
    """Return `link` as it stands behind the page's address."""
    said = canonical([link.tenant, link.connection, link.by, int(link.until.timestamp())])
    return base64.urlsafe_b64encode(said).rstrip(b"=").decode() + "." + _mark(said, seal)


def read(text: str, *, seal: Seal) -> Link:
    """Return the link that `text` spells; raise `NotFound` (`unknown_link`) for what we did not write."""
    body, _, mark = text.partition(".")
    try:
        said = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        if not hmac.compare_digest(_mark(said, seal).encode(), mark.encode()):
            raise missing()
        tenant, connection, by, until = json.loads(said)
    except (binascii.Error, ValueError) as error:
        raise missing() from error
    return Link(tenant=tenant, connection=connection, by=by, until=datetime.fromtimestamp(until, tz=UTC))


def missing() -> NotFound:
    """Return the error that tells there is no such link, or none for whoever asks."""
    return NotFound(
        "There is no such link.",
        code="unknown_link",
        remedy="Copy it whole, or let `freehold connection connect NAME` print a new one.",
    )


def _mark(said: bytes, seal: Seal) -> str:
    return seal.mark(_KIND, said=said.decode())[:_MARK]
