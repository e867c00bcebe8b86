"""What a runtime driver is, and the nouns it is told in: names and numbers, never a path or a socket of this host."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

Source = Literal["out", "err"]
OnOutput = Callable[[Source, bytes], None]
"""Is told what a command prints while it runs; a terminal has only `out`."""

DEFAULT_CAP: Final = 1 << 20
DEFAULT_TIMEOUT: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one sandbox may use. Memory, processors and processes of the whole need cgroups; the rest holds always."""

    memory_mb: int = 512
    pids: int = 128
    cpus: float = 1.0
    """Processors it may keep busy."""
    disk_mb: int = 1024
    """Size of the workspace, and of any one file; a sandbox that passes it is killed."""
    files: int = 200_000
    """Entries in the workspace."""
    tmp_mb: int = 64
    """Size of /tmp and of shared memory; it counts as memory."""
    open_files: int = 1024
    """Descriptors of one process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """A sandbox as it should be. The driver knows where a tenant's workspaces are."""

    id: str
    tenant: str
    uid: int
    """The tenant's number; a driver that can do so gives each number a user of its own."""
    workspace: str
    """The name of the workspace inside the tenant's folder: the id of its agent."""
    limits: Limits = field(default_factory=Limits)
    box: bool = False
    """Whether the gateway listens for this sandbox: then its socket is the one way out of it, and leads to models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A sandbox that is awake, as the driver sees it."""

    id: str
    tenant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    exit: int
    """Its exit status; the negative number of the signal that killed it; 127 when there is no such program."""
    stdout: bytes
    """What it printed, up to the cap; with a terminal everything is here."""
    stderr: bytes
    cut: bool = False
    """Whether it printed more than the cap let through."""
    printed: int = 0
    """How many bytes it printed in all."""
    timed_out: bool = False
    interrupted: bool = False
    """A command with this key began earlier and nobody knows how it ended: it was not run again."""
    repeated: bool = False
    """A command with this key ended earlier: this is its stored outcome, and it was not run again."""
    ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing in a folder of the workspace."""

    name: str
    kind: Literal["file", "folder", "link", "other"]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port on the sandbox's own loopback, as the end of a stream."""

    number: int


class Stream(Protocol):
    """Bytes in both directions, to a process or an address inside; neither side can flood the other."""

    async def read(self) -> bytes:
        """Return the next bytes; empty when the far side has no more."""
        ...

    async def write(self, data: bytes) -> None:
        """Send `data`; waits while the far side has not taken what was sent before."""
        ...

    async def finish(self) -> None:
        """Say that nothing more will be written."""
        ...

    async def close(self) -> None:
        """End the stream; a process it belongs to is killed."""
        ...


class Guest(Protocol):
    """
    The way to talk to a sandbox that is awake. Several questions may be under way at once.

    A sandbox that dies answers every question with `Unavailable`, code `sandbox_died` (a workspace that grew too large:
    `Exhausted`, code `workspace_full`). A question that is cancelled kills what it started. Paths are relative to the
    workspace, or begin with /work.
    """

    async def run(
        self,
        argv: Sequence[str],
        *,
        key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - it is enforced inside, where the process tree is
        stdin: bytes = b"",
        cap: int = DEFAULT_CAP,
        tty: bool = False,
        on_output: OnOutput | None = None,
    ) -> Ended:
        """Run a command in the workspace; with `key` it is begun at most once, whatever happens to us meanwhile."""
        ...

    async def stream(self, target: Sequence[str] | Port) -> Stream:
        """Open a stream to the standard input and output of a new process, or to a port inside."""
        ...

    async def read_file(self, path: str, *, cap: int = DEFAULT_CAP) -> bytes:
        """Return a file's bytes; `Invalid`, code `file_too_large`, when there are more than `cap`."""
        ...

    async def write_file(self, path: str, data: bytes) -> None:
        """Make or replace a file, and the folders above it."""
        ...

    async def list_files(self, path: str = ".") -> list[Entry]:
        """Return what is in a folder, by name."""
        ...

    async def delete_file(self, path: str) -> None:
        """Delete a file, a link or an empty folder; `NotFound` when there is none."""
        ...

    async def close(self) -> None:
        """Hang up; the sandbox ends."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is missing or wrong on this machine, and what to do about it."""

    what: str
    remedy: str
    fatal: bool = False
    """Whether no sandbox can be made at all."""


class RuntimeDriver(Protocol):
    """
    Makes sandboxes real.

    Every method may be called twice with the same argument and must then change nothing. What the driver cannot reach
    raises `Unavailable`; what it may not do raises `Denied`. The suite in `freehold.testing.contract` is the other half
    of this definition.
    """

    name: str
    boxes: bool = False
    """Whether it can put the gateway's socket into a sandbox."""

    async def wake(self, spec: SandboxSpec) -> Guest:
        """Bring the sandbox up as described and return the way to talk to its guest."""
        ...

    async def sleep(self, sandbox: str) -> None:
        """Stop the sandbox and keep its workspace. One that is not there is asleep."""
        ...

    async def destroy(self, *, tenant: str, workspace: str) -> None:
        """Forget a workspace and everything in it. One that is not there is forgotten."""
        ...

    async def look(self) -> list[Sighting]:
        """Return the sandboxes that are awake."""
        ...

    async def check(self) -> list[Finding]:
        """Return what keeps this driver from doing its work well on this machine."""
        ...

    async def close(self) -> None:
        """Put every sandbox to sleep and let go of the machine."""
        ...
