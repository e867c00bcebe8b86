"""What whoever took over the worker can do as its user: the database and workspaces, and nothing by way of the rest."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from freehold.app.predecessor import mark
from freehold.app.up import Ground, programs
from freehold.app.users import alone, apart, lay_out
from freehold.core.errors import Denied, Invalid, Unavailable
from freehold.gateway.client import WebGateway
from freehold.settings import Settings
from freehold.tenants import keys
from freehold.tenants.operator import ensure_operator_key, ensure_seal
from freehold.testing.platform import LocalPlatform
from tests.platforms import until
from tests.webs import client, made

ROOT = os.geteuid() == 0
SERVICE = 64_700
WORKER = SERVICE + 1
CANARY = "canary-3d1f9a7b"
LEAK = f"smtp://someone:{CANARY}@127.0.0.1:9"
LOOK = """
import os, sys
for name in ("environ", "maps", "mem"):
    try:
        open(f"/proc/{sys.argv[1]}/{name}", "rb").read(1)
        print(name)
    except OSError:
        pass
"""


@pytest.fixture(scope="module")
def platform() -> Iterator[LocalPlatform]:
    """Give a platform of several users, in a folder that they may pass."""
    if not ROOT:
        pytest.skip("there is one user only")
    with tempfile.TemporaryDirectory(prefix="freehold-") as folder:
        Path(folder).chmod(0o711)
        stated = {"FREEHOLD_SERVICE_UID_BASE": str(SERVICE), "FREEHOLD_SMTP_URL": LEAK}
        with LocalPlatform(Path(folder) / "data", environment=stated) as running:
            yield running


def as_worker(*words: str, cwd: Path = Path("/")) -> subprocess.CompletedProcess[str]:
    """Run a command as the worker's user, in no other group."""
    command = ["setpriv", f"--reuid={WORKER}", f"--regid={WORKER}", "--clear-groups", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def settings(data: Path) -> Settings:
    return Settings.read({"FREEHOLD_DATA": str(data), "FREEHOLD_SMTP_URL": LEAK})


def test_a_secret_among_the_settings_reaches_only_the_process_that_needs_it(tmp_path: Path) -> None:
    stated = replace(settings(tmp_path), database="postgresql://x:pw@db/f")
    ground = Ground(settings=stated, users=alone(), operator_hash="0p", key_seal="5e", notes=())
    seen = {program.name: {**program.environment, **program.environment_again} for program in programs(ground)}
    assert [name for name, words in seen.items() if "FREEHOLD_SMTP_URL" in words] == ["gateway"]
    assert [name for name, words in seen.items() if "FREEHOLD_DATABASE" in words] == ["worker", "web"]
    for name in ("FREEHOLD_KEY_SEAL", "FREEHOLD_OPERATOR_KEY_HASH"):
        assert [process for process, words in seen.items() if name in words] == ["web"]


def test_no_process_imports_or_reads_what_the_worker_can_put_somewhere(tmp_path: Path) -> None:
    ground = Ground(settings=settings(tmp_path), users=alone(), operator_hash="", key_seal="", notes=())
    for program in programs(ground):
        assert program.folder == Path("/")
        assert program.environment["HOME"] == "/"
        asked = "import sys, site; print('' in sys.path or '/' in sys.path, site.ENABLE_USER_SITE)"
        said = subprocess.run(
            [sys.executable, "-c", asked], env=program.environment, capture_output=True, text=True, check=True
        )
        assert said.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("name", ["operator.key", "keys.seal"])
def test_a_key_file_that_somebody_else_laid_there_is_no_key(tmp_path: Path, name: str) -> None:
    ensure = {"operator.key": ensure_operator_key, "keys.seal": ensure_seal}[name]
    ensure(tmp_path)
    (tmp_path / name).rename(tmp_path / "elsewhere")
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Invalid) as refused:
        ensure(tmp_path)
    assert refused.value.code == "foreign_key_file"
    if ROOT:
        (tmp_path / name).unlink()
        (tmp_path / name).write_text((tmp_path / "elsewhere").read_text())
        (tmp_path / name).chmod(0o600)
        os.chown(tmp_path / name, WORKER, WORKER)
        with pytest.raises(Invalid):
            ensure(tmp_path)


def test_the_mark_of_a_running_platform_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    precious = tmp_path / "precious"
    precious.write_text("precious")
    precious.chmod(0o600)
    (tmp_path / "run" / "address").symlink_to(precious)
    mark(settings(tmp_path))
    assert precious.read_text() == "precious"
    assert precious.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "run" / "address").read_text().startswith("127.")


def test_laying_out_gives_nobody_a_file_that_has_another_name(tmp_path: Path) -> None:
    data, precious = tmp_path / "data", tmp_path / "precious"
    lay_out(data, alone())
    precious.touch()
    precious.chmod(0o600)
    (data / "freehold.db-wal").hardlink_to(precious)
    with pytest.raises(Denied):
        lay_out(data, alone())
    assert precious.stat().st_mode & 0o777 == 0o600


async def test_nobody_who_sits_down_at_the_gateways_place_is_told_a_secret(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_unix_server(listen, tmp_path / "gateway-web.sock")
    gateway = WebGateway(tmp_path / "gateway-web.sock", user=os.geteuid() + 1)
    with pytest.raises(Unavailable):
        await gateway.set_secret(None, "name", CANARY, by="operator")
    await gateway.close()
    server.close()
    await server.wait_closed()
    assert CANARY.encode() not in b"".join(heard)


def test_a_person_is_shown_the_hash_of_what_they_see(tmp_path: Path) -> None:
    web = made(tmp_path)
    acme = web.tenant("acme")
    agent = web.agent(acme)
    path = "/api/v1/tenants/acme"
    with client(web) as asking:
        run = asking.post(f"{path}/runs", json={"agent": agent.name, "input": "go"}).json()["id"]
        approval = web.ask(acme, run)
        assert asking.get(f"{path}/approvals/{approval.id}").json()["hash"] == approval.hash
        with sqlite3.connect(tmp_path / "freehold.db") as database:
            database.execute('update approvals set arguments = \'{"path": "harmless"}\'')
        shown = asking.get(f"{path}/approvals/{approval.id}").json()
        assert shown["arguments"] == {"path": "harmless"}
        assert shown["hash"] != approval.hash
        refused = asking.post(f"{path}/approvals/{approval.id}/approve", json={"hash": shown["hash"]})
        assert (refused.status_code, refused.json()["code"]) == (409, "stale_hash")


@pytest.mark.root
def test_web_wears_what_the_worker_has_not(tmp_path: Path) -> None:
    users = apart(settings(tmp_path))
    assert (bool(users.web.badge), users.worker.badge, users.gateway.badge) == (ROOT, "", "")


@pytest.mark.long
@pytest.mark.root
def test_what_is_planted_in_the_data_folder_is_not_run_by_others(platform: LocalPlatform) -> None:
    proof = platform.data / "tenants" / "proof"
    code = f"import os; open('{proof}' + str(os.getpid()), 'w'); raise ImportError"
    planted = platform.data / "nacl.py"
    assert as_worker(
        "sh", "-c", f'echo "{code}" > {planted}; echo "log_level=\'debug\'" > freehold.toml', cwd=platform.data
    )
    before = platform.pids
    for name in ("web", "gateway"):
        platform.kill(name)
    until(lambda: set(platform.pids) == set(before) and set(before.values()) != set(platform.pids.values()))
    until(lambda: healthy(platform))
    assert not list(proof.parent.glob("proof*"))
    planted.unlink()
    (platform.data / "freehold.toml").unlink()


def healthy(platform: LocalPlatform) -> bool:
    try:
        return httpx.get(f"{platform.url}/healthz", timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


@pytest.mark.long
@pytest.mark.root
def test_the_worker_looks_into_web_at_no_moment_of_its_life(platform: LocalPlatform) -> None:
    pid = platform.pids["web"]
    assert as_worker("/usr/bin/python3", "-I", "-c", LOOK, str(pid)).stdout == ""
    as_worker("sh", "-c", f"kill -9 {pid}")
    fresh = until(lambda: platform.pids.get("web") not in {None, pid} and platform.pids["web"])
    os.kill(fresh, signal.SIGSTOP)  # before it has closed itself off
    try:
        assert as_worker("/usr/bin/python3", "-I", "-c", LOOK, str(fresh)).stdout == ""
    finally:
        os.kill(fresh, signal.SIGCONT)
    until(lambda: healthy(platform))


def made_seal(database: sqlite3.Connection, key: str) -> str:
    """Return the seal of a key that web made: the nearest thing to a right one that a thief can have."""
    return str(database.execute("select seal from keys where id = ?", (key,)).fetchone()[0])


@pytest.mark.long
@pytest.mark.root
def test_a_key_that_is_written_into_the_database_is_no_key(platform: LocalPlatform) -> None:
    headers = {"Authorization": f"Bearer {platform.key}"}
    url = f"{platform.url}/api/v1"
    httpx.post(f"{url}/tenants", json={"slug": "acme"}, headers=headers)
    made = httpx.post(f"{url}/tenants/acme/keys", json={"scopes": ["runs:read"]}, headers=headers).json()
    mine = {"Authorization": f"Bearer {made['key']}"}
    assert httpx.get(f"{url}/tenants/acme/runs", headers=mine).status_code == httpx.codes.OK
    forged = keys.mint("key_forged")
    now = int(datetime.now(UTC).timestamp() * 1000)  # noqa: TID251 - as the thief's clock has it
    with sqlite3.connect(platform.data / "freehold.db") as database:
        row = ("key_forged", None, "", keys.hashed(forged), '["*"]', now, "operator", made_seal(database, made["id"]))
        columns = "id, tenant, name, hash, scopes, created_at, created_by, seal"
        database.execute(f"insert into keys ({columns}) values (?, ?, ?, ?, ?, ?, ?, ?)", row)
        database.execute("update keys set scopes = '[\"*\"]', tenant = null where id = ?", (made["id"],))
    for key in (forged, made["key"]):
        asked = httpx.get(f"{url}/tenants", headers={"Authorization": f"Bearer {key}"})
        assert asked.status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.long
@pytest.mark.root
def test_the_password_for_mail_is_in_no_process_but_the_gateway(platform: LocalPlatform) -> None:
    held = [name for name, pid in platform.pids.items() if CANARY in Path(f"/proc/{pid}/environ").read_text()]
    assert held == ["gateway"]
