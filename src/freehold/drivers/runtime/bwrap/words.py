"""
What worker and spawner say to each other: one JSON message per datagram, a descriptor beside it where there is one.

The spawner believes nothing it reads here: every field is checked before it is used.
"""

from typing import Annotated, Final, Literal

import msgspec

from freehold.core.errors import FreeholdError, from_problem, to_problem
from freehold.sandboxes.runtime import Finding, Limits, SandboxSpec, Sighting

MAX_MESSAGE: Final = 1 << 17
MAX_NUMBER: Final = 1 << 24

Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{3}_[0-9A-Za-z]{1,60}\Z")]
Amount = Annotated[int, msgspec.Meta(ge=0, le=MAX_NUMBER)]


class Bounds(msgspec.Struct, forbid_unknown_fields=True):
    """Limits as they are asked for."""

    memory_mb: Amount
    pids: Amount
    cpus: Annotated[float, msgspec.Meta(gt=0, le=1024)]
    disk_mb: Amount
    files: Amount
    tmp_mb: Amount
    open_files: Amount


class Ask(msgspec.Struct, forbid_unknown_fields=True):
    """A question to the spawner."""

    n: int
    do: Literal["wake", "sleep", "destroy", "look", "check"]
    id: Id | None = None
    tenant: Id | None = None
    workspace: Id | None = None
    uid: Amount | None = None
    limits: Bounds | None = None
    box: bool = False

    def spec(self) -> SandboxSpec:
        """Return the sandbox that is asked for; ValueError when the question does not say."""
        if self.id is None or self.tenant is None or self.workspace is None or self.uid is None or self.limits is None:
            raise ValueError("a sandbox is described by id, tenant, workspace, uid and limits")
        limits = Limits(**msgspec.structs.asdict(self.limits))
        return SandboxSpec(
            id=self.id, tenant=self.tenant, uid=self.uid, workspace=self.workspace, limits=limits, box=self.box
        )


class Problem(msgspec.Struct):
    """An error on its way."""

    status: int
    problem: dict[str, object]
    after: float = 1.0

    @classmethod
    def of(cls, error: FreeholdError) -> "Problem":
        """Write an error down."""
        return cls(error.status, to_problem(error), float(getattr(error, "after", 1.0)))

    def error(self) -> FreeholdError:
        """Return it as it was."""
        return from_problem(self.status, self.problem, after=self.after)


class Tell(msgspec.Struct):
    """What the spawner says: the answer to question `n`, or that sandbox `ended`."""

    n: int = 0
    ended: str = ""
    problem: Problem | None = None
    awake: list[Sighting] | None = None
    findings: list[Finding] | None = None


def asking(n: int, spec: SandboxSpec) -> Ask:
    """Return the question that wakes a sandbox."""
    limits = spec.limits
    bounds = Bounds(
        memory_mb=limits.memory_mb,
        pids=limits.pids,
        cpus=limits.cpus,
        disk_mb=limits.disk_mb,
        files=limits.files,
        tmp_mb=limits.tmp_mb,
        open_files=limits.open_files,
    )
    return Ask(
        n,
        "wake",
        id=spec.id,
        tenant=spec.tenant,
        workspace=spec.workspace,
        uid=spec.uid,
        limits=bounds,
        box=spec.box,
    )
