"""Providers that speak OAuth 1: each question signed, a token to be sent off with, and one that opens the account."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

import pytest
from authlib.oauth1.rfc5849 import signature as judge

from freehold.core.errors import FreeholdError
from freehold.testing.counterpart import Heard, Tells, counterpart
from tests.consents import ADA, BACK, BOB
from tests.gateways import TENANT, Kit, effect, running, work

KEY, SECRET = "app-key-1", "the app's secret & more"


@dataclass
class Boards:
    """A provider that checks every signature with somebody else's code."""

    url: str = ""
    word: str = "verifier-77"
    back: str = ""
    """Where it was told to lead back to."""
    opened: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)

    def __call__(self, heard: Heard) -> Tells:
        path = urlsplit(heard.target).path
        said = dict(_pairs(heard.header("authorization")))
        self.calls.append(path)
        return self._api(heard, path, said) if path.startswith("/api") else self._asked(path, said)

    def _asked(self, path: str, said: dict[str, str]) -> Tells:
        secrets = {"/request": "", "/access": "request secret"}
        if not self._signed(path, said, secrets[path]):
            return Tells(status=401, pieces=[b"invalid signature"])
        if path == "/request":
            told = {
                "oauth_token": "request-1",
                "oauth_token_secret": "request secret",
                "oauth_callback_confirmed": "true",
            }
            self.back = said["oauth_callback"]
            return _form(told)
        if (said["oauth_token"], said["oauth_verifier"]) != ("request-1", self.word):
            return Tells(status=401, pieces=[b"token rejected"])
        self.opened.add("access-token-31f")
        return _form({"oauth_token": "access-token-31f", "oauth_token_secret": ""})

    def _signed(self, path: str, said: dict[str, str], token_secret: str) -> bool:
        params = [(name, value) for name, value in said.items() if name not in {"oauth_signature", "realm"}]
        base = judge.construct_base_string("POST", self.url + path, params)
        return str(judge.hmac_sha1_signature(base, SECRET, token_secret)) == said["oauth_signature"]

    def _api(self, heard: Heard, path: str, said: dict[str, str]) -> Tells:
        right = said.get("oauth_consumer_key") == KEY and said.get("oauth_token") in self.opened
        if heard.method == "DELETE":
            self.opened.discard(path.rpartition("/")[2])
        head = {"Content-Type": "application/json"}
        return Tells(status=200 if right else 401, headers=head, pieces=[b'{"username":"ada"}' if right else b"{}"])


def _pairs(headers: list[str]) -> list[tuple[str, str]]:
    pairs = [part.partition("=") for part in "".join(headers).removeprefix("OAuth ").split(", ")]
    return [(name, unquote(value.strip('"'))) for name, _, value in pairs]


def _form(told: dict[str, str]) -> Tells:
    return Tells(headers={"Content-Type": "text/plain"}, pieces=[urlencode(told).encode()])


@asynccontextmanager
async def boards(data: Path) -> AsyncIterator[tuple[Kit, Boards]]:
    it = Boards()
    async with counterpart(it) as server, running(data) as kit:
        it.url = server.url
        await kit.web.set_secret(TENANT, "app", SECRET, by=ADA)
        places = {"request": "/request", "authorize": "/authorize", "token": "/access", "revoke": "/api/tokens/{token}"}
        oauth = {"preset": "trello", "client_id": KEY, "client_secret": "app", "about": f"{server.url}/api/me"}
        oauth |= {name: server.url + path for name, path in places.items()}
        config = {"base_url": f"{server.url}/api", "allow": ["GET:/boards"], "oauth": oauth}
        named: dict[str, Any] = {"kind": "http", "name": "boards", "secret": None, "by": ADA}
        await kit.web.create_connection(TENANT, config=config, **named)
        await kit.publish(tools={"boards.get": "allow"})
        yield kit, it


async def begun(kit: Kit, it: Boards) -> str:
    """Return the state that a browser brings back, once it was sent off."""
    told = await kit.web.start_sign_in(TENANT, "boards", by=ADA, redirect_uri=BACK)
    sent = dict(parse_qsl(urlsplit(told["url"]).query))
    assert sent == {"name": "Freehold", "expiration": "never", "scope": "read,write", "oauth_token": "request-1"}
    assert it.back.startswith(BACK + "?")
    return parse_qs(urlsplit(it.back).query)["state"][0]


async def finish(kit: Kit, state: str, word: str, by: str = ADA) -> dict[str, Any]:
    return await kit.web.finish_sign_in(state=state, code=word, error=None, issuer=None, by=by)


async def test_an_account_is_opened_used_and_taken_back(tmp_path: Path) -> None:
    async with boards(tmp_path) as (kit, it):
        assert (await finish(kit, await begun(kit, it), it.word))["account"] == "ada"
        outcome = await kit.worker.submit(work(), effect("get", "boards", path="/boards"))
        assert (outcome.result or {})["status"] == 200
        stands = await kit.web.sign_in_state(TENANT, "boards")
        assert (stands["state"], stands["refreshable"], stands["expires_at"]) == ("connected", False, None)
        assert await kit.web.disconnect(TENANT, "boards", by=ADA) == {"revoked": True}
        assert it.opened == set()


@pytest.mark.parametrize(("word", "by"), [("wrong", ADA), ("verifier-77", BOB), ("", ADA)])
async def test_another_word_or_person_opens_nothing(tmp_path: Path, word: str, by: str) -> None:
    async with boards(tmp_path) as (kit, it):
        state = await begun(kit, it)
        with pytest.raises(FreeholdError):
            await finish(kit, state, word, by)
        assert (await kit.web.sign_in_state(TENANT, "boards"))["state"] == "none"


async def test_a_provider_that_does_not_take_our_signature_sends_nobody_off(tmp_path: Path) -> None:
    async with boards(tmp_path) as (kit, it):
        await kit.web.set_secret(TENANT, "app", "another", by=ADA)
        with pytest.raises(FreeholdError) as refused:
            await begun(kit, it)
        assert refused.value.code == "oauth_refused"
