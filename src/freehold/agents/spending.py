"""
A run whose money has run out.

One that a person attends asks whether it may go on for some dollars more: an effect of the connection `budget`, which
the gateway carries out once somebody approved it. One that nobody attends is over, and whoever sent it hears why:
waiting for the next day's money it would spend that, together with all else that waited, in the day's first minute.
"""

from typing import Any, Final

from freehold.agents.effects import submit
from freehold.agents.ports import Gateway
from freehold.agents.sources import Call, Result
from freehold.agents.stopping import Stop, fail
from freehold.core.approvals import Approval, ApprovalState
from freehold.core.effects import BUDGET, EXTEND
from freehold.core.extending import EXHAUSTED, Extension, wanted
from freehold.core.runs import WaitsFor
from freehold.runs.endings import Park, Question
from freehold.runs.segment import Segment

NAME: Final = f"{BUDGET}.{EXTEND}"
NO_MORE: Final = "Ask whoever may set budgets to raise this one, or wait until it begins anew; then say it again."
DENIED: Final = "A person did not let this run go on past its budget: "
UNANSWERED: Final = "Nobody said in time whether this run may go on past its budget: "


async def ask_for_more(gateway: Gateway, segment: Segment, *, asked: str, result: Result) -> None:
    """
    Return if the model may be asked again; else raise how the segment ends: it waits for a person, or is over.

    `asked` is the key of the question to the model that a limit stood against, as its `result` tells.
    """
    error = result["error"]
    more = wanted(result.get("facts", {}), run=segment.run.id, at=segment.clock.now())
    if more is None or not segment.run.attended:
        raise fail(error["code"], error["message"], error["remedy"] or NO_MORE)
    key = f"{asked.rpartition('/')[0]}/1"  # a question that failed proposed no calls: the first one's key is free
    came = await _extend(gateway, segment, more.arguments(), key=key, step=key)
    if "asked" in came:
        question = Question(key=key, call="", reason=error["message"], **came["asked"])
        raise Stop(Park(waits_for=WaitsFor.PERSON, questions=(question,), reason=error["message"]))
    if "value" not in came:
        raise fail(error["code"], error["message"], error["remedy"] or NO_MORE)


async def go_on(gateway: Gateway, segment: Segment) -> None:
    """Take up what was decided about money since the model's last reply; raise the end of a run that gets no more."""
    run = segment.run.id
    answered = max((_segment_of(str(part.content.get("key", "")), run) for part in segment.earlier), default=0)
    for approval in segment.approvals:
        if approval.connection == BUDGET and _segment_of(approval.key, run) >= answered:
            await _decided(gateway, segment, approval)


def _segment_of(key: str, run: str) -> int:
    """Return the segment in which a key of `run` was given; 0 for what is not of this run."""
    whose, _, rest = key.partition("/")
    return int(rest.partition("/")[0]) if whose == run and rest else 0


async def _decided(gateway: Gateway, segment: Segment, approval: Approval) -> None:
    match approval.state:
        case ApprovalState.APPROVED:
            more = Extension.of(approval.arguments)
            # Whatever comes of it: if there is still no money, the model's next question says so.
            step = f"{approval.key}/{segment.run.segment}"
            await _extend(gateway, segment, more.arguments(), key=approval.key, step=step)
        case ApprovalState.ASKED:
            raise Stop(Park(waits_for=WaitsFor.PERSON))
        case ApprovalState.DENIED:
            raise fail(EXHAUSTED, DENIED + approval.reason, NO_MORE)
        case ApprovalState.EXPIRED:
            raise fail(EXHAUSTED, UNANSWERED + approval.reason, NO_MORE)


async def _extend(gateway: Gateway, segment: Segment, arguments: dict[str, Any], *, key: str, step: str) -> Result:
    call = Call(id="", name=NAME, arguments=arguments, key=key)

    async def do() -> Result:
        _opened, result = await submit(gateway, segment, call, connection=BUDGET, operation=EXTEND, arguments=arguments)
        return result

    return await segment.step(key=step, kind="tool", name=NAME, do=do, about={"arguments": arguments})
