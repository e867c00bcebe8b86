"""Every connector, and what each promises beyond the contract."""

from collections.abc import Sequence
from typing import Any

import pytest
from typing_extensions import override

from freehold.core.errors import Invalid
from freehold.core.tools import Tool
from freehold.drivers.connector.http.driver import Http
from freehold.drivers.connector.mcp.driver import Mcp
from freehold.drivers.connector.search import WebSearch
from freehold.drivers.connector.smtp import Smtp
from freehold.drivers.connector.web import Web
from freehold.drivers.connector.webhook import Webhook
from freehold.gateway.children import InChild
from freehold.gateway.ports import ConnectorDriver, Credential
from freehold.testing.clock import FakeClock
from freehold.testing.contract.connector import ConnectorContract
from tests.dialling import client
from tests.gateways import SECRET
from tests.mcp_script import TOOL

NOBODY = "http://127.0.0.1:1"


class BuiltIn(ConnectorContract):
    """One that is there by itself: nobody configures it, or names a secret for it."""

    @override
    def config(self) -> dict[str, Any]:
        return {}

    @override
    def checked(self) -> bool:
        return False

    @override
    def credential(self) -> Credential:
        return Credential()

    @override
    def test_a_refusal_never_repeats_the_secret(self) -> None:
        assert not self.credential()  # nobody names one for it


class TestWebhook(ConnectorContract):
    @override
    def driver(self) -> ConnectorDriver:
        return Webhook(client(), FakeClock())

    @override
    def config(self) -> dict[str, Any]:
        return {"url": f"{NOBODY}/hook"}

    @override
    def credential(self) -> Credential:
        return Credential(SECRET)

    @override
    def arguments(self) -> dict[str, Any]:
        return {"text": "hello"}


class TestSmtp(BuiltIn):
    @override
    def driver(self) -> ConnectorDriver:
        return Smtp("smtp://127.0.0.1:1", "bot@example.org", FakeClock())

    @override
    def arguments(self) -> dict[str, Any]:
        return {"to": "ada@example.org", "subject": "Hello", "text": "How are you?"}


class TestSmtpInChild(TestSmtp):
    """As the gateway has it where there is a server."""

    @override
    def driver(self) -> ConnectorDriver:
        made = {"url": "smtp://127.0.0.1:1", "sender": "bot@example.org"}
        return InChild(super().driver(), made)


class TestHttp(ConnectorContract):
    @override
    def driver(self) -> ConnectorDriver:
        return Http(client())

    @override
    def config(self) -> dict[str, Any]:
        return {"base_url": f"{NOBODY}/v2", "allow": ["GET:/items/*", "POST:/items"]}

    @override
    def credential(self) -> Credential:
        return Credential("sk-there-1234567890")

    @override
    def arguments(self) -> dict[str, Any]:
        return {"path": "/items/5", "query": {"a": 1, "b": ["x", "y"]}}

    def test_it_can_do_what_its_patterns_mention_and_says_so(self) -> None:
        assert {tool.name: tool.kind.value for tool in self.tools()} == {"get": "read", "post": "message"}
        assert "/items/*" in self.tools()[0].description

    def test_it_knows_repeats_only_where_a_header_is_named(self) -> None:
        assert not self.driver().idempotent(self.config())
        assert self.driver().idempotent(self.config() | {"idempotency": "Idempotency-Key"})

    def test_one_that_would_allow_nothing_is_refused(self) -> None:
        with pytest.raises(Invalid) as refused:
            self.driver().check({"base_url": "https://api.example.com"}, Credential())
        assert "--allow" in refused.value.remedy


class TestMcp(ConnectorContract):
    @override
    def driver(self) -> ConnectorDriver:
        return Mcp(client(), FakeClock())

    @override
    def config(self) -> dict[str, Any]:
        return {"base_url": f"{NOBODY}/mcp"}

    @override
    def credential(self) -> Credential:
        return Credential("mcp-key-0123456789")

    @override
    def arguments(self) -> dict[str, Any]:
        return {"text": "hello"}

    @override
    def tools(self) -> Sequence[Tool]:
        return (TOOL,)

    @override
    def test_its_tools_are_told_apart_and_said_the_same_twice(self) -> None:
        assert self.driver().tools(self.config()) == ()  # its server tells them


class TestWeb(BuiltIn):
    @override
    def driver(self) -> ConnectorDriver:
        return Web(client())

    @override
    def arguments(self) -> dict[str, Any]:
        return {"url": f"{NOBODY}/page"}


class TestSearch(ConnectorContract):
    @override
    def driver(self) -> ConnectorDriver:
        return WebSearch(client(), FakeClock())

    @override
    def config(self) -> dict[str, Any]:
        return {"provider": "searxng", "base_url": NOBODY}

    @override
    def credential(self) -> Credential:
        return Credential("search-key-0123456789")

    @override
    def arguments(self) -> dict[str, Any]:
        return {"query": "rain", "count": 3, "since": "week"}
