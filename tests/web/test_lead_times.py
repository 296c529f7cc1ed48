"""What an office waited for its deliveries, where its setting is chosen and its suppliers are shown."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask

from inventory.db import db
from tests.conftest import NOW
from tests.services.test_lead_times import MONDAY, delivered
from tests.web.client import in_language, log_in
from tests.world import DENPASAR, World

SETTINGS, SUPPLIERS = f"/offices/{DENPASAR}/settings", f"/offices/{DENPASAR}/suppliers"


def test_the_last_deliveries_are_told_beside_the_setting_and_the_suppliers(app: Flask) -> None:
    client = app.test_client()
    other = app.test_client()
    log_in(client, "administrator")
    log_in(other, "storekeeper")
    for each in (client, other):
        in_language(each, "en")
    assert "the next one is expected" not in client.get(SETTINGS).text
    assert "the next one is expected" not in other.get(SUPPLIERS).text
    with app.app_context():
        delivered(World(app), MONDAY, MONDAY + timedelta(days=1))
        db.session.remove()
    assert "The last delivery took 1 working days." in client.get(SETTINGS).text
    with app.app_context():
        delivered(World(app), MONDAY, MONDAY + timedelta(days=14), MONDAY + timedelta(days=15))
        World(app).ask(NOW, MONDAY, 500)
        db.session.remove()
    for shown in (client.get(SETTINGS).text, other.get(SUPPLIERS).text):
        assert "The last 2 deliveries took 1 to 9 working days, 5 on average." in shown
        assert "1 open request has been waiting for longer than usual." in shown
        assert "Together with the setting of 14 working days" in shown
