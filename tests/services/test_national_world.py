"""A made-up country: whole, in the books as everything else, and taken up where it was interrupted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.errors import Refusal
from inventory.models import Balance, Delivery, Movement, Office
from inventory.services import national_world, offices
from inventory.services.national_world import Told
from tests.concurrent import audit
from tests.conftest import NOW
from tests.world import World

DAYS = 45


@pytest.fixture(autouse=True)
def small(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One province, in batches of three offices."""
    if db.engine.dialect.name == "sqlite":
        pytest.skip("a country is for PostgreSQL")
    rows = [row for row in offices.official_list() if row["code"] == "51" or row["code"][:5] in ("51.03", "51.71")]
    monkeypatch.setattr(offices, "official_list", lambda: rows)
    monkeypatch.setattr(national_world, "AT_ONCE", 3)


def fill(days: int = DAYS, seed: int = 7, progress: Callable[[Told], None] = lambda _: None, **more: Any) -> Told:
    return national_world.fill(SYSTEM, more.pop("now", NOW), days=days, seed=seed, progress=progress, **more)


def movements() -> list[tuple[Any, ...]]:
    columns = (
        Movement.office_id,
        Movement.item_id,
        Movement.seq,
        Movement.kind,
        Movement.quantity,
        Movement.effective_on,
    )
    return [tuple(row) for row in db.session.execute(select(*columns, Movement.origin).order_by(*columns[:3]))]


def test_every_office_has_a_history_that_keeps_the_law(world: World) -> None:
    told = fill()
    with_stock = set(db.session.scalars(select(Balance.office_id).where(Balance.last_seq > 0)))
    assert with_stock == set(db.session.scalars(select(Office.id).where(Office.parent_id.is_not(None))))
    assert told.offices == told.of == len(with_stock)
    assert told.movements == len(movements()) > 20 * told.offices
    assert {row[-1] for row in movements()} == {"synthetic"}
    assert db.session.scalar(select(func.count()).select_from(Office).where(Office.kind == "outreach")) == 1
    supplied = select(func.sum(Movement.quantity)).where(Movement.kind == "receipt", Movement.reason != "opening")
    assert db.session.scalar(supplied) == db.session.scalar(select(func.sum(Delivery.received)))
    audit()


def test_an_interrupted_country_goes_on_where_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_told = fill(only=14)
    whole = movements()
    _empty()

    def stop(told: Told) -> None:
        if told.offices >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill(only=14, progress=stop)
    with monkeypatch.context() as patch:
        patch.setattr(national_world, "_deliveries", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fill(only=14)
    told = fill(only=14, now=NOW + timedelta(days=3))
    assert told.offices == whole_told.offices == 14
    assert 0 < told.movements < whole_told.movements
    assert movements() == whole
    assert fill(only=14).movements == 0
    audit()


def test_a_region_alone_has_the_history_that_it_has_in_the_country(world: World) -> None:
    fill()
    codes = select(Office.id).where(Office.code.like("51.71%"))
    of_region = set(db.session.scalars(codes))
    in_country = [row for row in movements() if row[0] in of_region]
    _empty()
    told = fill(region="51.71")
    assert told.offices == len(of_region) > 1
    assert movements() == in_country
    with pytest.raises(Refusal, match="demo_unfinished"):
        fill(only=told.offices)
    audit()


def _empty() -> None:
    """As before: the tables belong to this test, and triggers are not what it is about."""
    connection = db.session.connection()
    connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
    for table in ("movements", "daily_totals", "stock_checks", "balances", "deliveries"):
        connection.exec_driver_sql(f"DELETE FROM {table}")
    db.session.commit()


def test_another_country_or_real_books_are_left_alone(world: World) -> None:
    fill(only=5)
    for wrong in ({"seed": 8, "only": 5}, {"days": DAYS + 1, "only": 5}, {"only": 6}):
        with pytest.raises(Refusal, match="demo_unfinished"):
            fill(**wrong)  # pyright: ignore[reportArgumentType]
    world.deliver(NOW, NOW.date(), 5)
    with pytest.raises(Refusal, match="demo_on_real_data"):
        fill(only=5)
