"""The specification: valid, and it says of every operation what it asks for, answers and refuses, with examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from jsonschema_rs import meta
from referencing import Registry, Resource

from inventory.domain.scopes import scopes_for
from tests.api.client import PROBLEM, ROOT


@pytest.fixture(scope="module")
def spec(lasting_app: Any, sqlite_template: Any) -> dict[str, Any]:
    told: Any = lasting_app(f"sqlite:///{sqlite_template}").test_client().get(f"{ROOT}/openapi.json").json
    return told


def operations(spec: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in spec["paths"].items():
        for method, told in methods.items():
            if method != "parameters":
                yield path, method, told


def fits(spec: dict[str, Any], schema: dict[str, Any], example: Any) -> list[str]:
    """What is wrong with an example, held against its schema."""
    registry: Any = Registry().with_resource("urn:spec", Resource.from_contents(spec | {"$schema": DIALECT}))
    return [error.message for error in Draft202012Validator(_absolute(schema), registry=registry).iter_errors(example)]


DIALECT = "https://json-schema.org/draft/2020-12/schema"


def _absolute(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            name: f"urn:spec{value}" if name == "$ref" and value.startswith("#") else _absolute(value)
            for name, value in part.items()
        }
    return [_absolute(each) for each in part] if isinstance(part, list) else part


def test_it_is_openapi_and_its_schemas_are_schemas(spec: dict[str, Any]) -> None:
    assert spec["openapi"].startswith("3.1.")
    assert spec["info"]["title"] == "Blangko"
    assert "contact" not in spec["info"]
    for name, schema in spec["components"]["schemas"].items():
        assert meta.is_valid(schema | {"$schema": DIALECT}), name


def test_every_operation_says_what_it_is(spec: dict[str, Any]) -> None:
    found = list(operations(spec))
    names = [told["operationId"] for _, _, told in found]
    assert len(set(names)) == len(names)
    for path, method, told in found:
        where = f"{method} {path}"
        assert told["summary"], where
        assert told["tags"], where
        assert {"default", "404", "405", "422", "429"} <= set(map(str, told["responses"])), where
        if "security" in told:
            assert {"401", "403"} <= set(map(str, told["responses"])), where
        for status, answer in told["responses"].items():
            if str(status)[0] in "45":
                assert list(answer["content"]) == [PROBLEM], where


def test_every_example_fits_its_schema(spec: dict[str, Any]) -> None:
    checked = 0
    for path, method, told in operations(spec):
        parts = [*told["responses"].items(), ("body", told.get("requestBody", {}))]
        for name, part in parts:
            for content in part.get("content", {}).values():
                if str(name)[0] in "2b":
                    assert "example" in content or str(name) != "200", f"{method} {path} {name}"
                if "example" in content:
                    assert fits(spec, content["schema"], content["example"]) == [], f"{method} {path} {name}"
                    checked += 1
    assert checked >= 20


def test_what_records_asks_for_a_key_and_what_it_refuses_is_told(spec: dict[str, Any]) -> None:
    for path, method, told in operations(spec):
        asked = {part.get("$ref", "").rpartition("/")[2] for part in told.get("parameters", [])}
        assert ("idempotency_key" in asked) is (method == "post"), path
        assert ("if_match" in asked) is (method in ("put", "patch")), path
        assert "accept_language" in asked


def test_the_scopes_are_those_of_the_access_table(spec: dict[str, Any], lasting_app: Any, sqlite_template: Any) -> None:
    app: Flask = lasting_app(f"sqlite:///{sqlite_template}")
    for _, _, told in operations(spec):
        module, _, view = told["operationId"].partition("_")
        action = getattr(app.view_functions[f"api.{module}.{view}"], "action", None)
        if action is None:
            continue
        named = {scope for each in told["security"] for scope in each.get("token", [])}
        assert named == {scope.value for scope in scopes_for(action)}, told["operationId"]
