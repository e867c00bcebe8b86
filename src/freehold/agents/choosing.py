"""Which model a run asks: what its version names, and of a coordinator's helpers the executor."""

from freehold.core.agents import Version
from freehold.core.money import Level
from freehold.core.runs import Run


def model_of(run: Run, version: Version) -> str:
    """
    Return the level or the model that `run` asks.

    Only who leaves the choice to levels gets another one for helpers: a version that names a provider's model may do
    so because nobody else is to read what it is told. Where `executor` leads nowhere, the gateway goes by what the
    version names.
    """
    model = version.spec.model
    return Level.EXECUTOR if run.depth and model == Level.COORDINATOR else model
