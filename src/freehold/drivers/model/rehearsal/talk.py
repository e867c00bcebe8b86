"""What the rehearsal model says: little, true, and the same each time."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

SHOWN: Final = 2_000
HONEST: Final = "I am the rehearsal model of this platform: no language model, only a few fixed phrases."
_NAME: Final = re.compile(r"\bmy name is ([^\s.,!?;:]{1,40})|\bcall me ([^\s.,!?;:]{1,40})", re.IGNORECASE)
_GREETING: Final = re.compile(
    r"\b(hello|hi|hey|good (morning|day|evening)|hallo|guten (tag|morgen|abend))\b", re.IGNORECASE
)
_ASKS_NAME: Final = re.compile(r"\b(what('s| is) my name|who am i)\b", re.IGNORECASE)
_ASKS_LAST: Final = re.compile(r"\bwhat did i (just )?(say|tell|write)\b|\blast thing i said\b", re.IGNORECASE)
_ASKS_SELF: Final = re.compile(
    r"\b(who|what) are you\b|\bare you (a|an|the) (model|ai|human|person|real)\b", re.IGNORECASE
)


def text_of(content: object) -> str:
    """Return the words of a message, whether it is plain text or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def answer(said: Sequence[str]) -> str:  # noqa: PLR0911 - one per thing it understands
    """Return the answer to the last of the things a person said."""
    last = said[-1] if said else ""
    name = _name(said)
    if _ASKS_LAST.search(last):
        before = said[-2] if len(said) > 1 else ""
        return f"You said: {before}" if before else "You have not said anything before this."
    if _ASKS_NAME.search(last):
        return f"Your name is {name}." if name else "You have not told me your name."
    if _ASKS_SELF.search(last):
        return HONEST
    if _NAME.search(last) and name:
        return f"Nice to meet you, {name}. {HONEST}"
    if _GREETING.search(last):
        return f"Hello{', ' + name if name else ''}! {HONEST} What would you like to try?"
    return f"{HONEST} You said: {last}" if last else HONEST


def report(results: Sequence[tuple[str, str]]) -> str:
    """Return what there is to say about the results of tools, given as name and content."""
    return "\n".join(f"{name}: {_result(content)}" for name, content in results)


def _result(content: str) -> str:
    """Return what a tool gave back, in words where it failed."""
    try:
        told = json.loads(content)
    except ValueError:
        return content[:SHOWN] or "done, nothing came back"
    if isinstance(told, dict):
        for key, words in (("error", "it failed"), ("refused", "it was refused"), ("denied", "it was denied")):
            if told.get(key):
                return f"{words}: {_reason(told[key])}"
    return content[:SHOWN]


def _reason(told: Any) -> str:
    match told:
        case {"message": str(message)}:
            return message[:SHOWN]
        case str():
            return told[:SHOWN]
        case _:
            return json.dumps(told, ensure_ascii=False)[:SHOWN]


def _name(said: Sequence[str]) -> str:
    for text in reversed(said):
        found = _NAME.search(text)
        if found:
            return found[1] or found[2]
    return ""
