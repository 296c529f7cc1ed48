"""Second factors through the pages: at log-in, for those who must have one, and to know who is still there."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from inventory.db import db
from inventory.domain.access import FRESH, SYSTEM, Action, Actor
from inventory.domain.errors import NotAllowed
from inventory.models import Movement, Person, Proposal
from inventory.security import factors as edge
from inventory.services import people
from tests.conftest import NOW, TODAY
from tests.passkey import SoftKey
from tests.web.client import csrf_token, fields, log_in, log_in_by_form, send
from tests.web.factors import (
    asked,
    at,
    code,
    first,
    give_app,
    is_in,
    person_id,
    reader,
    second,
    secret_on,
    setting,
    token,
)
from tests.world import BLANK, DENPASAR, PASSWORD, PEOPLE, World

HOME = f"/offices/{DENPASAR}"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    at(app, NOW)
    return reader(app)


# --- logging in --------------------------------------------------------------------------------------------------


def test_without_a_second_factor_the_password_is_enough(client: FlaskClient) -> None:
    assert log_in_by_form(client, "manager").location == "/"
    assert is_in(client)


def test_with_one_the_password_alone_logs_nobody_in(app: Flask, client: FlaskClient) -> None:
    give_app(app, "manager")
    answer = log_in_by_form(client, "manager", next_path="/alerts")
    assert answer.location == "/login/second-factor?next=/alerts"
    assert not is_in(client)
    assert client.get("/alerts").status_code in (302, 303)
    assert "second-factor" not in client.get("/alerts").location


def test_a_code_lets_in_and_leads_on(app: Flask, client: FlaskClient) -> None:
    give_app(app, "manager")
    way = log_in_by_form(client, "manager", next_path="/alerts").location
    wrong = second(client, way, code="000000")
    assert wrong.status_code == 422
    assert "does not work" in wrong.text
    assert not is_in(client)
    assert second(client, way, code=code(NOW)).location == "/alerts"
    assert is_in(client)


def test_a_code_that_let_in_lets_nobody_else_in(app: Flask, client: FlaskClient) -> None:
    give_app(app, "manager")
    way = first(client, "manager")
    assert second(client, way, code=code(NOW)).status_code == 303
    thief = reader(app)
    first(thief, "manager")
    assert second(thief, way, code=code(NOW)).status_code == 422
    assert not is_in(thief)


def test_wrong_codes_are_bounded_and_a_recovery_code_still_works(app: Flask, client: FlaskClient) -> None:
    codes = give_app(app, "manager")
    way = first(client, "manager")
    for _ in range(5):
        assert second(client, way, code="000000").status_code == 422
    bounded = second(client, way, code=code(NOW))
    assert bounded.status_code == 429
    assert 0 < int(bounded.headers["Retry-After"]) <= 61
    other = reader(app)
    first(other, "manager")
    assert second(other, way, code=code(NOW)).status_code == 429, "counted per person, not per session"
    assert second(client, way, recovery=codes[0]).status_code == 303
    assert is_in(client)


def test_few_recovery_codes_left_are_told(app: Flask) -> None:
    codes = give_app(app, "manager")
    for number, each in enumerate(codes[:8], start=1):
        client = reader(app)
        way = first(client, "manager")
        assert second(client, way, recovery=each).status_code == 303
        told = re.search(r"(\d+) recovery codes? (is|are) left", client.get("/account").text)
        assert (told[1] if told else None) == (str(10 - number) if number >= 7 else None)


def test_the_question_is_open_for_ten_minutes(app: Flask, client: FlaskClient) -> None:
    give_app(app, "manager")
    way = first(client, "manager")
    page = fields(client.get(way).text)
    later = NOW + timedelta(minutes=11)
    at(app, later)
    answer = client.post(way, data={**page, "code": code(later)})
    assert answer.location == "/login"
    assert not is_in(client)


@pytest.mark.parametrize("what", ["shut out", "password changed", "factor taken away"])
def test_what_changes_in_between_ends_the_question(app: Flask, client: FlaskClient, what: str) -> None:
    give_app(app, "manager")
    way = first(client, "manager")
    page = fields(client.get(way).text)
    who = person_id(app, "manager")
    with app.test_request_context():
        if what == "shut out":
            people.set_active(SYSTEM, NOW, who, False)
        else:
            edge.factors.take_away(SYSTEM, NOW, who)
    assert client.post(way, data={**page, "code": code(NOW)}).location == "/login"
    assert not is_in(client)


def test_nobody_comes_to_the_question_without_the_password(app: Flask, client: FlaskClient) -> None:
    give_app(app, "manager")
    assert client.get("/login/second-factor").location == "/login"
    data = {"csrf_token": csrf_token(client), "code": code(NOW)}
    assert client.post("/login/second-factor", data=data).location == "/login"
    assert client.post("/login/second-factor/passkey", data=data).status_code == 409


@pytest.mark.parametrize("target", ["https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:alert(1)"])
def test_the_way_on_stays_on_the_site(app: Flask, client: FlaskClient, target: str) -> None:
    give_app(app, "manager")
    first(client, "manager")
    page = fields(client.get("/login/second-factor").text)
    answer = client.post("/login/second-factor", query_string={"next": target}, data={**page, "code": code(NOW)})
    assert answer.location == "/"


# --- passkeys ----------------------------------------------------------------------------------------------------


def enrol(client: FlaskClient, key: SoftKey, name: str = "ponsel") -> Any:
    page = client.get("/account/passkeys")
    typed = fields(page.text)
    headers = {"X-CSRFToken": typed["csrf_token"][0], "Accept": "application/json"}
    options = client.post("/account/passkeys/options", headers=headers).get_json()
    return client.post("/account/passkeys", data={**typed, "name": name, "passkey": key.create(options)})


def test_a_passkey_is_set_up_and_logs_in_alone(app: Flask, client: FlaskClient) -> None:
    key = SoftKey()
    log_in(client, "manager")
    shown = enrol(client, key)
    assert shown.status_code == 200
    assert len(re.findall(r"<li><code>[-2-9a-z]{34}</code>", shown.text)) == 10
    assert is_in(client), "whoever set it up stays logged in"
    other = reader(app)
    answer = log_in_by_passkey(other, key)
    assert answer.location == "/alerts"
    assert is_in(other)
    with other.session_transaction() as kept:
        assert kept["second"]


def log_in_by_passkey(client: FlaskClient, key: SoftKey, *, verified: bool = True) -> Any:
    headers = {"X-CSRFToken": csrf_token(client)}
    options = client.post("/login/passkey/options", headers=headers).get_json()
    data = {"csrf_token": csrf_token(client), "passkey": key.sign(options, verified=verified)}
    return client.post("/login/passkey?next=/alerts", data=data)


def test_alone_a_passkey_has_to_make_sure_who_holds_it(app: Flask, client: FlaskClient) -> None:
    key = SoftKey()
    log_in(client, "manager")
    enrol(client, key)
    other = reader(app)
    assert log_in_by_passkey(other, key, verified=False).location == "/login?next=/alerts"
    assert "was not accepted" in other.get("/login").text
    assert not is_in(other)


def test_the_answer_to_one_question_is_none_to_another(app: Flask, client: FlaskClient) -> None:
    """What was signed to log in does not confirm, and the other way round; and each challenge is asked once."""
    key = SoftKey()
    log_in(client, "manager")
    enrol(client, key)
    headers = token(client)
    options = client.post("/login/passkey/options", headers={"X-CSRFToken": headers["csrf_token"]}).get_json()
    page = fields(client.get("/confirm").text)
    answer = client.post("/confirm", data={**page, "confirm-passkey": key.sign(options)})
    assert answer.status_code == 422
    assert client.post("/login/passkey", data={**headers, "passkey": key.sign(options)}).location == "/login"


def test_a_passkey_is_a_second_factor(app: Flask, client: FlaskClient) -> None:
    key = SoftKey()
    log_in(client, "manager")
    enrol(client, key)
    other = reader(app)
    way = first(other, "manager")
    page = fields(other.get(way).text)
    headers = {"X-CSRFToken": page["csrf_token"][0]}
    options = other.post("/login/second-factor/passkey", headers=headers).get_json()
    assert len(options["allowCredentials"]) == 1
    answer = other.post(way, data={**page, "passkey": key.sign(options, verified=False)})
    assert answer.location == "/"
    assert is_in(other)


def test_the_site_of_passkeys_is_the_public_address(app: Flask) -> None:
    with app.test_request_context(base_url="https://there.test:8443"):
        assert edge.site() == edge.Site("there.test", "https://there.test:8443")
        setting(app, PUBLIC_URL="https://blangko.example.go.id/")
        assert edge.site() == edge.Site("blangko.example.go.id", "https://blangko.example.go.id")


# --- who must have one -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "name", "sent"),
    [
        ("managers", "manager", True),
        ("managers", "administrator", True),
        ("managers", "storekeeper", False),
        ("managers", "viewer", False),
        ("everybody", "storekeeper", True),
        ("everybody", "viewer", True),
        ("offered", "manager", False),
    ],
)
def test_who_must_have_one_is_sent_to_set_it_up(
    app: Flask, client: FlaskClient, policy: str, name: str, sent: bool
) -> None:
    setting(app, SECOND_FACTOR=policy)
    log_in(client, name)
    answer = client.get("/offices")
    assert (answer.status_code == 303 and answer.location == "/account/second-factor") is sent


def test_until_it_is_set_up_nothing_else_opens(app: Flask, client: FlaskClient) -> None:
    """Every page of the url map, by GET and by POST, but those to set one up and those for anybody."""
    setting(app, SECOND_FACTOR="managers")
    log_in(client, "manager")
    data = {"csrf_token": csrf_token(client, "/account/app")}
    opened = set()
    for rule in app.url_map.iter_rules():
        if getattr(app.view_functions[rule.endpoint], "action", "none") is None or rule.endpoint == "security.logout":
            continue
        known = {"code": DENPASAR, "item": BLANK, "filename": "blangko.css", "day": TODAY, "table": "offices"}
        values = {name: known.get(name, 1) for name in rule.arguments}
        with app.test_request_context():
            url = app.url_for(rule.endpoint, **values)
        for method in (rule.methods or set()) & {"GET", "POST"}:
            answer = client.open(url, method=method, data=data if method == "POST" else None)
            answer.close()
            said = answer.get_json()["type"] if url.startswith("/api/") and answer.status_code == 403 else ""
            if answer.location != "/account/second-factor" and not said.endswith(":second_factor_needed"):
                opened.add(rule.endpoint)
    assert opened <= edge.TO_SET_UP | {"security.login"}
    assert {"account.second_factor", "account.add_app"} <= opened
    assert client.post("/language", data=data | {"language": "en", "next": "/"}).location == "/"
    assert client.post("/logout", data=data).status_code == 302


def test_once_set_up_the_pages_open_and_other_sessions_end(app: Flask, client: FlaskClient) -> None:
    setting(app, SECOND_FACTOR="managers")
    other = reader(app)
    for each in (client, other):
        log_in(each, "manager")
    page = client.get("/account/app")
    typed = {**fields(page.text), "code": code(NOW, secret=secret_on(page.text))}
    assert client.post("/account/app", data=typed).status_code == 200
    assert client.get("/offices").status_code == 200
    assert not is_in(other)


def test_who_has_one_but_did_not_give_it_is_asked(app: Flask, client: FlaskClient) -> None:
    setting(app, SECOND_FACTOR="managers")
    give_app(app, "manager")
    log_in(client, "manager")
    assert client.get("/alerts").location == "/confirm?next=/alerts?"
    page = fields(client.get("/confirm?next=/alerts").text)
    assert client.post("/confirm", data={**page, "confirm-code": code(NOW)}).location == "/alerts"
    assert client.get("/alerts").status_code == 200


def test_what_sends_by_itself_is_told_in_a_status(app: Flask, client: FlaskClient) -> None:
    setting(app, SECOND_FACTOR="managers")
    log_in(client, "manager")
    assert client.get("/offices", headers={"Accept": "application/json"}).status_code == 403


# --- who is still there ------------------------------------------------------------------------------------------


def spoiled(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    world.spoil(NOW, TODAY, 5)
    world.propose_destruction(NOW, TODAY, 5)


def status_of_proposal() -> str:
    db.session.rollback()
    return db.session.scalars(select(Proposal.status)).one()


@pytest.mark.filled(by=spoiled)
def test_an_approval_asks_who_is_there_and_goes_on(app: Flask, client: FlaskClient) -> None:
    log_in(client, "manager")
    typed = fields(client.get("/proposals/1").text) | {"why": ["witnessed & burned <all>"], "decision": ["approve"]}
    at(app, NOW + timedelta(minutes=16))
    held = client.post("/proposals/1/decide", data=typed)
    assert held.status_code == 403
    assert "Confirm that it is you" in held.text
    with app.app_context():
        assert status_of_proposal() == "proposed"
    carried = fields(held.text)
    assert carried["why"] == ["witnessed & burned <all>"]
    assert carried["confirm-next"] == ["/proposals/1/decide"]
    wrong = client.post("/confirm", data={**carried, "confirm-passphrase": "not it"})
    assert wrong.status_code == 422
    assert fields(wrong.text)["why"] == ["witnessed & burned <all>"], "what was typed outlives a slip"
    right = {**fields(wrong.text), "confirm-passphrase": PASSWORD}
    on = client.post("/confirm", data=right)
    assert (on.status_code, on.location) == (307, "/proposals/1/decide")
    assert client.post(on.location, data=right).status_code == 303
    with app.app_context():
        assert status_of_proposal() == "approved"


def test_a_form_of_that_kind_is_not_opened_before(app: Flask, client: FlaskClient) -> None:
    log_in(client, "administrator")
    with asked(client):
        assert client.get("/people").status_code == 200, "reading asks nothing"
        assert client.get("/people/new?office=51.71").location == "/confirm?next=/people/new?office%3D51.71"
    page = fields(client.get("/confirm?next=/people/new?office%3D51.71").text)
    answer = client.post("/confirm", data={**page, "confirm-passphrase": PASSWORD})
    assert answer.location == "/people/new?office=51.71"
    assert client.get(answer.location).status_code == 200


@pytest.mark.parametrize("passed", [14, 16])
def test_it_is_asked_again_after_the_minutes_of_the_setting(app: Flask, client: FlaskClient, passed: int) -> None:
    log_in(client, "administrator")
    at(app, NOW + timedelta(minutes=passed))
    assert client.get("/people/new").status_code == (200 if passed < 15 else 303)
    setting(app, FRESH_MINUTES=60)
    assert client.get("/people/new").status_code == 200


def test_who_has_a_second_factor_confirms_by_it_alone(app: Flask, client: FlaskClient) -> None:
    give_app(app, "administrator")
    way = first(client, "administrator")
    second(client, way, code=code(NOW))
    later = NOW + timedelta(minutes=30)
    at(app, later)
    page = client.get("/confirm?next=/people/new")
    assert "confirm-passphrase" not in page.text
    typed = fields(page.text)
    assert client.post("/confirm", data={**typed, "confirm-passphrase": PASSWORD}).status_code == 422
    assert client.get("/people/new").status_code == 303
    assert client.post("/confirm", data={**typed, "confirm-code": code(later)}).location == "/people/new"
    assert client.get("/people/new").status_code == 200


def test_guesses_at_the_password_are_bounded_there_too(app: Flask, client: FlaskClient) -> None:
    log_in(client, "administrator")
    page = fields(client.get("/confirm").text)
    for _ in range(5):
        assert client.post("/confirm", data={**page, "confirm-passphrase": "a wrong one"}).status_code == 422
    bounded = client.post("/confirm", data={**page, "confirm-passphrase": PASSWORD})
    assert bounded.status_code == 429
    assert int(bounded.headers["Retry-After"]) > 0
    change = fields(client.get("/change").text) | {"password": [PASSWORD]}
    new = "sepeda biru di loteng"
    assert (
        "Too many wrong passwords"
        in client.post("/change", data={**change, "new_password": new, "new_password_confirm": new}).text
    )


@pytest.mark.parametrize(
    ("target", "way"),
    [
        ("https://evil.test/people/new", "/"),
        ("//evil.test/people/new", "/"),
        ("/\\evil.test", "/"),
        ("/no/such/page", "/no/such/page"),
        ("/confirm", "/confirm"),
        ("/login/passkey", "/login/passkey"),
    ],
)
def test_what_was_sent_goes_to_forms_of_this_site_only(client: FlaskClient, target: str, way: str) -> None:
    log_in(client, "administrator")
    page = fields(client.get("/confirm").text)
    typed = {**page, "confirm-next": target, "confirm-resend": "1", "confirm-passphrase": PASSWORD, "secret": "x"}
    answer = client.post("/confirm", data=typed)
    assert (answer.status_code, answer.location) == (303, way)


def test_files_are_not_carried_and_the_page_says_so(app: Flask, client: FlaskClient) -> None:
    log_in(client, "administrator")
    data = token(client)
    with asked(client):
        held = client.post("/people/new", data={**data, "file": (io.BytesIO(b"x"), "a.csv")})
    assert held.status_code == 403
    assert "Files cannot be kept" in held.text
    typed = {**fields(held.text), "confirm-passphrase": PASSWORD}
    answer = client.post("/confirm", data=typed)
    assert (answer.status_code, answer.location) == (303, "/people/new")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_form_too_long_to_be_carried_is_not_sent_on_in_part(client: FlaskClient) -> None:
    log_in(client, "administrator")
    data = token(client) | {f"field-{number}": "x" for number in range(501)}
    with asked(client):
        held = client.post("/people/new", data=data)
    assert held.status_code == 403
    assert "cannot be kept" in held.text
    assert "field-1" not in held.text
    answer = client.post("/confirm", data={**fields(held.text), "confirm-passphrase": PASSWORD})
    assert (answer.status_code, answer.location) == (303, "/people/new")
    forged = {**fields(client.get("/confirm").text), **data, "confirm-passphrase": PASSWORD}
    forged |= {"confirm-next": "/people/new", "confirm-resend": "1"}
    assert client.post("/confirm", data=forged).status_code == 303, "and not sent on without some of its fields"


def test_what_sends_by_itself_gets_a_status_and_not_a_page(app: Flask, client: FlaskClient) -> None:
    log_in(client, "administrator")
    data = token(client)
    with asked(client):
        answer = client.post("/people/new", data=data, headers={"Accept": "application/json"})
    assert answer.status_code == 403
    assert "confirm-passphrase" not in answer.text


def used(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    world.print(NOW, TODAY, 10)


@pytest.mark.filled(by=used)
def test_a_reversal_asks_and_the_undo_of_ones_newest_entry_does_not(app: Flask, client: FlaskClient) -> None:
    log_in(client, "storekeeper")
    with app.app_context():
        movement = db.session.scalars(select(Movement).where(Movement.kind == "print")).one()
        number, posting = movement.id, str(movement.request_id)
    with asked(client):
        assert client.get(f"/movements/{number}/reverse").location.startswith("/confirm?next=/movements/")
        held = client.post(f"/movements/{number}/reverse", data=token(client) | {"note": "wrong"})
        assert held.status_code == 403
        undone = send(client, f"{HOME}/today", {"posting": posting}, action=f"{HOME}/today/undo")
    assert undone.status_code == 303, undone.text
    with app.app_context():
        assert len(db.session.scalars(select(Movement).where(Movement.reverses_id == number)).all()) == 1


def test_answers_that_are_no_pages_ask_in_their_own_words(app: Flask) -> None:
    with app.test_request_context():
        for action in Action:
            if action in FRESH:
                with pytest.raises(NotAllowed, match="fresh_factor_needed"):
                    edge.require_fresh(action)
            else:
                edge.require_fresh(action)
        edge.confirmed(second=False)
        for action in FRESH:
            edge.require_fresh(action)


def test_every_route_that_approves_reverses_or_manages_people_asks(app: Flask, client: FlaskClient) -> None:
    """From the url map: none is left out, whoever adds one."""
    asking = 0
    for rule in app.url_map.iter_rules():
        action = getattr(app.view_functions[rule.endpoint], "action", None)
        if action not in FRESH or "POST" not in (rule.methods or ()):
            continue
        name = "administrator" if action is Action.MANAGE_PEOPLE else "manager"
        log_in(client, name)
        data = token(client)
        headers = {"X-CSRFToken": data["csrf_token"]}
        values = {key: {"code": DENPASAR, "day": TODAY}.get(key, 1) for key in rule.arguments}
        with app.test_request_context():
            url = app.url_for(rule.endpoint, **values)
        with asked(client):
            held = client.post(url, data=data, headers=headers)
        assert held.status_code == 403, rule
        assert ("fresh_factor_needed" if url.startswith("/api/") else "confirm-passphrase") in held.text, rule
        asking += 1
    assert asking >= 8


def test_logging_in_counts_and_changing_the_password_asks_first(app: Flask, client: FlaskClient) -> None:
    log_in_by_form(client, "administrator")
    assert client.get("/people/new").status_code == 200
    with asked(client):
        assert client.get("/change").location == "/confirm?next=/change"
        assert client.get("/people/new").status_code == 303


def test_the_actor_knows_nothing_of_all_this() -> None:
    """Whether somebody is still there is the edge's: services and jobs act for people who are not."""
    assert "fresh" not in Actor.__dataclass_fields__


def test_hashes_are_argon2id_as_owasp_asks_and_weaker_ones_are_made_anew(app: Flask, client: FlaskClient) -> None:
    from passlib.hash import argon2  # pyright: ignore[reportAttributeAccessIssue]

    def kept() -> str:
        with app.app_context():
            email = PEOPLE["storekeeper"][0]
            return db.session.scalars(select(Person.password).where(Person.email == email)).one() or ""

    found = re.fullmatch(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$.+", kept())
    assert found
    memory, rounds, lanes = map(int, found.groups())
    assert memory >= 19 * 1024
    assert rounds >= 2
    assert lanes >= 1
    weak = argon2.using(memory_cost=8192, rounds=1, parallelism=1).hash(PASSWORD)
    with app.app_context():
        person = db.session.scalars(select(Person).where(Person.email == PEOPLE["storekeeper"][0])).one()
        person.password = weak
        db.session.commit()
    assert log_in_by_form(client, "storekeeper").status_code == 302
    assert kept().startswith(f"$argon2id$v=19$m={memory},t={rounds},p={lanes}$")


def test_a_hash_is_made_anew_for_somebody_with_a_second_factor_too(app: Flask, client: FlaskClient) -> None:
    from passlib.hash import argon2  # pyright: ignore[reportAttributeAccessIssue]

    give_app(app, "manager")
    with app.app_context():
        person = db.session.scalars(select(Person).where(Person.email == PEOPLE["manager"][0])).one()
        person.password = argon2.using(memory_cost=8192, rounds=1, parallelism=1).hash(PASSWORD)
        db.session.commit()
    log_in_by_form(client, "manager")
    with app.app_context():
        again = db.session.scalars(select(Person.password).where(Person.email == PEOPLE["manager"][0])).one()
    assert again is not None
    assert "m=8192" not in again
