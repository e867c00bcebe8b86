"""
The API against its own description: whatever it is sent, it never breaks, and answers as it says it does.

Whoever may do everything is held to every promise; everybody else must at least never meet a bug, nor an answer that
needed no sign-in. A route that ends what the others are about is tried on a platform of its own.
`FUZZ` says how often each is tried (`make fuzz`).
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
    use_after_free,
)

from freehold.core.people import PlatformRole, Role
from freehold.web.building import build
from tests import crowd
from tests.webs import OPERATOR, Web, bearer, made

EVERY = [
    not_a_server_error,
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
    use_after_free,
]
"""Every check but that all which the schema allows is accepted: some rules are no matter of form."""
LEAST = [not_a_server_error, ignored_auth]
REAL = {"tenant": "acme", "agent": "helper"}
EXAMPLES = int(os.environ.get("FUZZ", "10"))  # noqa: TID251 - no setting of the platform's
UNSENT = {"prefer", "authorization", "cookie", "origin", "host"}
"""Headers that are not made up: nobody answers here, so waiting would be in vain; the rest says who asks."""

ENDING = r"/(suspend|revoke-access|logout|sessions)$|/tenants/\{tenant\}$"
"""What would end a story: sign-ins and the tenant that it is about."""

Sign = Callable[[Web], dict[str, str]]


def role(which: Role) -> Sign:
    def sign(web: Web) -> dict[str, str]:
        with web.state.store.read() as platform:
            tenant = platform.tenants.find("acme")
        return crowd.signed_in(web, crowd.member(web, tenant, which))

    return sign


def platform_role(which: PlatformRole) -> Sign:
    return lambda web: crowd.signed_in(web, crowd.person(web, platform_role=which))


def operator(web: Web) -> dict[str, str]:
    return bearer(OPERATOR)


MIGHTY: dict[str, Sign] = {"operator": operator, "owner": role(Role.OWNER)}
OTHERS: dict[str, Sign] = {
    "admin": role(Role.ADMIN),
    "member": role(Role.MEMBER),
    "viewer": role(Role.VIEWER),
    "auditor": platform_role(PlatformRole.AUDITOR),
}


def platform(folder: Path) -> Web:
    web = made(folder, hosts="testserver,localhost")
    web.agent(web.tenant("acme"))
    with web.state.store.write() as database:
        database.workers.join("w1", at=web.clock.now())  # so that health is well
    return web


def schema_of(web: Web) -> Any:
    """Return the description, without the streams: they end only when somebody ends them."""
    return schemathesis.openapi.from_asgi("/api/openapi.json", build(web.state)).exclude(path_regex="/events$")


def make_real(case: Any) -> None:
    """Let a made-up request be about what there is, and not say by itself who sends it."""
    for name in [name for name in case.headers if name.lower() in UNSENT]:
        del case.headers[name]
    for name in REAL.keys() & case.path_parameters.keys():
        case.path_parameters[name] = REAL[name]


def walk(folder: Path, signs: dict[str, Sign], checks: list[Any], mode: GenerationMode) -> None:
    """Send every operation what its description allows, or what it does not: each request by everybody in turn."""
    web = platform(folder / "calm")
    shown, schema = [sign(web) for sign in signs.values()], schema_of(web)
    found = [each.ok() for each in schema.exclude(path_regex=ENDING).get_all_operations() if isinstance(each, Ok)]
    assert len(found) > 50
    for operation in found:
        try_out(operation, shown, checks, mode)
    ending = [each.ok() for each in schema.include(path_regex=ENDING).get_all_operations() if isinstance(each, Ok)]
    for number, label in enumerate(operation.label for operation in ending):
        for who, sign in signs.items():
            alone = platform(folder / f"{number}-{who}")
            [operation] = [each.ok() for each in schema_of(alone).include(name=label).get_all_operations()]
            try_out(operation, [sign(alone)], checks, mode)


def try_out(operation: Any, shown: list[dict[str, str]], checks: list[Any], mode: GenerationMode) -> None:
    """Make up some requests, which takes longer than to answer them, and send each with all that is `shown`."""

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    def holds(case: Any) -> None:
        make_real(case)
        wrong_body = case.meta is not None and case.meta.is_negative_at(ParameterLocation.BODY)
        for headers in shown:
            case.call_and_validate(
                headers=headers, checks=[*checks, *([negative_data_rejection] if wrong_body else [])]
            )

    with contextlib.suppress(Unsatisfiable):  # what takes nothing cannot be sent anything wrong
        holds()


@pytest.mark.long
@pytest.mark.parametrize("mode", GenerationMode)
def test_whoever_may_do_everything_is_answered_as_described(tmp_path: Path, mode: GenerationMode) -> None:
    walk(tmp_path, MIGHTY, EVERY, mode)


@pytest.mark.long
def test_whoever_may_do_little_meets_no_bug_and_no_open_door(tmp_path: Path) -> None:
    walk(tmp_path, OTHERS, LEAST, GenerationMode.POSITIVE)


@pytest.mark.long
@pytest.mark.parametrize("who", MIGHTY)
def test_what_one_answer_names_the_next_request_finds(tmp_path: Path, who: str) -> None:
    web = platform(tmp_path)
    shown = MIGHTY[who](web)

    class Stories(schema_of(web).exclude(path_regex=ENDING).as_state_machine()):  # type: ignore[misc]
        def before_call(self, case: Any) -> None:
            make_real(case)

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": shown}

        def validate_response(self, response: Any, case: Any, *_: Any, **__: Any) -> None:
            case.validate_response(response, checks=EVERY, headers=shown)

    Stories.run(
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=10,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
            deadline=None,
        )
    )
