"""
`freehold up`: the whole platform on one machine.

Makes the data folder ready, starts gateway, worker and web over it, starts again what dies, and stops all
in order. It carries no traffic; as root it also makes the sandboxes, because the worker is not root then.
"""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec

from freehold.app import mounts, predecessor
from freehold.app.address import bound
from freehold.app.readiness import claimed, health
from freehold.app.spawning import demand_sandboxes, spawning
from freehold.app.supervising import Program, Supervisor
from freehold.app.users import PROCESSES, Users, alone, apart, command, lay_out
from freehold.core.errors import Conflict, FreeholdError, Unavailable
from freehold.settings import Settings
from freehold.surroundings import passed_on
from freehold.tenants.keys import hashed
from freehold.tenants.operator import FILE, drop_claim, ensure_operator_key, ensure_seal, renew_claim
from freehold.web.hosts import hosts_of
from freehold.web.rates import networks

READY_SECONDS: Final = 60.0
ASK_SECONDS: Final = 0.05
OK: Final = 200
LOCK: Final = "up.lock"
WORKER: Final = "worker.sock"
NOWHERE: Final = "/"
"""Home and working folder of every process: none of them may put anything there for another to find."""
PATIENCE: Final = {"web": 3.0, "worker": 4.0, "gateway": 2.5}
"""Seconds each process gets to stop by itself."""

ONE_USER: Final = (
    "Web, worker, gateway and sandboxes are one user here; started by root they would be several, "
    "and the file of secrets would be closed to all but the gateway."
)
ALL_ROOT: Final = (
    "Separate users are not possible here ({error}), so web, worker and gateway are all root: "
    "install Freehold where every user may read it."
)

NO_MAIL: Final = "There is no mail server (FREEHOLD_SMTP_URL) and others reach this address, so nobody is sent a code to sign in with."

Announce = Callable[[dict[str, Any]], None]
Say = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the processes stand on, once it is ready."""

    settings: Settings
    users: Users
    operator_hash: str
    key_seal: str
    notes: tuple[str, ...]
    """What a person should know about how it was started."""
    claim: str = ""
    """What the link shows that makes somebody the first operator."""


def up(settings: Settings, *, announce: Announce, say: Say) -> None:
    """
    Run the platform until it is told to stop.

    `announce` gets `{address, data, pids}` once all answer, with `models_url` where programs outside may call models
    and `claim_url` while nobody has claimed the installation, and `say` each line of each process.
    Raises `Conflict` (`already_running`) if the data folder has a platform already, and `Unavailable`
    (`no_sandboxes`) where this machine cannot make a sandbox, `Invalid` (`port_taken`) where somebody else listens.
    """
    os.umask(0o077)
    hosts_of(settings)  # what web would stumble over is told before anything starts
    networks(settings.proxies)
    demand_sandboxes(settings)
    users = apart(settings) if os.geteuid() == 0 else alone()
    lay_out(settings.data, users)
    with only_one(settings.data / "run" / LOCK):
        predecessor.outlive(settings)
        bound(settings.address).close()
        users, notes = _way_in(settings, users)
        ground = Ground(
            settings=settings,
            users=users,
            operator_hash=hashed(ensure_operator_key(settings.data)),
            key_seal=ensure_seal(settings.data),
            notes=notes + ((NO_MAIL,) if not settings.smtp_url and not settings.on_loopback else ()),
            claim=renew_claim(settings.data),
        )
        with spawning(settings, users):
            asyncio.run(_run(ground, announce=announce, say=say))


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the lock at `path` for the block; raise `Conflict` naming the process that holds it."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+") as file:
        _take(file, path)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _take(file: TextIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Conflict(
            f"A platform runs on {path.parent.parent} already (process {file.read().strip() or 'unknown'}).",
            code="already_running",
            remedy="Use that one, stop it first, or set FREEHOLD_DATA and FREEHOLD_ADDRESS for a second one.",
        ) from error


def _way_in(settings: Settings, users: Users) -> tuple[Users, tuple[str, ...]]:
    """Return the users the processes can really be, having opened the way to all they need."""
    if not users.apart:
        return users, (ONE_USER,)
    try:
        covers = mounts.plan(needed(settings))
        if covers:
            mounts.open_way(covers)
        _try_out(users)
    except (OSError, subprocess.SubprocessError) as error:
        users = alone()
        lay_out(settings.data, users)
        return users, (ALL_ROOT.format(error=error),)
    return users, ()


def needed(settings: Settings) -> list[Path]:
    """Return the paths that every process of ours must be able to read."""
    package = Path(__file__).parents[1]
    stated = [settings.data, Path(sys.prefix), Path(sys.base_prefix), Path(sysconfig.get_path("stdlib")), package]
    searched = [Path(entry) for entry in passed_on().get("PYTHONPATH", "").split(os.pathsep) if entry]
    return [path for path in stated + searched if path.exists()]


def _surroundings() -> dict[str, str]:
    """
    Return what every process of ours sees, whoever it is.

    Nothing is imported from the working folder or from a home: whoever may write there, and the worker may write in
    the data folder, would be the gateway the next time it starts.
    """
    return passed_on() | {"HOME": NOWHERE, "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1"}


def _try_out(users: Users) -> None:
    for user in (users.gateway, users.worker, users.web):
        trial = command(user, [sys.executable, "-c", "import freehold.core.errors, typing_extensions"], switch=True)
        subprocess.run(  # noqa: S603 - the words are ours
            trial, check=True, cwd=NOWHERE, env=_surroundings(), stdin=subprocess.DEVNULL, capture_output=True
        )


def claim_url(settings: Settings, token: str) -> str:
    """Return the link with which the first operator claims."""
    return f"{settings.base_url}/claim?token={token}"


def programs(ground: Ground) -> list[Program]:
    """Return the processes of the platform, in the order they start."""
    users = ground.users
    settings = msgspec.structs.replace(
        ground.settings,
        operator_key_hash=ground.operator_hash,
        key_seal=ground.key_seal,
        claim_hash=hashed(ground.claim) if ground.claim else "",
        gateway_user=users.gateway.uid if users.apart else -1,
        gateway_web_group=users.web.groups[0] if users.apart else -1,
        gateway_worker_group=users.worker.gid if users.apart else -1,
        spawner=users.apart and ground.settings.runtime == "bwrap",
    )
    surroundings, unarmed = _surroundings(), msgspec.structs.replace(settings, failpoint="")
    return [
        Program(
            name=name,
            argv=command(users.of(name), [sys.executable, "-m", "freehold", name], switch=users.apart),
            environment=surroundings | settings.environment(name),
            environment_again=surroundings | unarmed.environment(name),
            folder=Path(NOWHERE),
            patience=PATIENCE[name],
        )
        for name in PROCESSES
    ]


async def _run(ground: Ground, *, announce: Announce, say: Say) -> None:
    for line in ground.notes:
        say("up", line)
    async with _stop_asked() as stop:
        supervisor = Supervisor(programs(ground), say=say)
        supervisor.start()
        try:
            answered = asyncio.create_task(_answering(ground, supervisor))
            await _first(answered, stop)
            if not stop.is_set():
                announce(_announcement(ground, supervisor) | await _claiming(ground))
                await stop.wait()
        finally:
            await supervisor.stop()
            predecessor.mark_of(ground.settings).unlink(missing_ok=True)


async def _first(answered: asyncio.Task[None], stop: asyncio.Event) -> None:
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({answered, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if answered.done():
        waiting.cancel()
        answered.result()
    else:
        answered.cancel()


async def _answering(ground: Ground, supervisor: Supervisor) -> None:
    """Return once everything answers; raise what stands in the way."""
    loop = asyncio.get_running_loop()
    until, worker = loop.time() + READY_SECONDS, ground.settings.data / "run" / WORKER
    while loop.time() < until:
        if supervisor.refusal.done():
            name = supervisor.refusal.result().name
            raise FreeholdError(
                f"The {name} process cannot start; it says why above.",
                code="not_started",
                status=503,
                remedy="Mend what it names and start again; `freehold doctor` looks at everything.",
            )
        said = await health(ground.settings.address) if worker.exists() else None  # its last sign may be a dead one's
        if said and said["status"] == OK:
            supervisor.ready()
            return
        await asyncio.sleep(ASK_SECONDS)
    raise Unavailable(
        f"The platform did not answer within {READY_SECONDS:g} s.",
        code="not_started",
        remedy="Look at what the processes said, and run `freehold doctor`.",
    )


def _announcement(ground: Ground, supervisor: Supervisor) -> dict[str, Any]:
    settings = ground.settings
    predecessor.mark(settings)
    models = {"models_url": f"http://{settings.gateway_address}/v1"} if settings.gateway_address else {}
    return models | {
        "address": settings.address,
        "url": f"http://{settings.address}",
        "data": str(settings.data),
        "key_file": str(settings.data / FILE),
        "pids": supervisor.pids,
    }


async def _claiming(ground: Ground) -> dict[str, Any]:
    """Return the link that makes somebody the first operator, if nobody is."""
    if await claimed(ground.settings.address):
        drop_claim(ground.settings.data)
        return {}
    return {"claim_url": claim_url(ground.settings, ground.claim)}


@asynccontextmanager
async def _stop_asked() -> AsyncIterator[asyncio.Event]:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
