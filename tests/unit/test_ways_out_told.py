"""What an agent is told about ways out of its sandbox: what its version was granted, and nothing where it was not."""

from datetime import UTC, datetime
from typing import Any

from freehold.agents.framing import NAMED, texts
from freehold.core.agents import Spec, Version
from freehold.core.effects import Verdict

SHELL = {"shell": Verdict.ALLOW}


def told(**spec: Any) -> str:
    made = Version(
        id="ver_1", agent="agt_1", number=1, spec=Spec(model="m", **spec), created_at=datetime.min.replace(tzinfo=UTC)
    )
    return " ".join(texts(made))


def test_hosts_are_named_and_where_to_find_them() -> None:
    said = told(tools=SHELL, egress=("packs.example", "*.example.com"))
    assert "packs.example, *.example.com" in said
    assert "HTTPS_PROXY" in said


def test_of_many_hosts_some_are_named() -> None:
    said = told(tools=SHELL, egress=tuple(f"h{number}.example.org" for number in range(NAMED + 3)))
    assert f"h{NAMED - 1}.example.org, 3 more" in said


def test_connections_are_named_that_programs_may_use() -> None:
    tools = SHELL | {
        "crm.get": Verdict.ALLOW,
        "crm.post": Verdict.ASK,
        "shop.post": Verdict.ASK,
        "mail.send": Verdict.ALLOW,
    }
    said = told(tools=tools)
    assert "may use crm at $FREEHOLD_EGRESS" in said
    assert "shop" not in said
    assert "HTTPS_PROXY" not in said


def test_who_has_no_sandbox_or_no_grant_is_told_of_none() -> None:
    for said in (told(egress=("packs.example",)), told(tools=SHELL)):
        assert "PROXY" not in said
        assert "EGRESS" not in said
