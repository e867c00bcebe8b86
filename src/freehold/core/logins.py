"""Codes that are mailed to people so that they can sign in."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCode:
    """A code somebody asked for, as the platform keeps it."""

    id: str
    account: str
    """The address it is for, as a mark that only web can make: strangers' addresses are not collected."""
    browser: str
    """SHA-256 of what the browser shows that asked for it; empty: an operator did, and any browser may use it."""
    hash: str
    """HMAC of code, id, account, browser and end, under web's seal."""
    told: bool
    """Whether anybody was told the code: one for an address that nobody here has is written down all the same."""
    created_at: datetime
    expires_at: datetime
    tries: int = 0
    used_at: datetime | None = None
    """When it was used, replaced, or found too old."""
