"""
A sign-in provider on loopback that does as a test says: honest by itself, and lying where it is told to.

It is a real server on a real socket and keeps to OpenID Connect: codes work once, for the client, redirect address
and verifier they were made for. What it is told to lie about is said in `Lies`.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, final
from urllib.parse import parse_qs, unquote_plus, urlsplit

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

HOST = "127.0.0.1"
CLIENT, SECRET = "freehold", "the-client-secret-7f3a"
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(kw_only=True)
class Lies:
    """What a provider says although it is not so."""

    about: dict[str, Any] = field(default_factory=dict)
    """Of its metadata."""
    claims: dict[str, Any] = field(default_factory=dict)
    """Of ID tokens; None leaves a claim out."""
    algorithm: str = "ES256"
    """`none` signs nothing, `HS256` signs with what everybody knows."""
    key: ECKey | None = None
    """Signs with a key that it does not publish."""
    subject: str = ""
    """Whom its userinfo is about instead."""
    status: int = 200
    body: bytes = b""
    """What the token endpoint answers instead."""


@final
class FakeProvider:
    """One issuer with one client and one person at a time."""

    def __init__(self, now: Callable[[], datetime], *, path: str = "") -> None:
        """Tell the time by `now`; `path` is part of the issuer's name."""
        self.now, self._path = now, path
        self.issuer = ""
        self.person: dict[str, Any] = {"sub": "u-1", "email": "ada@example.com", "email_verified": True, "name": "Ada"}
        self.groups: list[str] = []
        self.lies = Lies()
        self.asked: list[str] = []
        """Paths of what it was asked, in order."""
        self.sent: list[dict[str, str]] = []
        """Forms that came to its token endpoint."""
        self._codes: dict[str, dict[str, str]] = {}
        self._key = _fresh()

    def rotate(self) -> None:
        """Sign with a new key from now on, and publish only that."""
        self._key = _fresh()

    def agree(self, url: str) -> dict[str, str]:
        """Return what a browser brings back once the person agreed at `url`."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return {"code": code, "state": asked["state"], "iss": self.issuer}

    def goodbye_token(self, **claims: Any) -> str:
        """Return a token that says the person signed out."""
        now = int(self.now().timestamp())
        said = {"iss": self.issuer, "aud": CLIENT, "sub": self.person["sub"], "iat": now, "exp": now + 120}
        return self._signed({**said, "jti": "j", "events": {LOGOUT: {}}} | claims)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Answer while the block lasts."""
        app = web.Application()
        path = self._path
        app.router.add_get(f"{path}/.well-known/openid-configuration", self._about)
        app.router.add_get(f"{path}/keys", self._keys)
        app.router.add_post(f"{path}/token", self._token)
        app.router.add_get(f"{path}/me", self._me)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        assert site._server is not None  # noqa: SLF001 - the only way to the port that was chosen
        self.issuer = f"http://{HOST}:{runner.addresses[0][1]}{path}"
        try:
            yield
        finally:
            await runner.cleanup()

    async def _about(self, request: web.Request) -> web.Response:
        self.asked.append("about")
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/auth",
                "token_endpoint": f"{self.issuer}/token",
                "userinfo_endpoint": f"{self.issuer}/me",
                "jwks_uri": f"{self.issuer}/keys",
                "end_session_endpoint": f"{self.issuer}/end",
                "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
                "scopes_supported": ["openid", "email", "groups"],
                "authorization_response_iss_parameter_supported": True,
            }
            | self.lies.about
        )

    async def _keys(self, request: web.Request) -> web.Response:
        self.asked.append("keys")
        return web.json_response({"keys": [self._key.as_dict(private=False)]})

    async def _token(self, request: web.Request) -> web.Response:
        self.asked.append("token")
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.sent.append(form)
        asked = self._codes.pop(form.get("code", ""), None)
        if self.lies.status != 200 or self.lies.body:
            return web.Response(status=self.lies.status, body=self.lies.body)
        if asked is None or not self._right(request, form, asked):
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(self.now().timestamp())
        said = {"iss": self.issuer, "sub": self.person["sub"], "aud": CLIENT, "exp": now + 300, "iat": now}
        said |= {"nonce": asked["nonce"]} | self.lies.claims
        token = self._signed({name: value for name, value in said.items() if value is not None})
        return web.json_response({"access_token": "at-1", "token_type": "Bearer", "id_token": token})

    async def _me(self, request: web.Request) -> web.Response:
        self.asked.append("me")
        if request.headers.get("Authorization") != "Bearer at-1":
            return web.json_response({"error": "invalid_token"}, status=401)
        told = self.person | ({"groups": self.groups} if self.groups else {})
        return web.json_response(told | ({"sub": self.lies.subject} if self.lies.subject else {}))

    def _right(self, request: web.Request, form: dict[str, str], asked: dict[str, str]) -> bool:
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        given = request.headers.get("Authorization", "").removeprefix("Basic ")
        user, _, password = base64.b64decode(given).decode().partition(":")
        who = (unquote_plus(user), unquote_plus(password))
        return (
            form.get("redirect_uri") == asked["redirect_uri"]
            and challenge == asked["code_challenge"]
            and who == (CLIENT, SECRET)
        )

    def _signed(self, claims: dict[str, Any]) -> str:
        match self.lies.algorithm:
            case "none":
                return f"{_packed({'alg': 'none'})}.{_packed(claims)}."
            case "HS256":
                known = json.dumps(self._key.as_dict(private=False))
                return jwt.encode({"alg": "HS256", "kid": self._key.kid}, claims, OctKey.import_key(known))
            case algorithm:
                key = self.lies.key or self._key
                return jwt.encode({"alg": algorithm, "kid": self._key.kid}, claims, key)


def _fresh() -> ECKey:
    key = ECKey.generate_key("P-256", {"use": "sig"})
    key.ensure_kid()
    return key


def _packed(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
