"""The commands that sign connections in to accounts, against web on a real socket."""

import asyncio
import json
import re
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from freehold.cli import connecting
from tests.fake_sign_ins import OAUTH
from tests.typed import Run
from tests.webs import Web, made


@pytest.fixture
def web(tmp_path: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> Web:
    monkeypatch.setattr(connecting, "LOOK_SECONDS", 0.02)
    web = made(tmp_path, hosts=f"http://127.0.0.1:{listener.getsockname()[1]}")
    web.tenant("acme")
    return web


@pytest.fixture
def run(run: Run) -> Run:
    """Give the command line; words as they are typed behind `freehold connection`."""
    return partial(run, "connection")


@pytest.fixture
async def crm(run: Run) -> None:
    urls = [f"--oauth-url={name}={OAUTH[name]}" for name in ("authorize", "token", "device")]
    made_ = await run("create", "http", "crm", "--oauth", "custom", "--client-id", "us", "--scope", "contacts", *urls)
    assert made_.exit_code == 0, made_.output
    assert "freehold connection connect crm --tenant acme" in made_.stderr


async def by_somebody(web: Web) -> None:
    """Let somebody sign in elsewhere."""
    (tenant, name), _ = next(iter(web.gateway.connections.items()))
    begun = await web.gateway.start_sign_in(tenant, name, by="person:per_1", redirect_uri="")
    await web.gateway.finish_sign_in(
        state=f"{begun['id']}.random", code="c", error=None, issuer=None, by="person:per_1"
    )


@pytest.mark.usefixtures("crm")
async def test_it_prints_the_page_and_waits_until_somebody_has_signed_in(web: Web, run: Run) -> None:
    async def meanwhile() -> None:
        await web.gateway.waited_for.wait()
        await by_somebody(web)

    done, _ = await asyncio.gather(run("connect", "crm"), meanwhile())
    assert (done.exit_code, done.stdout) == (0, "crm is connected as mira@provider.example\n")
    assert re.search(r"http://\S+/connect/\S+", done.stderr)


@pytest.mark.usefixtures("crm")
async def test_nobody_is_waited_for_where_that_is_said(run: Run) -> None:
    told = await run("connect", "crm", "--no-wait")
    assert re.fullmatch(r"http://\S+/connect/\S+\n", told.stdout)
    link = json.loads((await run("connect", "crm", "--no-wait", "--json")).stdout)
    assert link["page"].endswith(link["id"])


@pytest.mark.usefixtures("crm")
async def test_it_gives_up_waiting_and_says_how_it_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "PATIENCE", 0.05)
    told = await run("connect", "crm")
    assert told.exit_code == 1
    assert getattr(told.exception, "code", "") == "sign_in_waits"


@pytest.mark.usefixtures("crm")
@pytest.mark.parametrize(
    ("typed", "ends"), [("connected", ""), ("denied", "said no"), ("expired", "Nobody typed"), ("failed", "hand")]
)
async def test_a_device_is_shown_its_code_and_waited_for(
    web: Web, run: Run, monkeypatch: pytest.MonkeyPatch, typed: str, ends: str
) -> None:
    monkeypatch.setattr("freehold.cli.connecting.time.sleep", lambda _: None)
    web.gateway.typed = typed
    told = await run("connect", "crm", "--device")
    assert "WDJB-MJHT" in told.stderr
    if ends:
        assert (told.exit_code, ends in str(told.exception)) == (1, True)
    else:
        assert told.stdout == "crm is connected as mira@provider.example\n"


@pytest.mark.usefixtures("crm")
async def test_the_list_says_whose_account_is_used_and_disconnecting_ends_it(web: Web, run: Run) -> None:
    assert "not connected" in (await run("list")).stdout
    await by_somebody(web)
    assert "mira@provider.example" in (await run("list")).stdout
    assert "id.provider.example" in (await run("list")).stdout
    told = json.loads((await run("list", "--json")).stdout)
    assert told[0]["sign_in"]["state"] == "connected"
    gone = await run("disconnect", "crm")
    assert gone.stdout == "crm is disconnected, and the provider took back what it had given\n"
    again = await run("disconnect", "crm")
    assert again.stdout == "crm was connected to no account\n"
    await by_somebody(web)
    web.gateway.takes_back = False
    alone = await run("disconnect", "crm")
    assert "take it back in the account's settings too" in alone.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["create", "http", "x", "--client-id", "us"],
        ["create", "http", "x", "--oauth", "custom", "--oauth-url", "nowhere"],
        ["create", "http", "x", "--oauth", "custom", "--oauth-url", "logo=https://x.example"],
        ["connect", "x", "--device", "--no-wait"],
    ],
)
async def test_options_that_do_not_fit_are_wrong_use(run: Run, words: list[str]) -> None:
    assert (await run(*words)).exit_code == 2


def account(**other: Any) -> dict[str, Any]:
    told = {"state": "connected", "account": "mira", "refreshable": True, "expires_at": None}
    return told | other


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (None, ""),
        (account(state="none"), "not connected"),
        (account(), "mira"),
        (account(account=""), "connected"),
        (account(state="expired"), "mira (ran out)"),
        (account(refreshable=False, expires_at="2026-01-02T00:00:00.000Z"), "mira (until 2026-01-02T00:00:00.000Z)"),
        (account(account="mi\x1b[31mra"), "mi[31mra"),
    ],
)
def test_an_account_is_told_in_a_word_or_two(held: dict[str, Any] | None, said: str) -> None:
    assert connecting.account_in_words(held) == said
