"""Every channel, and what each promises beyond the contract."""

from typing import Any

import pytest
from typing_extensions import override

from freehold.core.errors import Invalid
from freehold.drivers.channel.webhook import WebhookChannel
from freehold.ingress.channel import Answer, ChannelDriver
from freehold.testing.clock import START
from freehold.testing.contract.channel import ChannelContract


class TestWebhookChannel(ChannelContract):
    @override
    def driver(self) -> ChannelDriver:
        return WebhookChannel()

    @override
    def config(self) -> dict[str, Any]:
        return {"secret": "hook", "reply_url": "https://example.org/answers"}

    @override
    def payload(self, text: str) -> Any:
        return {"text": text, "conversation": "c1", "sender": "ann"}

    @pytest.mark.parametrize("secret", ["", "   ", None])
    def test_a_blank_secret_is_refused(self, secret: str | None) -> None:
        with pytest.raises(Invalid) as refused:
            self.driver().check(self.config() | {"secret": secret})
        assert refused.value.code == "blank_secret"

    @pytest.mark.parametrize(
        "address", ["", "example.org", "ftp://example.org", "file:///etc/passwd", "http://", "https://u:p@example.org/"]
    )
    def test_an_address_nobody_can_post_to_is_refused(self, address: str) -> None:
        with pytest.raises(Invalid) as refused:
            self.driver().check(self.config() | {"reply_url": address})
        assert refused.value.code == "bad_address"

    @pytest.mark.parametrize("headers", [{}, {"webhook-id": ""}, {"webhook-id": "x" * 300}])
    def test_a_delivery_without_an_id_is_refused(self, headers: dict[str, str]) -> None:
        with pytest.raises(Invalid):
            self.driver().key(headers)

    def test_an_answer_names_the_conversation_as_its_sender_does(self) -> None:
        answer = Answer(message="msg_1", conversation="cnv_1", thread="c1", run="run_1", at=START, text="Done.")
        assert self.driver().reply(self.channel(), answer).arguments == {
            "type": "message.answered",
            "timestamp": "2026-01-01T12:00:00.000Z",
            "data": {"message": "msg_1", "conversation": "c1", "run": "run_1", "text": "Done."},
        }

    def test_a_failure_is_told_with_code_and_remedy(self) -> None:
        error = {"code": "provider_refused", "message": "No.", "remedy": "Ask."}
        answer = Answer(message="msg_1", conversation="cnv_1", thread=None, run="run_1", at=START, error=error)
        sent = self.driver().reply(self.channel(), answer).arguments
        assert sent["type"] == "message.failed"
        assert sent["data"]["error"] == error
