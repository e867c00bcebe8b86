"""
Web's seal: rows that give power carry a mark which only web can make.

More than one process can write the database. A worker that was taken over may write a key, a role or a session, but
it does not know the secret, so what it writes is as if it were not there. A row that was right once and was put back
later still looks right: that is what the audit record is for.
"""

import hmac
from typing import Any, final

from freehold.audit.canonical import canonical


@final
class Seal:
    """Makes marks and tells which of them hold."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        """Seal with `secret`; an empty one makes no mark that holds."""
        self._secret = secret.encode()

    def mark(self, kind: str, /, **fields: Any) -> str:
        """Return the mark of a row of `kind` (`key`, `session`) that says `fields`, in hexadecimal."""
        return hmac.digest(self._secret, canonical([kind, fields]), "sha256").hex()

    def holds(self, mark: str, kind: str, /, **fields: Any) -> bool:
        """Return whether `mark` was made by us for a row that said just this."""
        return bool(self._secret) and hmac.compare_digest(self.mark(kind, **fields), mark)
