"""An API goes away over a run of the whole platform, and a person at the command line says how it goes on."""

import asyncio
from typing import Any

import pytest

from freehold.cli.calling import of_tenant
from freehold.testing.counterpart import Heard, Tells, counterpart
from freehold.testing.platform import LocalPlatform
from tests.platforms import Desk, run_cli, told, until

SAID = 'call shop post {"path": "/orders", "json": {"tea": 1}}'


@pytest.mark.parametrize(("word", "ordered"), [("approve", 2), ("deny", 1)])
async def test_a_person_says_whether_it_is_done_once_more(
    platform: LocalPlatform, desk: Desk, word: str, ordered: int
) -> None:
    tenant = f"unknown-{word}"
    silent = iter([True])

    def answers(_heard: Heard) -> Tells:
        return Tells(status=201, silent=next(silent, False))

    def settle() -> dict[str, Any]:
        desk.once("tenants", {"slug": tenant, "draft": False})
        desk.once("destinations", {"name": "here", "place": "127.0.0.1:*"})
        config = {"base_url": outside.url, "allow": ["POST:/orders"]}
        desk.once(of_tenant(tenant, "connections"), {"kind": "http", "name": "shop", "config": config})
        desk.once(of_tenant(tenant, "agents"), {"name": "ada", "model": "rehearsal", "tools": {"shop.post": "allow"}})
        return desk.say(tenant, SAID)

    def asked() -> dict[str, Any] | None:
        found = desk.api.items(of_tenant(tenant, "approvals"), state="asked")
        return found[0] if found else None

    async with counterpart(answers) as outside:
        run = (await asyncio.to_thread(settle))["run"]["id"]
        question = await asyncio.to_thread(until, asked, why="the question")
        shown = await asyncio.to_thread(run_cli, platform, "approval", "show", question["id"], "-t", tenant)
        decided = await asyncio.to_thread(told, platform, "approval", word, question["id"], "-t", tenant)
        ended = await asyncio.to_thread(desk.ended, tenant, run)
    assert (question["reason"], question["kind"], question["attempts"]) == ("outcome_unknown", "message", 1)
    assert "It tells somebody outside something." in shown.stderr
    assert "it may have happened" in shown.stderr
    assert decided["state"] == {"approve": "approved", "deny": "denied"}[word]
    assert ended["state"] == "done"
    assert sum(outside.done.values()) == ordered
    assert ("not_repeated" in ended["output"] or "may have happened" in ended["output"]) is (word == "deny")
