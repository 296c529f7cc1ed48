"""An alert's page: who is in charge, what people do, refused forms that keep what was typed, and one history of all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.services import alerts
from tests.conftest import TODAY
from tests.services.test_cases import low_case
from tests.web.client import fields, in_language, log_in, send
from tests.world import World


@pytest.fixture
def page(app: Flask) -> str:
    with app.app_context():
        alert_id = low_case(World(app))
        db.session.remove()
    return f"/alerts/{alert_id}"


def client_of(app: Flask, name: str, language: str = "en") -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    in_language(client, language)
    return client


def act(client: FlaskClient, page: str, name: str, typed: dict[str, str]) -> TestResponse:
    """Send one of the forms of an alert's page."""
    return send(client, page, dict(typed), action=f"{page}/{name}")


def text_of(client: FlaskClient, page: str) -> str:
    return client.get(page).get_data(as_text=True)


def test_a_manager_takes_it_through_all_its_states(app: Flask, page: str) -> None:
    client = client_of(app, "manager")
    assert "Waits for somebody" in text_of(client, page)
    assert act(client, page, "seen", {}).status_code == 303
    with app.app_context():
        manager = World(app).actor("manager").person_id
        db.session.remove()
    assert act(client, page, "owner", {"person": str(manager)}).status_code == 303
    until = str(TODAY + timedelta(days=3))
    assert act(client, page, "snooze", {"until": until, "level": "out"}).status_code == 303
    assert act(client, page, "comment", {"remark": "Diambil <besok>"}).status_code == 303
    put_off = text_of(client, page)
    assert "Put off: due again on May 18, 2024, at the level: Out of stock" in " ".join(put_off.split())
    assert "Diambil &lt;besok&gt;" in put_off
    assert "In charge: Manager" in put_off
    assert act(client, page, "resolve", {"done": "ordered", "words": ""}).status_code == 303
    closed = text_of(client, page)
    assert "Resolved: Blanks ordered" in closed
    assert f'action="{page}/resolve"' not in closed
    assert f'action="{page}/comment"' in closed
    with app.app_context():
        detail = alerts.get(SYSTEM, int(page.rpartition("/")[2]))
        assert [each.kind for each in detail.events][::-1] == [
            "level",
            "acknowledged",
            "owner",
            "snoozed",
            "comment",
            "resolved",
        ]
        assert {each.by for each in detail.events if each.kind != "level"} == {"Manager"}


def test_a_refused_form_is_shown_again_with_what_was_typed(app: Flask, page: str) -> None:
    client = client_of(app, "manager")
    refused = act(client, page, "resolve", {"done": "other", "words": " "})
    assert refused.status_code == 422
    shown = refused.get_data(as_text=True)
    assert "Write down what was done." in shown
    assert '<option selected value="other">' in shown
    assert "<details open>" in shown
    early = act(client, page, "snooze", {"until": str(TODAY), "level": ""})
    assert (early.status_code, "Choose a day after today." in early.get_data(as_text=True)) == (422, True)
    assert f'value="{TODAY}"' in early.get_data(as_text=True)
    better = act(client, page, "snooze", {"until": "", "level": "watch"})
    assert better.status_code == 422, "a level that is no worse is not offered"


def test_a_form_sent_twice_does_it_once_and_a_second_page_is_told(app: Flask, page: str) -> None:
    client = client_of(app, "manager")
    typed = {"request_id": "5f9c3a4e-6d1b-4a52-9e3a-0b1f9d2c7a11", "remark": "Sekali"}
    for _ in range(2):
        assert act(client, page, "comment", typed).status_code == 303
    assert text_of(client, page).count("Sekali") == 1
    assert act(client, page, "seen", {}).status_code == 303
    again = act(client, page, "seen", {})
    assert again.status_code == 409
    assert "Somebody has marked this alert as seen already." in again.get_data(as_text=True)


@pytest.mark.parametrize("name", ["storekeeper", "regional"])
def test_who_only_looks_sees_the_history_and_no_form(app: Flask, page: str, name: str) -> None:
    manager = client_of(app, "manager")
    act(manager, page, "comment", {"remark": "Menunggu provinsi"})
    client = client_of(app, name)
    shown = text_of(client, page)
    assert "Menunggu provinsi" in shown
    assert f'action="{page}/' not in shown
    assert client.post(f"{page}/comment", data={"remark": "x"}).status_code in (400, 403)


def test_the_page_speaks_indonesian(app: Flask, page: str) -> None:
    client = client_of(app, "manager", "id")
    act(client, page, "seen", {})
    shown = text_of(client, page)
    for words in ("Sudah dilihat", "Penanggung jawab", "Riwayat peringatan ini", "Tunda", "Blangko dipesan"):
        assert words in shown, words


def test_a_form_that_comes_too_late_and_wrong_is_shown_again_alone(app: Flask, page: str) -> None:
    """Somebody else has resolved the case meanwhile: the page has no other form any more."""
    client = client_of(app, "manager")
    late = {name: {**fields(text_of(client, page))} for name in ("resolve", "owner", "snooze")}
    assert act(client, page, "resolve", {"done": "ordered", "words": ""}).status_code == 303
    for name, wrong in (("resolve", {"done": "magic"}), ("owner", {"person": "x"}), ("snooze", {"until": "soon"})):
        refused = client.post(f"{page}/{name}", data=late[name] | wrong)
        assert refused.status_code in (409, 422)
        assert f'action="{page}/{name}"' in refused.text
