"""Whatever goes wrong below /api/ is a problem document: the status, a code, a sentence in the asked language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from inventory.domain.scopes import ApiScope
from tests.api.client import PROBLEM, Caller, apart, code_of, fields_of, make_token
from tests.api.test_movements import AT_DENPASAR, prints
from tests.conftest import NOW
from tests.world import World

RAW = {"Content-Type": "application/json", "Idempotency-Key": "k"}
BODIES: list[tuple[bytes, int, str]] = [
    (b"", 400, "json_malformed"),
    (b"{", 400, "json_malformed"),
    (b'{"item": 1, "item": 2}', 400, "json_malformed"),
    (b'{"item": NaN}', 400, "json_malformed"),
    (b'{"item": Infinity}', 400, "json_malformed"),
    (b'{"item": 1e999}', 400, "json_malformed"),
    (b'{"item": ' + b"9" * 5000 + b"}", 400, "json_malformed"),
    (b'{"item": "\\ud800"}', 400, "json_malformed"),
    (b'{"item": ["\\ud800"]}', 400, "json_malformed"),
    (b"\xff\xfe", 400, "json_malformed"),
    (b"[" * 100_000, 400, "json_too_deep"),
    (b'{"a":' * 13 + b"1" + b"}" * 13, 400, "json_too_deep"),
    (b"[]", 422, "input_wrong"),
    (b"null", 422, "input_wrong"),
    (b'"x"', 422, "input_wrong"),
    (b" " * 1_000_001, 413, "request_too_large"),
]


@pytest.fixture
def machine(world: World) -> Caller:
    return Caller(world.app, make_token())


def raw(machine: Caller, body: bytes, **headers: str) -> Any:
    told = machine.headers | RAW | headers
    return apart(lambda: machine.client.post("/api/v1" + AT_DENPASAR, data=body, headers=told))


def test_a_body_that_is_no_json_of_ours_is_refused(machine: Caller) -> None:
    for body, status, code in BODIES:
        response = raw(machine, body)
        assert (response.status_code, code_of(response)) == (status, code), body[:40]
    as_form = raw(machine, b"item=1", **{"Content-Type": "application/x-www-form-urlencoded"})
    assert (as_form.status_code, code_of(as_form)) == (415, "json_expected")


def test_an_answer_is_no_longer_than_anybody_reads(machine: Caller) -> None:
    """Lists that are too long are not looked through, and of what is wrong 50 are named."""
    many: Any = machine.post("/movements/bulk", {"postings": [{}] * 20_000})
    assert fields_of(many) == {"/postings": "field_wrong"}
    for name in ("printed", "spoiled"):
        assert fields_of(machine.post(AT_DENPASAR, prints(**{name: [{}] * 20_000}))) == {f"/{name}": "field_wrong"}
    handed: Any = machine.post("/offices/51.71/transfers", {"lines": [{}] * 20_000})
    assert fields_of(handed)["/lines"] == "field_wrong"
    unknown = machine.post(AT_DENPASAR, prints(**{f"x{number}": 1 for number in range(20_000)}))
    assert len(fields_of(unknown)) == 50
    assert max(len(answer.data) for answer in (many, handed, unknown)) < 10_000


def test_an_address_or_method_that_is_not_there(machine: Caller) -> None:
    for path in ("/nix", "/offices/" + "x" * 50, "/movements/x", "/movements/99999999999999999999"):
        assert machine.get(path).status_code == 404
        assert code_of(machine.get(path)) == "nothing_here"
    for path in ("/api/", "/api/v2/offices"):
        response = apart(lambda path=path: machine.client.get(path))
        assert (response.status_code, response.content_type) == (404, PROBLEM)
    wrong = machine.send("DELETE", "/offices", None, {})
    assert (wrong.status_code, code_of(wrong)) == (405, "method_not_offered")
    assert set(wrong.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_the_sentence_is_in_the_language_that_was_asked_for(world: World) -> None:
    secret = make_token()
    said = {}
    for language in ("en", "id", "id-ID,id;q=0.9,en;q=0.1", "fr"):
        response = Caller(world.app, secret, language=language).get("/offices/99")
        told: Any = response.json
        said[language] = (response.headers["Content-Language"], told["detail"])
    assert said["en"][0] == "en"
    assert [said[each][0] for each in ("id", "id-ID,id;q=0.9,en;q=0.1", "fr")] == ["id"] * 3
    assert said["en"][1] != said["id"][1] == said["fr"][1]
    person = Caller(world.app, person="storekeeper", language="en")
    wrong = person.post(AT_DENPASAR, prints("x"))
    fault: Any = wrong.json
    assert fault["errors"] == [
        {"field": "/printed/0/quantity", "code": "field_type", "detail": "This is not of the right kind."}
    ]


def test_what_breaks_is_a_problem_too_and_tells_nothing(
    database_url: str, make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(database_url, CLOCK=lambda: NOW, PROPAGATE_EXCEPTIONS=False)
    with app.app_context():
        machine = Caller(app, make_token(ApiScope.STOCK_READ))

    def broken(*_args: Any) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("inventory.services.items.active", broken)
    response = machine.get("/items")
    assert (response.status_code, code_of(response)) == (500, "went_wrong")
    assert "hunter2" not in response.text


def test_too_many_requests_are_told_when_to_come_back(database_url: str, make_app: Callable[..., Flask]) -> None:
    app = make_app(database_url, CLOCK=lambda: NOW, API_RATE=2)
    with app.app_context():
        machine, other = (Caller(app, make_token(ApiScope.STOCK_READ)) for _ in range(2))
    assert [machine.get("/items").status_code for _ in range(4)] == [200, 200, 429, 429]
    late = machine.get("/items")
    assert code_of(late) == "too_many_requests"
    assert 1 <= int(late.headers["Retry-After"]) <= 60
    assert other.get("/items").status_code == 200, "each has a rate of its own"


def test_every_answer_is_kept_by_nobody(machine: Caller) -> None:
    for response in (machine.get("/offices"), machine.get("/nix"), machine.get("/session")):
        assert response.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in response.headers
        assert fields_of(response) == {} if response.status_code >= 400 else True
