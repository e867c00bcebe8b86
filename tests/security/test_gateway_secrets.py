"""No secret leaves the gateway but in the call it is for, and nobody decides by the worker's socket."""

import asyncio
import base64
import json
import logging
import os
import stat
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from freehold.core.errors import Conflict, Denied, FreeholdError
from freehold.gateway.client import WebGateway
from freehold.testing.providers import Fails, Says, provider
from tests.gateways import TENANT, effect, running, said, work

CANARY = "sk-canary-9f8e7d6c5b4a"


def spellings(secret: str) -> list[bytes]:
    raw = secret.encode()
    return [raw, raw[::-1], base64.b64encode(raw)[:20], raw.hex().encode(), secret.encode("utf-16-le")]


async def test_a_secret_lies_nowhere_in_the_clear(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = json.dumps({"error": {"message": f"wrong key {CANARY}"}}).encode()
    seen: list[str] = []
    async with provider(Says(pieces=["Hi"]), Fails(status=400, body=echo)) as scripted, running(tmp_path) as kit:
        await kit.web.set_secret(TENANT, "api", CANARY, by="key:1")
        config = {"base_url": scripted.base_url}
        await kit.web.create_connection(TENANT, kind="openai", name="acct", config=config, secret="api", by="key:1")
        await kit.publish("acct/m")
        await kit.worker.chat(work(), key="a", model="acct/m", body=said("hello"))
        with pytest.raises(FreeholdError) as caught:
            await kit.worker.chat(work(), key="b", model="acct/m", body=said("hello"))
        seen += [str(caught.value), caught.value.remedy, repr(await kit.web.list_secrets(TENANT))]
        seen += [repr(await kit.web.audit(TENANT)), repr(await kit.web.usage(TENANT)), repr(kit.gateway)]
        assert CANARY in scripted.headers[0]["Authorization"]
        stored = b"".join(path.read_bytes() for path in (tmp_path / "gateway").iterdir())
    captured = capfd.readouterr()
    seen += [captured.out, captured.err, caplog.text]
    for spelling in spellings(CANARY):
        assert spelling not in stored
        assert spelling not in "".join(seen).encode()


async def test_what_effects_say_is_sealed_too(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish(tools={"shell": "allow"})
        await kit.worker.submit(work(), effect(command=CANARY))
        await kit.worker.chat(work(), key="a", model="rehearsal", body=said(CANARY))
        stored = b"".join(path.read_bytes() for path in (tmp_path / "gateway").iterdir())
    for spelling in spellings(CANARY):
        assert spelling not in stored


async def ask(socket: Path, operation: str, body: Any) -> tuple[int, Any]:
    connector = aiohttp.UnixConnector(str(socket))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(f"http://gateway/v1/{operation}", json=body) as response,
    ):
        return response.status, await response.json(content_type=None)


@pytest.mark.parametrize(
    "operation",
    ["decide", "secrets/set", "secrets/list", "connections/create", "publish", "usage", "audit", "mail", "webhooks/verify",
     "../decide", "decide/", "Decide", "%64ecide"],
)  # fmt: skip
async def test_what_is_webs_does_not_exist_on_the_workers_socket(tmp_path: Path, operation: str) -> None:
    async with running(tmp_path) as kit:
        await kit.publish(tools={"delete_file": "ask"})
        asked = await kit.worker.submit(work(), effect("delete_file"))
        decision = {"tenant": TENANT, "key": effect().key, "hash": asked.hash, "approve": True, "by": "worker"}
        status, _ = await ask(tmp_path / "run/gateway-worker.sock", operation, decision)
        assert status == 404
        assert (await kit.worker.submit(work(), effect("delete_file"))).state == "asked"


@pytest.mark.parametrize("operation", ["chat", "submit", "settle", "deliver", "sandbox-usage"])
async def test_what_is_the_workers_does_not_exist_on_webs_socket(tmp_path: Path, operation: str) -> None:
    async with running(tmp_path):
        status, _ = await ask(tmp_path / "run/gateway-web.sock", operation, {})
    assert status == 404


@pytest.mark.parametrize("body", [{}, [], None, {"tenant": 1}, {"tenant": "t", "effect": {"key": 5}}])
async def test_a_request_that_looks_wrong_changes_nothing(tmp_path: Path, body: Any) -> None:
    async with running(tmp_path):
        status, problem = await ask(tmp_path / "run/gateway-worker.sock", "submit", body)
    assert (status, problem["code"]) == (422, "bad_request")


async def test_sockets_and_files_are_closed_to_everybody_else(tmp_path: Path) -> None:
    async with running(tmp_path):
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode)
            for folder in ("run", "gateway")
            for path in (tmp_path / folder).iterdir()
        }
        folder = stat.S_IMODE((tmp_path / "gateway").stat().st_mode)
    assert folder == 0o700
    assert {name: modes[name] for name in ("gateway-web.sock", "gateway-worker.sock", "master.key", "gateway.db")} == {
        "gateway-web.sock": 0o600,
        "gateway-worker.sock": 0o600,
        "master.key": 0o600,
        "gateway.db": 0o600,
    }


async def test_a_socket_is_open_to_the_group_that_was_named_and_to_nobody_else(tmp_path: Path) -> None:
    group = os.getgid()
    async with running(tmp_path, gateway_web_group=group):
        found = {name: (tmp_path / f"run/gateway-{name}.sock").stat() for name in ("web", "worker")}
    assert (stat.S_IMODE(found["web"].st_mode), found["web"].st_gid) == (0o660, group)
    assert stat.S_IMODE(found["worker"].st_mode) == 0o600


async def test_a_gateway_with_another_master_key_does_not_start(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.web.set_secret(TENANT, "api", CANARY, by="key:1")
    (tmp_path / "gateway" / "master.key").unlink()
    with pytest.raises(Denied) as caught:
        async with running(tmp_path):
            pass
    assert caught.value.code == "does_not_open"


SERVE = """
import sys, asyncio
from freehold.app import gateway
from freehold.settings import Settings
gateway.main(Settings.read(dict(FREEHOLD_DATA=sys.argv[1], FREEHOLD_REHEARSAL="1")))
"""


async def test_the_process_shows_nobody_its_memory_and_is_alone(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVE, str(tmp_path))
    web = WebGateway(tmp_path / "run" / "gateway-web.sock")
    try:
        await until_up(web)
        assert_closed(process.pid)
        second = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVE, str(tmp_path), stderr=asyncio.subprocess.PIPE
        )
        _, said_by = await second.communicate()
        assert second.returncode != 0
        assert Conflict.__name__.encode() in said_by
        assert (await web.health())["ok"]
    finally:
        await web.close()
        process.terminate()
        assert await process.wait() == 0


def assert_closed(pid: int) -> None:
    proc = Path(f"/proc/{pid}")
    assert "Max core file size        0                    0" in (proc / "limits").read_text()
    # A process that is not dumpable belongs to root, whoever it runs as, and only root may look into it.
    assert (proc / "mem").stat().st_uid == 0


async def until_up(web: WebGateway) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await web.health()
                break
            except FreeholdError:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("piece", [1, 7, 1000], ids=lambda size: f"pieces-of-{size}")
async def test_a_provider_that_repeats_the_credential_is_not_passed_on(tmp_path: Path, piece: int) -> None:
    text = f"you sent {CANARY}, did you not?"
    pieces = [text[at : at + piece] for at in range(0, len(text), piece)]
    long = json.dumps({"error": {"message": "x" * 290 + CANARY}}).encode()
    heard: list[str] = []
    async with provider(Says(pieces=pieces), Fails(status=400, body=long)) as scripted, running(tmp_path) as kit:
        await kit.web.set_secret(TENANT, "api", CANARY, by="key:1")
        config = {"base_url": scripted.base_url}
        await kit.web.create_connection(TENANT, kind="openai", name="acct", config=config, secret="api", by="key:1")
        await kit.publish("acct/m")
        reply = await kit.worker.chat(work(), key="a", model="acct/m", body=said("hello"), on_text=heard.append)
        again = await kit.worker.chat(work(), key="a", model="acct/m", body=said("hello"), on_text=heard.append)
        with pytest.raises(FreeholdError) as caught:
            await kit.worker.chat(work(), key="b", model="acct/m", body=said("hello"))
    assert reply.text == again.text == "you sent [secret], did you not?"
    assert "".join(heard) == reply.text * 2
    assert CANARY[:6] not in str(caught.value)
