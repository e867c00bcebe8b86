"""Who did something, as people say it."""

from freehold.store.platform import Platform
from freehold.web.pages.visiting import Visitor


def said(platform: Platform, actor: str, visitor: Visitor) -> str:
    """Return `actor` as people say it; empty where it is the visitor."""
    kind, _, which = actor.partition(":")
    if actor == visitor.caller.actor:
        return ""
    if kind == "person":
        person = platform.people.find(which)
        return (person.name or person.email) if person else visitor.words("approve.somebody")
    return visitor.words("approve.operator") if kind == "operator" else visitor.words("approve.key", key=which)
