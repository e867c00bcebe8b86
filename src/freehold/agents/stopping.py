"""How a turn ends from within: whoever sees the end raises it, and the loop hands it on."""

from freehold.runs.endings import Ending, Fail


class Stop(Exception):
    """The segment ends here, and this is how."""

    def __init__(self, ending: Ending) -> None:
        """End with `ending`."""
        super().__init__(type(ending).__name__)
        self.ending = ending


def fail(code: str, message: str, remedy: str = "") -> Stop:
    """Return the way out for a run that cannot go on."""
    return Stop(Fail(code=code, message=message, remedy=remedy))
