"""What every connector keeps: it says what it can do, refuses what cannot work, and carries an effect out once."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import pytest

from freehold.audit.canonical import canonical, digest
from freehold.core.effects import EffectKind
from freehold.core.errors import Denied, FreeholdError, Invalid, NotFound
from freehold.core.tools import Tool
from freehold.gateway.asked import Behalf
from freehold.gateway.ports import ConnectorCall, ConnectorDriver, Credential, NotSent, Reached

HOSTILE: Final[tuple[dict[str, Any], ...]] = (
    {"url": None},
    {"url": 1, "base_url": 1},
    {"base_url": ["https://example.org"]},
    {"base_url": {"a": 1}, "allow": "GET:/"},
    {"unheard_of": True},
    {"url": "file:///etc/passwd", "base_url": "file:///etc/passwd", "allow": ["GET:/**"]},
    {"url": "https://u:p@example.org/", "base_url": "https://u:p@example.org", "allow": ["GET:/**"]},
)
"""Configurations that no honest person writes."""


class ConnectorContract(ABC):
    """Inherit it, say which driver, how a connection of its kind looks, and what may be asked of it."""

    @abstractmethod
    def driver(self) -> ConnectorDriver:
        """Return the driver under test."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Return a configuration that works and leads to nobody: nothing listens there."""

    @abstractmethod
    def credential(self) -> Credential:
        """Return what opens such a connection."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return what the first of its tools can be asked."""

    def checked(self) -> bool:
        """Return whether people make connections of this kind."""
        return True

    def call(self, said: list[str], **changes: Any) -> ConnectorCall:
        """Return an effect to carry out that writes down in `said` when it left."""
        to = Reached(
            owner="ten_1",
            name="there",
            config=self.config(),
            credential=self.credential(),
            behalf=Behalf("ten_1", operators=True),
        )
        stated: dict[str, Any] = {
            "key": "run_1/1/1/1",
            "tool": self.tools()[0],
            "arguments": self.arguments(),
            "to": to,
            "sent": lambda: said.append("sent"),
        }
        return ConnectorCall(**(stated | changes))

    def tools(self) -> Sequence[Tool]:
        """Return what a connection with the configuration can do."""
        return self.driver().tools(self.config())

    def test_a_good_configuration_is_taken(self) -> None:
        if self.checked():
            self.driver().check(self.config(), self.credential())

    @pytest.mark.parametrize("config", HOSTILE, ids=repr)
    def test_a_configuration_that_cannot_work_is_refused_with_what_to_write(self, config: dict[str, Any]) -> None:
        with pytest.raises(Invalid) as refused:
            self.driver().check(config, self.credential())
        assert refused.value.remedy

    def test_an_empty_configuration_is_refused(self) -> None:
        with pytest.raises(Invalid) as refused:
            self.driver().check({}, Credential())
        assert refused.value.remedy

    def test_a_refusal_never_repeats_the_secret(self) -> None:
        with pytest.raises(FreeholdError) as refused:
            self.driver().check({"unheard_of": True}, self.credential())
        assert self.credential().reveal() not in f"{refused.value.message} {refused.value.remedy}"

    def test_its_tools_are_told_apart_and_said_the_same_twice(self) -> None:
        names = [tool.name for tool in self.tools()]
        assert names
        assert len(set(names)) == len(names)
        assert self.driver().tools(self.config()) == self.tools()

    def test_its_tools_can_be_pinned_and_offered(self) -> None:
        for tool in self.tools():
            assert isinstance(tool.kind, EffectKind)
            assert tool.description
            assert tool.parameters["type"] == "object"
            assert digest({"parameters": dict(tool.parameters), "how": dict(tool.how), "kind": tool.kind})

    def test_whether_repeats_are_known_depends_on_the_configuration_alone(self) -> None:
        assert self.driver().idempotent(self.config()) is self.driver().idempotent(dict(self.config()))

    async def test_where_nobody_listens_nothing_was_sent(self) -> None:
        with pytest.raises(NotSent) as missed:
            await self.driver().perform(self.call([]))
        assert (
            self.credential().reveal() not in f"{missed.value.message} {missed.value.remedy}" or not self.credential()
        )

    @pytest.mark.parametrize("arguments", [{"path": None}, {"to": [], "path": 7}, {"path": "/../x", "to": "nobody"}])
    async def test_arguments_that_make_no_sense_are_refused_or_sent_as_they_are(
        self, arguments: dict[str, Any]
    ) -> None:
        with pytest.raises((Invalid, NotSent, Denied, NotFound)):
            await self.driver().perform(self.call([], arguments=arguments))

    def test_what_is_asked_can_be_written_down(self) -> None:
        assert json.loads(canonical(self.arguments())) == self.arguments()
