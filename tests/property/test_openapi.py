"""Documents that mean harm, or nothing at all: either tools come of them or one clear error, and soon."""

import json
import re
import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import Invalid
from freehold.gateway.openapi.reading import BIGGEST, tools_of

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ANYTHING = st.recursive(
    SCALARS, lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=6), one, max_size=3)
)
REFERENCES = st.sampled_from(["A", "B", "C"]).map(lambda name: {"$ref": f"#/components/schemas/{name}"})
SCHEMAS = st.recursive(
    REFERENCES | ANYTHING,
    lambda one: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", 7, None]),
            "properties": st.dictionaries(st.sampled_from(["a", "b[c]", "", "a b", "body"]), one, max_size=3)
            | ANYTHING,
            "items": one,
            "allOf": st.lists(one, max_size=3) | ANYTHING,
            "anyOf": st.lists(one, max_size=3),
            "required": st.lists(st.sampled_from(["a", "b[c]"]), max_size=2) | ANYTHING,
            "enum": ANYTHING,
            "default": ANYTHING,
            "minimum": SCALARS,
            "description": ANYTHING,
        },
    ),
    max_leaves=8,
)
PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "id", "é", "", "x" * 90]) | ANYTHING,
        "in": st.sampled_from(["path", "query", "header", "cookie"]) | ANYTHING,
        "required": st.booleans() | ANYTHING,
        "schema": SCHEMAS,
        "explode": st.booleans() | ANYTHING,
        "content": st.dictionaries(st.text(max_size=5), ANYTHING, max_size=1) | ANYTHING,
    },
)
OPERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "operationId": st.sampled_from(["get", "x y", ""]) | ANYTHING,
        "summary": ANYTHING,
        "parameters": st.lists(PARAMETERS | ANYTHING, max_size=3) | ANYTHING,
        "requestBody": st.fixed_dictionaries(
            {
                "content": st.fixed_dictionaries(
                    {"application/json": st.fixed_dictionaries({"schema": SCHEMAS}) | ANYTHING}
                )
            }
        )
        | ANYTHING,
        "x-freehold-kind": st.sampled_from(["read", "destroy"]) | ANYTHING,
    },
)
PATHS = st.dictionaries(
    st.sampled_from(["/", "/a/{id}", "/{id}/{id}", "x-y", "/{}"]),
    st.dictionaries(st.sampled_from(["get", "post", "parameters", "$ref"]), OPERATIONS | ANYTHING, max_size=3)
    | ANYTHING,
    max_size=3,
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "openapi": st.sampled_from(["3.0.0", "3.1.0"]),
        "paths": PATHS,
        "components": st.fixed_dictionaries(
            {"schemas": st.dictionaries(st.sampled_from(["A", "B", "C"]), SCHEMAS, max_size=3)}
        ),
    }
)


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS | ANYTHING.filter(lambda one: isinstance(one, dict)))
def test_whatever_a_document_says_its_tools_are_fit_to_be_told(document: dict[str, Any]) -> None:
    try:
        found = tools_of(document)
    except Invalid as refused:
        found = []
        code = refused.code
    else:
        code = "bad_document"
    assert code == "bad_document"
    assert len({tool.name for tool in found}) == len(found)
    for tool in found:
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", tool.name)
        assert len(json.dumps(tool.parameters, allow_nan=False)) <= BIGGEST
        assert set(tool.parameters["properties"]) == set(tool.how["in"])
        assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) for name in tool.parameters["properties"])
        assert set(tool.parameters.get("required", ())) <= set(tool.parameters["properties"])


def test_a_document_in_which_everything_names_everything_twice_costs_no_more_than_others() -> None:
    twice = {
        f"S{n}": {
            "type": "object",
            "properties": {side: {"$ref": f"#/components/schemas/S{n + 1}"} for side in ("a", "b", "c", "d")},
        }
        for n in range(50)
    }
    twice["S50"] = {"type": "string"}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S0"}}}}
    paths = {f"/{n}": {"post": {"requestBody": body}} for n in range(500)}
    before = time.process_time()
    found = tools_of({"openapi": "3.1.0", "paths": paths, "components": {"schemas": twice}})
    assert time.process_time() - before < 10
    assert found
