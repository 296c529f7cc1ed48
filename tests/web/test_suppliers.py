"""Suppliers, lots and printable cards as the pages tell them, on both databases."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.services import alerts, deliveries, reviews, stated_rates
from inventory.services.deliveries import Counted, Paper
from tests.conftest import NOW, TODAY
from tests.web.client import fields, in_language, log_in
from tests.world import BLANK, DENPASAR, World

HOME = f"/offices/{DENPASAR}"
PAGE = f"{HOME}/suppliers"


@pytest.fixture
def storekeeper(app: Flask) -> FlaskClient:
    client = app.test_client()
    log_in(client, "storekeeper")
    in_language(client, "en")
    return client


def granted(world: World, quantity: int, asked: int) -> None:
    paper = Paper(
        bast_number=f"470/{quantity}",
        bast_on=TODAY,
        received_on=TODAY,
        funding_source="apbd",
        supplier="Pemerintah Provinsi",
    )
    counted = {BLANK: Counted(received=quantity, asked=asked)}
    deliveries.record_many(world.storekeeper, NOW, uuid4(), DENPASAR, paper, counted)


def test_a_suppliers_months_are_listed_for_a_period(app: Flask, storekeeper: FlaskClient) -> None:
    assert "Nothing was delivered in this period." in storekeeper.get(PAGE).text
    with app.app_context():
        granted(World(app), 2_000, 10_000)
        db.session.remove()
    shown = storekeeper.get(PAGE).text
    assert "<h2>Pemerintah Provinsi</h2>" in shown
    row = shown.partition('<th scope="row">May 2024</th>')[2].partition("</tr>")[0]
    for figure in ("1", "10,000", "2,000", "20 %", "–"):
        assert f'<td class="number">{figure}</td>' in row
    assert fields(shown)["to"] == [str(TODAY)]
    before = storekeeper.get(f"{PAGE}?from=2023-01-01&to={TODAY - timedelta(days=1)}")
    assert "Nothing was delivered in this period." in before.text
    backwards = storekeeper.get(f"{PAGE}?from=2024-04-30&to=2024-04-01")
    assert backwards.status_code == 422
    assert fields(backwards.text)["from"] == ["2024-04-30"]
    assert storekeeper.get(f"{PAGE}?from=2020-01-01&to={TODAY}").status_code == 422
    assert storekeeper.get(f"{PAGE}?from=yesterday").status_code == 422


def test_what_is_left_of_a_grant_is_told(app: Flask, storekeeper: FlaskClient) -> None:
    with app.app_context():
        world = World(app)
        world.deliver(NOW, TODAY, 1_000)
        granted(world, 100, 100)
        world.print(NOW, TODAY, 40)
        db.session.remove()
    assert "Of these, from a regional grant: 60." in storekeeper.get(HOME).text
    listed = storekeeper.get(f"{HOME}/deliveries").text
    for left in ("60", "1,000"):
        assert f'<td class="number">{left}</td>' in listed


def test_what_stops_the_printing_is_named_with_its_day(app: Flask, storekeeper: FlaskClient) -> None:
    with app.app_context():
        world = World(app)
        world.deliver(NOW, TODAY, 2_400)
        world.ask(NOW, TODAY, 700)
        deliveries.record_opening(SYSTEM, NOW, uuid4(), DENPASAR, "film", TODAY, 1, "")
        stated_rates.state(SYSTEM, NOW, DENPASAR, BLANK, 500, "a newspaper")
        reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
        alert = next(each for each in alerts.open_alerts(SYSTEM) if each.item_code == BLANK)
        db.session.remove()
    home = storekeeper.get(HOME).text
    assert "Printable cards: 1,500, limited by Film." in home
    assert "Not recorded: Ribbon." in home
    assert "Film runs out before: about May 20, 2024." in home
    shown = storekeeper.get(f"/alerts/{alert.id}").text
    assert "Film runs out before, on about May 20, 2024" in shown
    assert "700 are on order and yet to come." in shown
