"""The benchmark of the nightly review: its country is in the tables as the ledger would have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from flask import Flask
from psycopg import sql

from inventory.bench.projection import review, worlds
from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.services import reviews

STOCKS = 40


@pytest.fixture
def empty_database(postgres_url: str) -> Iterator[str]:
    name = f"blangko_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield postgres_url.rsplit("/", 1)[0] + "/" + name
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_what_comes_lasts_until_each_stock_out() -> None:
    world = worlds.make(3, 60, review.DAYS)
    received, printed = review.receipts(world), world.printed[:, : review.DAYS]
    store = np.cumsum(received - printed, axis=1)
    assert (store >= 0).all()
    out = world.stocked_out[:, : review.DAYS]
    assert out.any()
    assert (store[out] == 0).all(), "nothing is left while the stock is out"


def test_a_days_prints_are_split_and_nobody_is_lost() -> None:
    printed, waited = np.array([0, 1, 7, 100, 3]), np.array([0, 1, 2, 90, 0])
    parts = list(review._by_reason(printed, waited, review.MIXES["ktp-wni"]))
    assert [reason for reason, _, _ in parts] == ["new", "damaged", "lost"]
    np.testing.assert_array_equal(sum(quantity for _, quantity, _ in parts), printed)
    np.testing.assert_array_equal(sum(served for _, _, served in parts), waited)
    assert all((served <= quantity).all() and (quantity >= 0).all() for _, quantity, served in parts)


@pytest.mark.slow
def test_the_review_runs_on_it_and_is_measured(empty_database: str, make_app: Callable[..., Flask]) -> None:
    app = make_app(empty_database)
    with app.app_context():
        figures = {each.figure.rpartition(", ")[2]: each for each in review.measure_here(STOCKS)}
        ratio = figures["wall time / projection alone in memory"]
        assert (ratio.must, ratio.aim, ratio.at_most) == (4, 2, True)
        assert ratio.value > 1
        assert figures["seconds"].value > 0
        _, found = reviews.review(SYSTEM, lambda: review.NOW.replace(hour=4), "test")
        assert len(found) == STOCKS
        assert sum(each.projection.facts["enough"] for each in found) > STOCKS * 0.9
        assert {"out", "ok"} < {each.level.value for each in found}
        missing = db.session.connection().exec_driver_sql("""
            SELECT count(*) FROM balances b WHERE store <> (
                SELECT sum(CASE kind WHEN 'print' THEN -quantity ELSE quantity END) FROM daily_totals d
                WHERE d.office_id = b.office_id AND d.item_id = b.item_id)
        """)
        assert missing.scalar_one() == 0
        with pytest.raises(RuntimeError, match="not empty"):
            review.measure_here(STOCKS)
        db.session.remove()


def test_another_kind_of_database_is_left_alone(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    with (
        make_app(f"sqlite:///{tmp_path}/blangko.sqlite3").app_context(),
        pytest.raises(RuntimeError, match="PostgreSQL"),
    ):
        review.measure_here(STOCKS)
