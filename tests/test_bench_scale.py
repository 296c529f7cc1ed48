"""The benchmarks of bulks and of a country: what they measure is there, and the figures have their limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from psycopg import sql

from inventory.bench import bulk, scale
from inventory.services import national_world
from tests import postgres
from tests.conftest import NOW

pytestmark = pytest.mark.slow


@pytest.fixture
def empty_app(postgres_url: str, make_app: Callable[..., Flask]) -> Iterator[Flask]:
    name = f"blangko_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield make_app(postgres.database(postgres_url, name))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_the_bulk_path_is_measured_beside_a_bare_copy(empty_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "ROUNDS", 1)
    with empty_app.app_context():
        figures = bulk.measure_here(3)
    assert (figures[0].must, figures[0].aim, figures[0].at_most) == (0.35, 0.6, False)
    assert all(figure.value > 0 for figure in figures)
    assert "190 movements" in figures[0].figure


def test_posts_and_pages_of_a_made_up_country_are_measured(empty_app: Flask) -> None:
    with empty_app.app_context():
        (largest,) = scale.measure_fill(NOW, 40, scale.PROVINCE)
        assert len(largest.figure.split(",")) == largest.value == 12
        before = national_world.movements()
        figures = {
            each.figure: each.value for each in scale.measure_latency(empty_app, NOW, 3, largest.figure.split(","))
        }
        assert national_world.movements() == before + 12 + 3, "at each office once before those that count"
        of_country = {each.figure: each.value for each in scale.measure_latency(empty_app, NOW, 3, [])}
    assert figures.pop("movements") == before
    assert of_country.pop("movements") == before + 12 + 3
    assert len(figures) == 9
    assert len(of_country) == 7
    assert all(value > 0 for value in (figures | of_country).values())


def test_a_list_that_grows_with_its_cases_says_how_many_and_has_no_limit() -> None:
    taken = {
        "movements": [[10.0], [1_000.0]],
        "open cases": [[40.0], [80.0]],
        "a post": [[2.0, 4.0, 3.0], [3.0, 3.0, 9.0]],
        scale.WHOLE_LIST: [[5.0], [10.0]],
    }
    post, whole = scale._ratios(taken, "of five days")
    assert (post.figure, post.value, post.must) == ("p99 of a post, at 1,000 movements / at 10 of five days", 1.0, 1.3)
    assert (whole.figure, whole.value) == ("p99 of all that the country has to decide, 80 cases / 40", 2.0)
    assert (whole.must, whole.met) == (None, True)


def test_a_balance_of_long_ago_is_measured(empty_app: Flask) -> None:
    with empty_app.app_context():
        (figure,) = scale.measure_past(NOW, 400)
    assert (figure.must, figure.aim, figure.at_most) == (4, 2, True)
    assert figure.value > 0
