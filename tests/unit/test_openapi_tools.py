"""OpenAPI documents of the usual shapes, as tools."""

import time
from typing import Any

import pytest

from freehold.core.effects import EffectKind
from freehold.core.errors import Invalid
from freehold.core.tools import Tool
from freehold.gateway.openapi.reading import tools_of

PET = {
    "type": "object",
    "required": ["id", "name"],
    "properties": {
        "id": {"type": "integer", "readOnly": True},
        "name": {"type": "string", "description": "What it\nis called.", "example": "Rex"},
        "mother": {"$ref": "#/components/schemas/Pet"},
        "tag": {"type": "string", "nullable": True},
    },
}


def document(paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"openapi": "3.0.3", "info": {"title": "Pets", "version": "1"}, "paths": paths} | more


def only(**operation: Any) -> Tool:
    return tools_of(document({"/pets": operation}, components={"schemas": {"Pet": PET}}))[0]


def json_body(schema: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    return {"required": required, "content": {"application/json; charset=utf-8": {"schema": schema}}}


def test_an_operation_is_a_tool_with_its_parameters_and_body_in_one_flat_schema() -> None:
    pets = document(
        {
            "/pets/{petId}": {
                "parameters": [{"name": "petId", "in": "path", "required": True, "schema": {"type": "integer"}}],
                "put": {
                    "operationId": "updatePet",
                    "summary": "Change a pet.",
                    "description": "It must be there.",
                    "parameters": [
                        {"name": "dry", "in": "query", "schema": {"type": "boolean"}},
                        {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                        {"name": "Authorization", "in": "header", "required": True, "schema": {"type": "string"}},
                        {"name": "seen", "in": "cookie", "schema": {"type": "string"}},
                    ],
                    "requestBody": {"$ref": "#/components/requestBodies/Pet"},
                },
            }
        },
        components={
            "schemas": {"Pet": PET},
            "requestBodies": {"Pet": json_body({"$ref": "#/components/schemas/Pet"})},
        },
        servers=[{"url": "https://elsewhere.example"}],
        security=[{"key": []}],
    )
    [tool] = tools_of(pets)
    assert (tool.name, tool.kind) == ("updatePet", EffectKind.OWN_WRITE)
    assert tool.description == "Change a pet.\nIt must be there."
    assert tool.how == {
        "method": "PUT",
        "path": "/pets/{petId}",
        "in": {
            "petId": "path",
            "dry": "query",
            "X-Trace": "header",
            "name": "body",
            "mother": "body",
            "tag": "body",
        },
        "joined": ["X-Trace"],
    }
    assert tool.parameters["required"] == ["petId", "name"]
    properties = tool.parameters["properties"]
    assert properties["petId"] == {"type": "integer"}
    assert properties["name"] == {"type": "string", "description": "What it is called."}
    assert properties["tag"] == {"type": ["string", "null"]}
    assert properties["mother"] == {}, "what holds itself is cut"


def test_what_an_operation_does_is_told_by_its_method_unless_the_document_says_it() -> None:
    plain: dict[str, Any] = {"responses": {}}
    methods = ("get", "head", "put", "patch", "post", "delete")
    found = tools_of(document({"/pets": dict.fromkeys(methods, plain)}))
    assert {tool.how["method"]: tool.kind for tool in found} == {
        "GET": EffectKind.READ,
        "HEAD": EffectKind.READ,
        "PUT": EffectKind.OWN_WRITE,
        "PATCH": EffectKind.OWN_WRITE,
        "POST": EffectKind.MESSAGE,
        "DELETE": EffectKind.DESTROY,
    }
    assert only(post={"x-freehold-kind": "read"}).kind is EffectKind.READ
    with pytest.raises(Invalid, match="x-freehold-kind"):
        only(post={"x-freehold-kind": ["read"]})


def test_names_are_valid_unique_and_none_that_every_connection_has() -> None:
    found = tools_of(
        document(
            {
                "/pets": {"get": {"operationId": "get"}, "post": {"operationId": "add pet!"}},
                "/pets/{id}": {"get": {"operationId": "add_pet"}, "delete": {}},
                "/x": {"get": {"operationId": "long" * 40}},
            }
        )
    )
    assert [tool.name for tool in found] == ["get_2", "add_pet", "add_pet_2", "delete_pets_id", ("long" * 40)[:60]]


def test_a_body_without_names_of_its_own_is_one_argument() -> None:
    tool = only(post={"requestBody": json_body({"type": "array", "items": {"type": "string"}})})
    assert tool.how["whole"] == "body"
    assert tool.parameters["properties"] == {"body": {"type": "array", "items": {"type": "string"}}}
    assert tool.parameters["required"] == ["body"]


def test_parts_that_all_hold_are_one_body() -> None:
    more = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    tool = only(post={"requestBody": json_body({"allOf": [{"$ref": "#/components/schemas/Pet"}, more]})})
    assert set(tool.parameters["properties"]) == {"name", "mother", "tag", "age"}
    assert tool.parameters["required"] == ["name", "age"]


def test_arguments_of_the_same_name_are_told_apart_and_odd_names_are_spelt_for_models() -> None:
    tool = only(
        post={
            "parameters": [
                {"name": "name", "in": "query", "schema": {"type": "string"}},
                {"name": "filter[age]", "in": "query", "explode": False, "schema": {"type": "array"}},
            ],
            "requestBody": json_body({"$ref": "#/components/schemas/Pet"}),
        }
    )
    assert tool.how["in"] == {
        "name": "query",
        "filter_age": "query",
        "name_body": "body",
        "mother": "body",
        "tag": "body",
    }
    assert tool.how["as"] == {"filter_age": "filter[age]", "name_body": "name"}
    assert tool.how["joined"] == ["filter_age"]


def test_a_path_names_its_arguments_even_where_the_document_forgets_them() -> None:
    [tool] = tools_of(document({"/pets/{id}": {"get": {}}}))
    assert tool.parameters["properties"] == {"id": {"type": "string"}}
    assert tool.parameters["required"] == ["id"]
    assert tool.description == "GET /pets/{id}"


@pytest.mark.parametrize(
    "operation",
    [
        {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {"type": "object"}}}}},
        {"parameters": [{"name": "sid", "in": "cookie", "required": True, "schema": {"type": "string"}}]},
        {"parameters": [{"name": f"a{n}", "in": "query"} for n in range(101)]},
    ],
    ids=["form", "cookie", "many"],
)
def test_what_cannot_be_called_is_left_out(operation: dict[str, Any]) -> None:
    found = tools_of(document({"/pets": {"get": {"operationId": "all"}, "post": operation}}))
    assert [tool.name for tool in found] == ["all"]


def test_what_is_too_big_is_told_less_deeply() -> None:
    leaf = {"type": "string", "description": "x" * 250}
    wide = {"type": "object", "properties": {f"p{n}": leaf for n in range(20)}}
    deep = {"type": "object", "properties": {f"q{n}": wide for n in range(10)}}
    tool = only(post={"requestBody": json_body(deep)})
    assert tool.parameters["properties"]["q0"]["properties"]["p0"] == {}


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"swagger": "2.0", "paths": {}},
        {"openapi": "4.0.0", "paths": {"/": {"get": {}}}},
        {"openapi": 3, "paths": {"/": {"get": {}}}},
        {"openapi": "3.1.0"},
        {"openapi": "3.1.0", "paths": []},
        {"openapi": "3.1.0", "paths": {}},
        {"openapi": "3.1.0", "paths": {"/a": None}},
        {"openapi": "3.1.0", "paths": {"/a": {"get": "x"}}},
        {"openapi": "3.1.0", "paths": {"/a": {"$ref": "#/paths/~1a"}}},
        {"openapi": "3.1.0", "paths": {"/a": {"$ref": "https://example.com/x.json"}}},
        {"openapi": "3.1.0", "paths": {"/a": {"get": {"parameters": [{"$ref": "#/nowhere"}]}}}},
        {"openapi": "3.1.0", "paths": {f"/{n}": {"get": {}} for n in range(1_001)}},
    ],
    ids=str,
)
def test_what_is_no_such_document_is_refused_with_a_reason(broken: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        tools_of(broken)
    assert refused.value.code == "bad_document"
    assert refused.value.remedy


@pytest.mark.parametrize(
    "heavy",
    [
        {f"x{number}": number for number in range(20_000)},
        {"required": ["a"] * 100_000},
        {"description": "x\n" * 500_000},
        {"$ref": "#/" + "a/" * 500_000},
    ],
    ids=["keys", "required", "description", "reference"],
)
def test_what_is_heavy_and_named_everywhere_is_given_up_soon(heavy: dict[str, Any]) -> None:
    properties = {f"p{number}": {"$ref": "#/components/schemas/heavy"} for number in range(2_000)}
    body = {"content": {"application/json": {"schema": {"type": "object", "properties": properties}}}}
    paths = {f"/{number}": {"post": {"requestBody": body}} for number in range(5)}
    began = time.process_time()
    with pytest.raises(Invalid):
        tools_of(document(paths, components={"schemas": {"heavy": heavy}}))
    assert time.process_time() - began < 10
