"""What an approval asks, as a person at a terminal reads it."""

import json
from typing import Any, Final

DOES: Final = {
    "read": "only reads",
    "own_write": "changes something of yours, in a way that can be undone",
    "message": "tells somebody outside something",
    "spend": "spends money",
    "credential": "makes, shows or uses up what opens something",
    "permission": "changes what somebody may do",
    "destroy": "destroys something",
}
"""What an effect does to the world, by its kind."""
AGAIN: Final = "It was begun and broke off: it may have happened. Look at the other side before it is done once more."


def is_again(approval: dict[str, Any]) -> bool:
    """Return whether it may have happened already."""
    return bool(approval["reason"] == "outcome_unknown")


def question(approval: dict[str, Any]) -> str:
    """Return what is asked in a line: leave to spend more in words, anything else as it would be done."""
    arguments = approval["arguments"]
    if approval["connection"] == "budget" and "usd" in arguments:
        return f"Continue for ${arguments['usd']}? {approval['reason']}"
    place = "" if approval["connection"] == "sandbox" else f"{approval['connection']}."
    once_more = "Once more? " if is_again(approval) else ""
    return f"{once_more}{place}{approval['operation']} {json.dumps(arguments, ensure_ascii=False)}"


def beside(approval: dict[str, Any]) -> list[str]:
    """Return what whoever decides should know besides, a sentence each."""
    does = DOES.get(approval["kind"])
    return ([f"It {does}."] if does else []) + ([AGAIN] if is_again(approval) else [])
