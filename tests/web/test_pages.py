"""The pages through the test client, on both databases: what is typed, what is recorded, what is said."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from inventory.db import db
from inventory.domain.ledger import Effect
from inventory.services import people
from tests.conftest import NOW, TODAY
from tests.web.client import csrf_token, fields, in_language, log_in, log_in_by_form, log_out, send
from tests.world import BADUNG, BLANK, DENPASAR, PASSWORD, PEOPLE, World

HOME = f"/offices/{DENPASAR}"
CONSUMPTION = f"{HOME}/consumption"
DELIVERY = f"{HOME}/deliveries/new"
CARD = f"{HOME}/stock-card/{BLANK}"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def storekeeper(client: FlaskClient) -> FlaskClient:
    log_in(client, "storekeeper")
    in_language(client, "en")
    return client


def figures(app: Flask) -> Effect:
    with app.app_context():
        return World(app).figures()


def deliver(app: Flask, quantity: int = 1000) -> int:
    """Blanks are there; the id of the movement that brought them."""
    with app.app_context():
        return World(app).deliver(NOW, TODAY, quantity, bast="470/1").movements[0].id


# --- the forms -----------------------------------------------------------------------------------------------------


def test_a_delivery_is_recorded(app: Flask, storekeeper: FlaskClient) -> None:
    typed = {"item": BLANK, "bast_number": "470/12/2024", "received": "2,000", "defective": "12", "asked": "10,000"}
    answer = send(storekeeper, DELIVERY, typed)
    assert (answer.status_code, answer.location) == (303, HOME)
    assert "Receipt recorded: 2,000 × Citizen card blank. 1,988 left." in storekeeper.get(HOME).text
    assert figures(app) == Effect(received=2000, store=1988, spoiled=12)
    listed = storekeeper.get(f"{HOME}/deliveries").text
    assert "470/12/2024" in listed
    assert "10,000" in listed


def test_a_days_consumption_is_recorded_by_reason_in_one_go(app: Flask, storekeeper: FlaskClient) -> None:
    deliver(app)
    typed = {"item": BLANK, "new": "40", "new_waiting": "15", "lost": "3", "damaged": "7", "note": "two printers"}
    answer = send(storekeeper, CONSUMPTION, typed)
    assert answer.status_code == 303
    page = storekeeper.get(HOME).text
    assert "Print recorded: 50 × Citizen card blank. 950 left." in page
    assert "Print: Lost card" in page
    assert figures(app) == Effect(received=1000, store=950, printed=50)


def test_a_ribbon_is_used_up(app: Flask, storekeeper: FlaskClient) -> None:
    send(storekeeper, f"{HOME}/opening", {"item": "ribbon", "quantity": "8"})
    assert send(storekeeper, CONSUMPTION, {"item": "ribbon", "consumed": "1"}).status_code == 303
    assert "7 left" in storekeeper.get(HOME).text


def test_the_opening_stock_is_entered_once(app: Flask, storekeeper: FlaskClient) -> None:
    assert send(storekeeper, f"{HOME}/opening", {"item": BLANK, "quantity": "1,639"}).status_code == 303
    again = send(storekeeper, f"{HOME}/opening", {"item": BLANK, "quantity": "5"})
    assert again.status_code == 409
    assert "already has stock on record" in again.text
    assert figures(app) == Effect(received=1639, store=1639)


def test_spoilage_is_recorded_by_cause(app: Flask, storekeeper: FlaskClient) -> None:
    deliver(app)
    typed = {"item": BLANK, "misprint": "3", "encoding_failure": "2"}
    assert send(storekeeper, f"{HOME}/spoilage", typed).status_code == 303
    assert figures(app) == Effect(received=1000, store=995, spoiled=5)


def test_a_return_needs_its_reason(app: Flask, storekeeper: FlaskClient) -> None:
    deliver(app)
    refused = send(storekeeper, f"{HOME}/returns", {"item": BLANK, "quantity": "10", "note": "  "})
    assert refused.status_code == 422
    assert fields(refused.text)["quantity"] == ["10"]
    typed = {"item": BLANK, "quantity": "10", "note": "wrong series"}
    assert send(storekeeper, f"{HOME}/returns", typed).status_code == 303
    assert figures(app) == Effect(received=1000, sent=10, store=990)


def test_an_entry_is_reversed_and_both_stay_on_the_card(app: Flask, storekeeper: FlaskClient) -> None:
    deliver(app)
    with app.app_context():
        movement = World(app).print(NOW, TODAY, 40).movements[0].id
        db.session.remove()
    reverse = f"/movements/{movement}/reverse"
    assert f'href="{reverse}"' in storekeeper.get(CARD).text
    answer = send(storekeeper, reverse, {"note": "counted twice"})
    assert answer.status_code == 303
    card = storekeeper.get(answer.location).text
    assert "The entry is reversed. 1,000 left." in card
    assert 'class="undone"' in card
    assert "counted twice" in card
    assert f'href="{reverse}"' not in card
    assert figures(app) == Effect(received=1000, store=1000)
    assert "can no longer be reversed" in storekeeper.get(reverse).text


def test_the_stock_card_takes_a_period(app: Flask, storekeeper: FlaskClient) -> None:
    deliver(app)
    assert "470/1" in storekeeper.get(f"{CARD}?from={TODAY}&to={TODAY}").text
    assert "470/1" not in storekeeper.get(f"{CARD}?from=2024-04-01&to=2024-04-30").text
    backwards = storekeeper.get(f"{CARD}?from=2024-04-30&to=2024-04-01")
    assert backwards.status_code == 422
    assert "ends before it begins" in backwards.text
    assert 'value="2024-04-30"' in backwards.text
    assert storekeeper.get(f"{CARD}?from=2020-01-01&to=2024-04-01").status_code == 422
    assert storekeeper.get(f"{CARD}?from=0001-01-01&to=0001-01-02").status_code == 422
    assert storekeeper.get(f"{CARD}?from=yesterday").status_code == 422


# --- what is typed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "typed", "meant"),
    [
        ("en", "1e9", None),
        ("en", "-5", None),
        ("en", "", 0),
        ("en", " 12 ", 12),
        ("en", "١٢", None),
        ("en", "1.639", None),
        ("en", "1,639", 1639),
        ("id", "1e9", None),
        ("id", "-5", None),
        ("id", "", 0),
        ("id", " 12 ", 12),
        ("id", "١٢", None),
        ("id", "1.639", 1639),
        ("id", "1,639", None),
    ],
)
def test_numbers_are_read_as_people_write_them(
    app: Flask, storekeeper: FlaskClient, language: str, typed: str, meant: int | None
) -> None:
    deliver(app, 5000)
    in_language(storekeeper, language)
    answer = send(storekeeper, CONSUMPTION, {"item": BLANK, "new": typed, "lost": "1"})
    if meant is not None:
        assert answer.status_code == 303
        assert figures(app).printed == meant + 1
        return
    assert answer.status_code == 422
    assert figures(app).printed == 0
    kept = fields(answer.text)
    assert kept["new"] == [typed]
    assert kept["lost"] == ["1"]
    assert 'aria-describedby="new-error"' in answer.text
    assert 'id="new-error"' in answer.text


def test_an_empty_required_number_is_asked_for(storekeeper: FlaskClient) -> None:
    answer = send(storekeeper, f"{HOME}/opening", {"item": BLANK, "quantity": " "})
    assert answer.status_code == 422
    assert "Enter a number." in answer.text


def test_a_refused_quantity_keeps_everything_that_was_typed(app: Flask, storekeeper: FlaskClient) -> None:
    deliver(app, 5)
    page = storekeeper.get(CONSUMPTION)
    typed = {**fields(page.text), "item": BLANK, "new": "6", "note": "busy day", "day": str(TODAY)}
    answer = storekeeper.post(CONSUMPTION, data=typed)
    assert answer.status_code == 409
    assert "Not enough: 5 in the store, 6 needed." in answer.text
    kept = fields(answer.text)
    assert (kept["new"], kept["note"], kept["item"]) == (["6"], ["busy day"], [BLANK])
    assert kept["request_id"] == typed["request_id"]
    assert answer.text.count(typed["request_id"][0]) == 1


def test_tomorrow_is_refused_at_its_field(storekeeper: FlaskClient) -> None:
    answer = send(storekeeper, CONSUMPTION, {"item": BLANK, "new": "1", "day": "2024-05-16"})
    assert answer.status_code == 422
    assert "has not come yet" in answer.text
    assert 'aria-describedby="day-error"' in answer.text


@pytest.mark.parametrize("day", ["", "16/05/2024", "0001-01-01", "2024-02-30", "99999-01-01"])
def test_a_day_that_is_none_is_refused(storekeeper: FlaskClient, day: str) -> None:
    answer = send(storekeeper, CONSUMPTION, {"item": BLANK, "new": "1", "day": day})
    assert answer.status_code == 422
    assert 'aria-describedby="day-error"' in answer.text


@pytest.mark.parametrize("item", ["", "no-such-item", "' OR 1=1 --"])
def test_an_item_that_is_none_is_refused(storekeeper: FlaskClient, item: str) -> None:
    assert send(storekeeper, CONSUMPTION, {"item": item, "new": "1"}).status_code == 422


def test_control_characters_and_long_notes_do_no_harm(app: Flask, storekeeper: FlaskClient) -> None:
    deliver(app)
    assert send(storekeeper, CONSUMPTION, {"item": BLANK, "new": "1", "note": "a\x00b"}).status_code == 303
    assert send(storekeeper, CONSUMPTION, {"item": BLANK, "new": "1", "note": "a" * 501}).status_code == 422
    assert storekeeper.get("/offices?q=%00").status_code == 200
    assert storekeeper.get("/offices/%00").status_code == 404
    assert storekeeper.get(f"/movements/{10**30}/reverse").status_code == 404


def test_what_people_write_is_never_markup(app: Flask, storekeeper: FlaskClient) -> None:
    deliver(app)
    send(storekeeper, CONSUMPTION, {"item": BLANK, "new": "1", "note": "<script>alert(1)</script>"})
    assert "<script>alert(1)" not in storekeeper.get(CARD).text
    assert "&lt;script&gt;alert(1)" in storekeeper.get(CARD).text


# --- once and only once --------------------------------------------------------------------------------------------


def test_a_form_sent_twice_posts_once(app: Flask, storekeeper: FlaskClient) -> None:
    deliver(app)
    data: dict[str, Any] = {**fields(storekeeper.get(CONSUMPTION).text), "item": BLANK, "new": "40"}
    assert storekeeper.post(CONSUMPTION, data=data).status_code == 303
    assert "40 ×" in storekeeper.get(HOME).text
    assert storekeeper.post(CONSUMPTION, data=data).status_code == 303
    assert "already recorded" in storekeeper.get(HOME).text
    assert figures(app).printed == 40


def test_a_form_sent_again_with_other_figures_is_refused_and_gets_a_new_id(
    app: Flask, storekeeper: FlaskClient
) -> None:
    deliver(app)
    data: dict[str, Any] = {**fields(storekeeper.get(CONSUMPTION).text), "item": BLANK, "new": "40"}
    storekeeper.post(CONSUMPTION, data=data)
    refused = storekeeper.post(CONSUMPTION, data=data | {"new": "41"})
    assert refused.status_code == 409
    kept = fields(refused.text)
    assert kept["new"] == ["41"]
    assert kept["request_id"] != data["request_id"]
    assert figures(app).printed == 40


def test_a_broken_request_id_is_refused(app: Flask, storekeeper: FlaskClient) -> None:
    deliver(app)
    answer = send(storekeeper, CONSUMPTION, {"item": BLANK, "new": "1", "request_id": "1"})
    assert answer.status_code == 422
    assert len(fields(answer.text)["request_id"][0]) == len(str(uuid4()))
    assert figures(app).printed == 0


def test_a_form_without_its_token_records_nothing(app: Flask, storekeeper: FlaskClient) -> None:
    deliver(app)
    answer = send(storekeeper, CONSUMPTION, {"item": BLANK, "new": "1", "csrf_token": "stale"})
    assert answer.status_code == 400
    assert "Nothing was recorded" in answer.text
    assert f'href="{CONSUMPTION}"' in answer.text
    assert figures(app).printed == 0


# --- who may what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page", ["", "/consumption", "/deliveries", "/deliveries/new", "/balances", f"/stock-card/{BLANK}", "/spoilage"]
)
def test_another_offices_pages_are_refused(storekeeper: FlaskClient, page: str) -> None:
    answer = storekeeper.get(f"/offices/{BADUNG}{page}")
    assert answer.status_code == 403
    assert "Your role does not allow this here." in answer.text


def test_another_offices_forms_are_refused(app: Flask, storekeeper: FlaskClient) -> None:
    data = {"csrf_token": csrf_token(storekeeper, CONSUMPTION), "item": BLANK, "new": "1", "day": str(TODAY)}
    for page in ("consumption", "spoilage", "returns", "opening", "deliveries/new", "settings", "calendar"):
        assert storekeeper.post(f"/offices/{BADUNG}/{page}", data=data).status_code == 403


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("storekeeper", f"{HOME}/today"),
        ("manager", f"{HOME}/balances"),
        ("regional", "/offices/51/balances"),
        ("administrator", "/offices"),
    ],
)
def test_people_land_where_their_work_starts(client: FlaskClient, name: str, start: str) -> None:
    log_in(client, name)
    assert client.get("/").location == start
    assert client.get("/stock").location == start.removesuffix("/today")
    assert client.get(start).status_code == 200


def test_a_page_asks_for_login_and_comes_back(client: FlaskClient) -> None:
    asked = client.get(CONSUMPTION)
    assert asked.status_code == 302
    assert asked.location.startswith("/login?next=")
    answer = log_in_by_form(client, "storekeeper", next_path=CONSUMPTION)
    assert answer.location == CONSUMPTION


@pytest.mark.parametrize("target", ["https://evil.test/", "//evil.test/", "/\\evil.test", "https:evil.test"])
def test_login_and_language_never_lead_off_the_site(client: FlaskClient, target: str) -> None:
    location = log_in_by_form(client, "storekeeper", next_path=target).location or "/"
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))
    if client.get(HOME).status_code != 200:
        log_in_by_form(client, "storekeeper")
    data = {"language": "en", "next": target, "csrf_token": csrf_token(client, "/account")}
    assert client.post("/language", data=data).location == "/"


def test_a_wrong_password_is_refused_and_logging_out_ends_it(client: FlaskClient) -> None:
    wrong = log_in_by_form(client, "storekeeper", password="not the password")
    assert wrong.status_code == 200
    assert 'role="alert"' in wrong.text
    assert client.get(HOME).status_code == 302
    log_in_by_form(client, "storekeeper")
    assert client.get(HOME).status_code == 200
    assert client.get("/logout").status_code == 405
    assert client.post("/logout").status_code == 400
    assert log_out(client).status_code == 302
    assert client.get(HOME).status_code == 302


def test_a_password_is_changed(client: FlaskClient) -> None:
    log_in_by_form(client, "storekeeper")
    new = "sepeda biru di loteng"
    typed = {"password": PASSWORD, "new_password": new, "new_password_confirm": new}
    assert send(client, "/change", typed).status_code == 302
    log_out(client)
    assert log_in_by_form(client, "storekeeper", password=new).status_code == 302


# --- administrators ------------------------------------------------------------------------------------------------


@pytest.fixture
def administrator(client: FlaskClient) -> FlaskClient:
    log_in(client, "administrator")
    in_language(client, "en")
    return client


def test_an_account_is_made_and_shut_out(app: Flask, administrator: FlaskClient) -> None:
    typed = {
        "full_name": "Ni Made",
        "email": "made@denpasar.test",
        "role": "viewer",
        "office": DENPASAR,
        "password": PASSWORD,
    }
    assert send(administrator, "/people/new", typed).status_code == 303
    assert "Ni Made" in administrator.get("/people").text
    assert "Ni Made" in administrator.get("/people?q=ni+made").text
    nobody = administrator.get("/people?q=%25%00")
    assert nobody.status_code == 200
    assert "Ni Made" not in nobody.text
    assert administrator.get("/people?page=99999999999999999999").status_code == 200
    assert send(administrator, "/people/new", typed).status_code == 409
    with app.app_context():
        actor = World(app).actor("administrator")
        made = next(p for p in people.find(actor).people if p.email == "made@denpasar.test")
    data = {"csrf_token": csrf_token(administrator, "/people"), "active": "0"}
    assert administrator.post(f"/people/{made.id}/active", data=data).status_code == 303
    assert "shut out" in administrator.get("/people").text


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        ({"password": "short"}, 422, "at least 15 characters"),
        ({"email": "nobody"}, 422, "Enter an e-mail address"),
        ({"office": "16.09"}, 403, "Your role does not allow this here."),
        ({"office": "99.99"}, 404, "There is no office"),
        ({"full_name": " "}, 422, "required"),
        ({"role": "emperor"}, 422, ""),
    ],
)
def test_a_wrong_account_is_refused(
    administrator: FlaskClient, typed: dict[str, str | list[str]], status: int, said: str
) -> None:
    right = {"full_name": "A", "email": "a@b.test", "role": "viewer", "office": DENPASAR, "password": PASSWORD}
    answer = send(administrator, "/people/new", {**right, **typed})
    assert answer.status_code == status
    assert said in answer.text


def test_an_offices_settings_are_changed(administrator: FlaskClient) -> None:
    path = f"{HOME}/settings"
    typed: dict[str, str | list[str]] = {
        "lead_time_days": "10",
        "review_period_days": "5",
        "service_level": "97.5",
        "working_days": ["0", "1", "2", "3", "4", "5"],
    }
    assert send(administrator, path, typed).status_code == 303
    now = fields(administrator.get(path).text)
    assert (now["lead_time_days"], now["service_level"], len(now["working_days"])) == (["10"], ["97.5"], 6)
    for wrong in ({"service_level": "100"}, {"service_level": "x"}, {"lead_time_days": "-1"}, {"working_days": []}):
        assert send(administrator, path, {**typed, **wrong}).status_code == 422


def test_an_outreach_day_is_added(administrator: FlaskClient) -> None:
    path = f"{HOME}/settings"
    typed = {"day": "2024-06-01", "open": "1", "reason": "SMA Negeri 1"}
    assert send(administrator, path, typed, action=f"{HOME}/calendar").status_code == 303
    assert "SMA Negeri 1" in administrator.get(path).text
    refused = send(administrator, path, typed | {"reason": ""}, action=f"{HOME}/calendar")
    assert refused.status_code == 422
    assert fields(refused.text)["day"] == ["2024-06-01"]


def test_offices_are_found_by_name_and_code(administrator: FlaskClient) -> None:
    assert "Kota Denpasar" in administrator.get("/offices?q=denp").text
    assert "Kabupaten Badung" in administrator.get("/offices?q=51.03").text
    assert "Jayapura" not in administrator.get("/offices?q=").text
    assert "Jayapura</a>" not in administrator.get("/offices?q=jayapura").text


# --- language, errors, headers -------------------------------------------------------------------------------------


def test_the_language_is_kept_with_the_account(app: Flask, client: FlaskClient) -> None:
    assert '<html lang="id">' in client.get("/login").text
    data = {"language": "en", "next": "/login?next=/", "csrf_token": csrf_token(client)}
    assert client.post("/language", data=data).location == "/login?next=/"
    assert '<html lang="en">' in client.get("/login").text
    log_in_by_form(client, "storekeeper")
    assert '<html lang="en">' in client.get(HOME).text
    in_language(client, "id")
    assert '<html lang="id">' in client.get(HOME).text
    elsewhere = app.test_client()
    send(elsewhere, "/login", {"language": "en"}, action="/language")
    log_in_by_form(elsewhere, "storekeeper")
    assert '<html lang="id">' in elsewhere.get(HOME).text
    assert client.post("/language", data={"language": "xx", "csrf_token": csrf_token(client, HOME)}).status_code == 400


def test_errors_have_pages_of_their_own(storekeeper: FlaskClient) -> None:
    missing = storekeeper.get("/no/such/page")
    assert missing.status_code == 404
    assert "There is no such page" in missing.text
    wrong = storekeeper.get(f"{HOME}/calendar")
    assert wrong.status_code == 405
    assert "POST" in wrong.headers["Allow"]
    huge = {"csrf_token": csrf_token(storekeeper, CONSUMPTION), "note": "a" * 10_100_000}
    assert storekeeper.post(CONSUMPTION, data=huge).status_code == 413
    for path in ("/offices/99.99", f"{HOME}/stock-card/none", "/alerts/999", "/movements/999/reverse"):
        assert storekeeper.get(path).status_code == 404


def test_a_broken_database_gets_a_plain_apology(
    tmp_path: Path, make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'empty.sqlite3'}", TESTING=False)
    client = app.test_client()
    answer = client.post("/login", data={"email": "a@b.test", "password": "x", "csrf_token": csrf_token(client)})
    assert answer.status_code == 500
    assert "alert" in answer.text
    assert client.get("/healthz").data == b"ok\n"
    ready = client.get("/readyz")
    assert (ready.status_code, ready.get_json()["status"]) == (503, "not migrated")


def test_a_migrated_database_is_ready(client: FlaskClient) -> None:
    ready = client.get("/readyz")
    assert (ready.status_code, ready.get_json()["status"]) == (200, "ready")


def test_every_answer_has_strict_headers(app: Flask, storekeeper: FlaskClient) -> None:
    for path in (HOME, "/no/such/page", "/login", "/healthz", f"/offices/{BADUNG}"):
        headers = storekeeper.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'; script-src 'self'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "Strict-Transport-Security" not in headers
    with storekeeper.get("/static/blangko.css") as asset:
        assert "no-store" not in asset.headers["Cache-Control"]


def test_production_asks_for_https(database_url: str, make_app: Callable[..., Flask]) -> None:
    client = make_app(database_url, ENV="production").test_client()
    assert "max-age" in client.get("/healthz").headers["Strict-Transport-Security"]


def test_no_page_carries_inline_script_or_style(storekeeper: FlaskClient) -> None:
    for path in (HOME, CONSUMPTION, DELIVERY, CARD, "/alerts", "/login"):
        page = storekeeper.get(path).text
        assert " style=" not in page
        assert "<style" not in page
        assert " onclick" not in page
        assert "<script>" not in page


def test_synthetic_stock_is_labelled(app: Flask, storekeeper: FlaskClient) -> None:
    from inventory.domain.ledger import Kind, Line
    from inventory.services import items, ledger, offices

    deliver(app)
    assert "Synthetic data" not in storekeeper.get(HOME).text
    with app.app_context():
        actor = World(app).storekeeper
        office = offices.get(actor, offices.Action.VIEW_STOCK, DENPASAR)
        line = Line(
            office_id=office.id,
            item_id=items.get(BLANK).id,
            kind=Kind.PRINT,
            reason="new",
            quantity=1,
            effective_on=TODAY,
        )
        ledger.post(actor, NOW, uuid4(), [line], origin="synthetic")
    for path in (HOME, f"{HOME}/balances", CARD):
        assert "Synthetic data" in storekeeper.get(path).text, path


def test_accounts_of_the_small_world_are_all_let_in(app: Flask) -> None:
    for name in PEOPLE:
        client = app.test_client()
        assert log_in_by_form(client, name).status_code == 302


def test_tests_let_people_in_as_the_form_does(app: Flask) -> None:
    def session_after(enter: Callable[[FlaskClient, str], object]) -> dict[str, Any]:
        client = app.test_client()
        enter(client, "storekeeper")
        assert client.get(HOME).status_code == 200
        with client.session_transaction() as session:
            assert abs(session.pop("fs_paa") - time.time()) < 60
            session.pop("csrf_token")  # of the page that was read
            assert len(session.pop("login")) > 40  # chance
            return dict(session)

    assert session_after(log_in) == session_after(log_in_by_form)
