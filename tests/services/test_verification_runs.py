"""The nightly verification, and what managers read of it."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import pytest
from flask import Flask
from sqlalchemy import text

from inventory.db import db
from inventory.domain.errors import NotAllowed
from inventory.domain.schedules import DailyAt
from inventory.services import verification
from inventory.services.runs import RunView
from tests.conftest import NOW, TODAY
from tests.services.test_verification import write_past_the_ledger
from tests.web.client import in_language, log_in
from tests.world import World

NIGHTLY = DailyAt(time(1, 30), "Asia/Makassar")


def run(now: datetime) -> RunView | None:
    return verification.verify_slot(NIGHTLY.latest_slot(now), NIGHTLY, lambda: now, "test")


def test_managers_see_the_last_check_and_the_last_good_one(world: World) -> None:
    manager = world.actor("manager")
    assert verification.last_runs(manager) == (None, None)
    world.deliver(NOW, TODAY, 100)
    world.print(NOW, TODAY, 25)
    first = run(NOW)
    assert first is not None
    assert (first.status, first.counts["movements"], first.counts["faults"]) == ("done", 2, 0)
    assert run(NOW + timedelta(minutes=5)) is None, "the slot is taken"
    write_past_the_ledger(world.app, "UPDATE movements SET quantity = 24 WHERE kind = 'print'")
    second = run(NOW + timedelta(days=1))
    assert second is not None
    assert second.counts["faults"] > 0
    assert verification.last_runs(manager) == (second, first)
    with pytest.raises(NotAllowed):
        verification.last_runs(world.storekeeper)
    db.session.rollback()
    assert db.session.scalar(text("SELECT quantity FROM movements WHERE kind = 'print'")) == 24, "nothing is repaired"


def test_the_page_says_what_the_last_check_found(app: Flask) -> None:
    with app.app_context():
        World(app).deliver(NOW, TODAY, 100)
        run(NOW)
        db.session.remove()
    client = app.test_client()
    log_in(client, "manager")
    in_language(client, "en")
    page = client.get("/jobs/verification").text
    assert "The books agree." in page
    assert "1 movements" in page
    with app.app_context():
        write_past_the_ledger(app, "UPDATE movements SET quantity = 24")
        run(NOW + timedelta(days=1))
        db.session.remove()
    page = client.get("/jobs/verification").text
    assert "The books do not agree." in page
    said = "The last check that found nothing wrong: May 15, 2024 "
    assert f"{said}11:00 WITA." in page or f"{said}10:00 WIB" in page
    assert "its movements say 24" in page
