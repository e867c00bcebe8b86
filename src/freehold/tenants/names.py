"""
Names of people and tenants: one line, and nothing in it that cannot be seen.

They are shown to others, in pages, mails and terminals, beside words of ours. A sign without a shape can turn the text
around it, or make two names look the same.
"""

from typing import Final

from freehold.core.errors import Invalid

LONGEST: Final = 200


def good_name(name: str) -> str:
    """Return a name as it is kept; raise `Invalid` (`bad_name`) for what cannot be shown."""
    kept = " ".join(name.split())
    if len(kept) > LONGEST or not kept.isprintable():
        raise Invalid(
            f"A name is at most {LONGEST} visible characters.", code="bad_name", remedy="Write a shorter one."
        )
    return kept


def visible(name: str) -> str:
    """Return as much of `name` as may be shown, for names that whoever has them did not type here."""
    return "".join(sign for sign in " ".join(name.split()) if sign.isprintable())[:LONGEST].strip()
