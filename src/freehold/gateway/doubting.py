"""
What may have happened already: an attempt left, and nothing tells what came of it.

Whatever goes wrong about such an effect afterwards, the one thing that must not be told is that nothing happened:
whoever believes that asks for it again, under another key.
"""

from collections.abc import Mapping
from typing import Final

from freehold.core.approvals import OUTCOME_UNKNOWN
from freehold.core.effects import SANDBOX, EffectKind, EffectState
from freehold.core.errors import Conflict, Denied, FreeholdError, Invalid, NotFound, Unavailable
from freehold.gateway.steps import Standing
from freehold.gateway.switches import EFFECTS_PAUSED

MAY_HAVE: Final = "It was begun before, and may have happened."
REMEDY: Final = "Do not repeat it: a person has to look first."


def doubtful(standing: Standing | None) -> bool:
    """Return whether an attempt that may have changed something has broken off."""
    if standing is None or standing.connection == SANDBOX or standing.kind == EffectKind.READ:
        return False
    if standing.state is EffectState.OPEN:
        return True
    if standing.state is not EffectState.UNKNOWN:
        return False
    error = (standing.outcome or {}).get("error") or {}
    # What may be tried again is unknown even where nothing was sent, and has then the word of its driver for it.
    return not standing.again or error.get("code", OUTCOME_UNKNOWN) == OUTCOME_UNKNOWN


def said(told: Mapping[str, str]) -> dict[str, str]:
    """Return an error with the doubt told beside it."""
    return {"code": OUTCOME_UNKNOWN, "message": f"{told['message']} {MAY_HAVE}", "remedy": REMEDY}


def raised(error: FreeholdError, standing: Standing | None) -> FreeholdError:
    """Return what is told instead of `error` about an effect that stands there; the same where there is no doubt."""
    about_it = isinstance(error, NotFound | Denied | Invalid | Unavailable) and error.code != EFFECTS_PAUSED
    if not about_it or not doubtful(standing):
        return error
    told = said({"message": error.message})
    if isinstance(error, Unavailable):
        return Unavailable(told["message"], after=error.after, code=told["code"], remedy=told["remedy"])
    return Conflict(told["message"], code=told["code"], remedy=told["remedy"])
