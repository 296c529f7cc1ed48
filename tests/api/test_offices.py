"""Offices by the API: within reach only, by pages that go on where they stopped."""

from __future__ import annotations

from typing import Any

from inventory.domain.scopes import ApiScope
from tests.api.client import Caller, code_of, fields_of, make_token
from tests.world import World

READ = ApiScope.STOCK_READ


def codes(response: Any) -> list[str]:
    return [office["code"] for office in response.json["data"]]


def test_a_machine_sees_its_office_and_those_below(world: World) -> None:
    caller = Caller(world.app, make_token(READ, office="51"))
    assert codes(caller.get("/offices")) == ["51", "51.03", "51.71", "51.71.01", "51.71.02"]
    assert codes(caller.get("/offices", under="51.71")) == ["51.71", "51.71.01", "51.71.02"]
    assert codes(caller.get("/offices", search="denpasar")) == ["51.71", "51.71.01", "51.71.02"]
    assert codes(caller.get("/offices", search="51.0")) == ["51.03"]
    assert caller.get("/offices/51.71").json == {
        "code": "51.71",
        "name": "Kota Denpasar",
        "kind": "city",
        "parent": "51",
        "time_zone": "Asia/Makassar",
        "population": None,
        "active": True,
    }


def test_pages_follow_one_another_without_gap_or_repeat(world: World) -> None:
    caller = Caller(world.app, make_token(READ, office="51"))
    for limit in (1, 2, 4, 5):
        assert by_pages(caller, limit) == ["51", "51.03", "51.71", "51.71.01", "51.71.02"]


def by_pages(caller: Caller, limit: int) -> list[str]:
    found, following = [], {}
    while True:
        response = caller.get("/offices", limit=limit, **following)
        found += codes(response)
        told: Any = response.json
        if told["next"] is None:
            assert "Link" not in response.headers
            break
        assert f"cursor={told['next']}" in response.headers["Link"]
        assert 'rel="next"' in response.headers["Link"]
        following = {"cursor": told["next"]}
    return found


def test_other_offices_are_refused(world: World) -> None:
    caller = Caller(world.app, make_token(READ, office="51.71"))
    assert code_of(caller.get("/offices/51.03")) == "not_allowed"
    assert code_of(caller.get("/offices", under="51.03")) == "not_allowed"
    assert code_of(caller.get("/offices/99")) == "office_not_found"


def test_a_storekeeper_sees_by_the_api_what_the_pages_show(world: World) -> None:
    caller = Caller(world.app, person="storekeeper")
    assert codes(caller.get("/offices")) == ["51.71"]
    assert code_of(caller.get("/offices/51.71.01")) == "not_allowed"


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"limit": 0}, "limit", "number_out_of_range"),
    ({"limit": 201}, "limit", "number_out_of_range"),
    ({"limit": "x"}, "limit", "field_type"),
    ({"limit": "9" * 19}, "limit", "field_type"),
    ({"cursor": "xx"}, "cursor", "cursor_wrong"),
    ({"cursor": "WzFd"}, "cursor", "cursor_wrong"),
    ({"cursor": "WyI1MSJd="}, "cursor", "cursor_wrong"),
    ({"under": "5 1"}, "under", "office_code_format"),
    ({"search": "a\x00b"}, "search", "text_unprintable"),
    ({"search": "x" * 81}, "search", "text_too_long"),
    ({"sarch": "x"}, "sarch", "field_unknown"),
]


def test_a_wrong_parameter_is_named(world: World) -> None:
    caller = Caller(world.app, make_token(READ))
    for query, field, code in WRONG:
        response = caller.get("/offices", **query)
        assert response.status_code == 422
        assert fields_of(response) == {field: code}


def test_a_parameter_given_twice_is_refused(world: World) -> None:
    response = Caller(world.app, make_token(READ)).get("/offices", limit=["1", "2"])
    assert fields_of(response) == {"limit": "parameter_twice"}


def test_who_has_the_version_is_told_so(world: World) -> None:
    caller = Caller(world.app, make_token(READ))
    first = caller.get("/offices/51.71")
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = caller.get("/offices/51.71", {"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert caller.get("/offices/51.71", {"If-None-Match": '"other"'}).status_code == 200
