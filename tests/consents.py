"""A provider of accounts on loopback that tests can bend, and the connection that is signed in at it."""

import base64
import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from freehold.core.clock import Clock
from freehold.testing.clock import FakeClock
from freehold.testing.counterpart import Counterpart, Heard, Tells, counterpart
from tests.gateways import TENANT, Kit, running

BACK = "http://127.0.0.1:7070/connect/callback"
CLIENT_SECRET = "the-clients-secret-91c7"
ADA, BOB = "person:per_ada", "person:per_bob"
KEY = f"Basic {base64.b64encode(b'freehold:' + CLIENT_SECRET.encode()).decode()}"


@dataclass
class Consents:
    """Gives codes and tokens, and remembers which are good."""

    lasts: float | None = 3600
    refreshes: bool = True
    rotates: bool = True
    as_form: bool = False
    packs: bool = False
    wrong: dict[str, Any] = field(default_factory=dict)
    """An answer of the token endpoint in the place of the right one."""
    status: int = 200
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    good: set[str] = field(default_factory=set)
    """Tokens that open something, or prolong it."""
    asked: list[dict[str, str]] = field(default_factory=list)
    """What was said to the token endpoint."""
    revoked: list[str] = field(default_factory=list)
    device: str = "authorization_pending"
    """What a poll is told; empty: the tokens."""
    issued: int = 0
    repeats: bool = False
    """Whether the API says what it was shown."""

    def agree(self, url: str, **more: str) -> dict[str, str]:
        """Return what a browser brings back after somebody agreed."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        return {"state": query["state"], "code": code} | more

    def __call__(self, heard: Heard) -> Tells:
        form = dict(parse_qsl(heard.body.decode()))
        match urlsplit(heard.target).path:
            case "/token":
                return self._token(heard, form)
            case "/revoke":
                self.revoked.append(form["token"])
                self.good.discard(form["token"])
                return Tells(status=self.status)
            case "/device":
                return _json({"device_code": "dev-1", "user_code": "ABCD-EFGH", "expires_in": 600, "interval": 5}
                             | {"verification_uri": "https://accounts.example.com/device"})  # fmt: skip
            case path:
                shown = heard.header("authorization")
                good = bool(shown) and shown[0].removeprefix("Bearer ") in self.good
                told = {"path": path, "login": "ada"} | ({"shown": shown[0]} if self.repeats else {})
                return _json(told if good else {"error": "who"}, 200 if good else 401)

    def _token(self, heard: Heard, form: dict[str, str]) -> Tells:  # noqa: PLR0911 - one per thing that is asked for
        self.asked.append(form)
        if self.wrong or self.status != 200:
            return _json(self.wrong, self.status)
        if heard.header("authorization") != [KEY]:
            return _json({"error": "invalid_client"}, 401)
        match form["grant_type"]:
            case "authorization_code":
                sent = self.codes.pop(form["code"], None)
                hashed = hashlib.sha256(form["code_verifier"].encode()).digest()
                challenge = base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()
                right = sent and sent["code_challenge"] == challenge and sent["redirect_uri"] == form["redirect_uri"]
                return self._given() if right else _json({"error": "invalid_grant"}, 400)
            case "refresh_token" if form["refresh_token"] in self.good:
                if self.rotates:
                    self.good.discard(form["refresh_token"])
                return self._given()
            case "urn:ietf:params:oauth:grant-type:device_code":
                return _json({"error": self.device}, 400) if self.device else self._given()
            case _:
                return _json({"error": "invalid_grant"}, 400)

    def _given(self) -> Tells:
        self.issued += 1
        told: dict[str, Any] = {
            "access_token": f"access-{self.issued}-5fb1c9",
            "token_type": "Bearer",
            "scope": "things",
        }
        told |= {"expires_in": self.lasts} if self.lasts else {}
        told |= {"refresh_token": f"refresh-{self.issued}-8ed2a7"} if self.refreshes else {}
        self.good |= {told["access_token"], told.get("refresh_token", "")} - {""}
        if self.as_form:
            head = {"Content-Type": "application/x-www-form-urlencoded"}
            return Tells(headers=head, pieces=[urlencode(told).encode()])
        if self.packs:
            head = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
            return Tells(headers=head, pieces=[gzip.compress(json.dumps(told).encode())])
        return _json(told)


@dataclass
class Scene:
    """A gateway, the provider, and what leads from one to the other."""

    kit: Kit
    consents: Consents
    server: Counterpart
    clock: FakeClock

    async def signed_in(self, by: str = ADA) -> dict[str, Any]:
        """Sign the connection in, and return what that came to."""
        begun = await self.kit.web.start_sign_in(TENANT, "crm", by=by, redirect_uri=BACK)
        return await self.came_back(self.consents.agree(begun["url"]), by=by)

    async def came_back(self, brought: dict[str, str], by: str = ADA) -> dict[str, Any]:
        back = {name: brought.get(name) for name in ("code", "error", "issuer")}
        return await self.kit.web.finish_sign_in(state=brought["state"], by=by, **back)

    async def ready(self) -> None:
        await self.kit.gateway.accounts.ready(TENANT, "crm")

    async def state(self) -> dict[str, Any]:
        return await self.kit.web.sign_in_state(TENANT, "crm")


@asynccontextmanager
async def scene(data: Path, clock: Clock | None = None, **told: Any) -> AsyncIterator[Scene]:
    """Give a tenant's connection `crm` that nobody is signed in to yet; `told` is said of it besides."""
    consents = Consents()
    wound = clock or FakeClock()
    async with counterpart(consents) as server, running(data, wound) as kit:
        await kit.web.set_secret(TENANT, "crm-client", CLIENT_SECRET, by="key:1")
        await kit.web.create_connection(TENANT, config=config(server.url, **told), **named())
        await kit.publish(tools={"crm.get": "allow", "crm.post": "allow"})
        assert isinstance(wound, FakeClock)
        yield Scene(kit, consents, server, wound)


def config(url: str, **told: Any) -> dict[str, Any]:
    """Return the configuration of a connection that is signed in at `url`."""
    places = {name: f"{url}/{name}" for name in ("authorize", "token", "revoke", "device")}
    client = {"client_id": "freehold", "client_secret": "crm-client", "scopes": ["things"]}
    return {"base_url": f"{url}/api", "allow": ["GET:/**", "POST:/**"], "oauth": places | client | told}


def named() -> dict[str, Any]:
    return {"kind": "http", "name": "crm", "secret": None, "by": "key:1"}


def _json(told: Any, status: int = 200) -> Tells:
    return Tells(status=status, headers={"Content-Type": "application/json"}, pieces=[json.dumps(told).encode()])
