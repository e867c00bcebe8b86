"""What every channel keeps: it reads without side effects, and spells answers that the gateway can send."""

import copy
import json
from abc import ABC, abstractmethod
from typing import Any, Final

import pytest

from freehold.audit.canonical import canonical
from freehold.core.errors import FreeholdError, Invalid
from freehold.ingress.channel import Answer, ChannelDriver, Inbound
from freehold.testing.clock import START

HOSTILE: Final[tuple[Any, ...]] = (
    None,
    0,
    "",
    "text",
    [],
    [{}],
    {},
    {"text": None},
    {"text": 1},
    {"text": ["a"]},
    {"text": {"text": "a"}},
    {"message": {"text": "x" * 10}},
    json.loads("[" * 200 + "]" * 200),
)
"""Bodies that no honest sender sends."""


class ChannelContract(ABC):
    """Inherit it, say which driver, how a channel of its kind looks, and what it is sent."""

    @abstractmethod
    def driver(self) -> ChannelDriver:
        """Return the driver under test."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Return a configuration that works."""

    @abstractmethod
    def payload(self, text: str) -> Any:
        """Return what is delivered when somebody says `text`."""

    def channel(self) -> dict[str, Any]:
        """Return a channel's row."""
        driver = self.driver()
        row = {"id": "chn_1", "agent": "agt_1", "kind": driver.name, "name": "front", "created_at": START}
        return row | {"config": driver.check(self.config())}

    def test_a_good_configuration_stays_as_it_is(self) -> None:
        checked = self.driver().check(self.config())
        assert self.driver().check(checked) == checked

    def test_an_empty_configuration_is_refused(self) -> None:
        with pytest.raises(Invalid) as refused:
            self.driver().check({})
        assert refused.value.remedy

    def test_what_somebody_says_is_read(self) -> None:
        inbound = self.driver().read(self.payload("Grüß dich 👋"))
        assert isinstance(inbound, Inbound)
        assert inbound.text == "Grüß dich 👋"

    def test_reading_changes_nothing_and_gives_the_same_twice(self) -> None:
        payload = self.payload("hello")
        before = copy.deepcopy(payload)
        assert self.driver().read(payload) == self.driver().read(payload)
        assert payload == before

    @pytest.mark.parametrize("payload", HOSTILE, ids=repr)
    def test_a_hostile_payload_is_refused_or_ignored(self, payload: Any) -> None:
        try:
            assert self.driver().read(payload) is None
        except FreeholdError as error:
            assert isinstance(error, Invalid)  # noqa: PT017 - either is right

    @pytest.mark.parametrize("error", [None, {"code": "provider_refused", "message": "No.", "remedy": "Ask."}])
    def test_an_answer_can_be_sent_and_is_spelt_the_same_twice(self, error: dict[str, str] | None) -> None:
        answer = Answer(
            message="msg_1",
            conversation="cnv_1",
            thread=None,
            run="run_1",
            at=START,
            text=None if error else "Done.",
            error=error,
        )
        sending = self.driver().reply(self.channel(), answer)
        assert sending == self.driver().reply(self.channel(), answer)
        assert canonical(sending.arguments)
        assert ("Done." in json.dumps(sending.arguments)) is (error is None)

    def test_answers_leave_by_the_connection_that_was_made_for_the_channel(self) -> None:
        answer = Answer(message="msg_1", conversation="cnv_1", thread=None, run="run_1", at=START, text="Done.")
        _, name, config = self.driver().connection(self.channel())
        assert self.driver().reply(self.channel(), answer).connection == name
        assert canonical(config)
