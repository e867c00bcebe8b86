"""The API against its own description: whatever it is sent, it never breaks, and answers as it says it does."""

from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from freehold.web.building import build
from tests.webs import OPERATOR, bearer, made

CHECKS = [
    not_a_server_error,
    allow_header_conformance,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]
REAL = {"tenant": "acme", "agent": "helper"}


def test_nothing_that_is_sent_breaks_the_api(tmp_path: Path) -> None:
    web = made(tmp_path)
    web.agent(web.tenant("acme"))
    with web.state.store.write() as platform:
        platform.workers.join("w1", at=web.clock.now())  # so that health is well
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", build(web.state)).exclude(path_regex="/events$")
    walked = [try_out(found.ok()) for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(walked) > 50


def try_out(operation: Any) -> str:
    @given(case=operation.as_strategy())
    @settings(max_examples=10, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    def holds(case: Any) -> None:
        for name in list(case.headers):
            if name.lower() in {"prefer", "authorization"}:  # nobody answers here: waiting would be in vain
                del case.headers[name]
        for name in REAL.keys() & case.path_parameters.keys():
            case.path_parameters[name] = REAL[name]
        case.call_and_validate(headers=bearer(OPERATOR), checks=CHECKS)

    holds()
    return str(operation.label)
