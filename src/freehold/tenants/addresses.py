"""
Addresses of people: many ways to write one, and one way in which we keep it.

Whoever types capitals, full-width letters or a domain in their own script means the same mailbox. Mail always goes to
the spelling that is kept, never to what somebody typed, so that an address that only looks alike leads nowhere.
"""

import re
import unicodedata
from typing import Final

import idna

from freehold.core.errors import Invalid

LONGEST: Final = 254
LONGEST_LOCAL: Final = 64
_LOCAL: Final = re.compile(r"[^\s@<>,;:\"\\()\[\]]+")
_DOMAIN: Final = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")
_NO_LETTERS: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})


def normal(email: str) -> str:
    """Return the one spelling of `email`; raise `Invalid` (`bad_email`) for what is no address of one mailbox."""
    text = _folded(email.strip(" \t\r\n")) if len(email) <= 2 * LONGEST else ""
    local, at, domain = text.partition("@")
    if not at or len(local) > LONGEST_LOCAL or not _LOCAL.fullmatch(local) or _unseen(local) or _dotted(local):
        raise _bad()
    whole = f"{local}@{_domain(domain)}"
    if len(whole.encode()) > LONGEST:
        raise _bad()
    return whole


def faithful(email: str) -> bool:
    """
    Return whether the one spelling of `email` differs from it by nothing but capitals.

    Who proves to us that they read an address was written to at the spelling we keep. Who proved it to somebody else may
    have another mailbox, whose address only folds to the same: `straße@` is not `strasse@` to everybody.
    """
    return all(_same(sign) for sign in email.strip(" \t\r\n"))


def mask(email: str) -> str:
    """Return as much of an address as a log may say: `a…@example.com`."""
    local, at, domain = email.rpartition("@")
    return f"{local[:1]}…@{domain}" if at else "…"


def _same(sign: str) -> bool:
    folded = _folded(sign)
    return sign.isascii() == folded.isascii() and folded == sign.lower()


def _folded(text: str) -> str:
    """Return `text` with small letters and one shape for each letter; once more changes nothing."""
    while (folded := unicodedata.normalize("NFKC", text).casefold()) != text:
        text = folded
    return text


def _domain(domain: str) -> str:
    try:
        spelt = idna.encode(domain, uts46=True, std3_rules=True).decode() if not domain.isascii() else domain
        idna.decode(spelt)  # what pretends to be encoded, and is not
    except (idna.IDNAError, UnicodeError) as error:
        raise _bad() from error
    if not _DOMAIN.fullmatch(spelt):
        raise _bad()
    return spelt


def _unseen(local: str) -> bool:
    return any(unicodedata.category(character) in _NO_LETTERS for character in local)


def _dotted(local: str) -> bool:
    return local[0] == "." or local[-1] == "." or ".." in local


def _bad() -> Invalid:
    return Invalid("This is no e-mail address.", code="bad_email", remedy="Write it like ada@example.com.")
