"""Many stocks at once: the same as few at a time and on one core, to the bit or to a billionth."""

from dataclasses import fields, replace
from time import sleep

import numpy as np
import pytest

from inventory.bench.projection import worlds
from inventory.domain.demand import Ahead, Seasons, Settings, arrays, project
from inventory.domain.demand.arrays import by_chunk
from inventory.domain.demand.bursts import FEWEST_OF_A_LEVEL, NEIGHBOURS, _new_level
from inventory.domain.demand.local import _times, _weekly
from inventory.domain.demand.profile import Profile
from tests.domain.worlds import plain_horizon, plain_position

STOCKS, DAYS = 240, 300
WORLD = worlds.make(5, STOCKS, DAYS)


def projected(chunk, world=WORLD):
    """Offices of four pools, a few of which came lately, ran out or are closed for good."""
    history, chance = world.history(), np.random.default_rng(2)
    known = history.known & (np.arange(DAYS) >= chance.choice([0, 0, 0, 180, 280], STOCKS)[:, None])
    history = replace(history, known=known, group=np.arange(STOCKS) % 4, family=np.arange(STOCKS) % 9)
    position = replace(plain_position(STOCKS), store=chance.integers(0, 3_000, STOCKS))
    opened = Ahead(world.open[:, world.days :])
    return project(
        history, opened, plain_horizon(STOCKS), position, seasons=world.seasons(), settings=Settings(chunk=chunk)
    )


def assert_same(one, other, tolerance):
    for field in fields(one):
        if field.name != "probabilities":
            np.testing.assert_allclose(
                getattr(one, field.name), getattr(other, field.name), rtol=tolerance, atol=tolerance, err_msg=field.name
            )


def test_hundreds_together_are_what_they_are_a_few_at_a_time():
    assert_same(projected(chunk=20), projected(chunk=1_000), 1e-9)


def test_how_many_cores_there_are_changes_no_bit(monkeypatch):
    monkeypatch.setattr(arrays, "CORES", 1)
    alone = projected(chunk=25)
    monkeypatch.setattr(arrays, "CORES", 4)
    assert_same(projected(chunk=25), alone, 0.0)


@pytest.mark.parametrize("cores", [1, 4])
def test_an_error_in_one_chunk_ends_them_all(monkeypatch, cores):
    monkeypatch.setattr(arrays, "CORES", cores)
    done = []

    def work(rows):
        if rows.start == 20:
            raise RuntimeError("no memory")
        sleep(0.001)
        done.append(rows.start)

    with pytest.raises(RuntimeError, match="no memory"):
        by_chunk(work, 10_000, 10)
    assert len(done) < 500, "what had not begun is left"
    assert by_chunk(lambda rows: rows.stop, 35, 10) == [10, 20, 30, 35]
    assert by_chunk(lambda rows: rows.stop, 0, 10) == [0]


@pytest.mark.parametrize("seed", range(20))
def test_a_new_level_is_counted_day_by_day(seed):
    chance = np.random.default_rng(seed)
    rows, days = 12, int(chance.integers(1, 90))
    usable = chance.random((rows, days)) < 0.7
    out = usable & (chance.random((rows, days)) < chance.random((rows, 1)))
    is_high = out & (chance.random((rows, days)) < 0.8)
    row, column = np.nonzero(out)
    expected = []
    for r, c in zip(row, column, strict=True):
        around = slice(max(c - NEIGHBOURS, 0), c + NEIGHBOURS + 1)
        high = is_high[r, around].sum()
        expected.append(high >= FEWEST_OF_A_LEVEL and 2 * high >= usable[r, around].sum())
    assert _new_level(row, column, is_high[row, column], usable).tolist() == expected


@pytest.mark.parametrize("days", [1, 6, 7, 8, 730])
def test_weeks_are_summed_and_the_last_may_be_short(days):
    values = np.random.default_rng(1).random((5, days))
    expected = [values[:, start : start + 7].sum(axis=1) for start in range(0, days, 7)]
    np.testing.assert_allclose(_weekly(values), np.transpose(expected))


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 40])
def test_a_product_in_blocks_is_the_product(rows):
    chance = np.random.default_rng(1)
    left, square = chance.random((rows, 30)), chance.random((30, 30))
    np.testing.assert_allclose(_times(left, square), left @ square)


def test_seasons_that_are_everybodys_count_like_each_offices_own():
    chance = np.random.default_rng(4)
    made = Profile(chance.random((6, 7)), chance.random(6), chance.random((6, 4)))
    labels = chance.integers(0, 4, 100)
    everybodys, own = np.broadcast_to(labels, (6, 100)), np.tile(labels, (6, 1))
    opened, after = chance.random((6, 100)) < 0.7, chance.random((6, 100)) < 0.1
    row, column = np.nonzero(after)
    found = made.exposure(slice(0, 6), opened, (row, column), everybodys, 3)
    np.testing.assert_array_equal(found, made.exposure(slice(0, 6), opened, (row, column), own, 3))
    for office in range(6):
        for day in range(100):
            factor = (made.after_closure[office] if after[office, day] else 1.0) * made.season[office, labels[day]]
            weekday = made.weekday[office, (3 + day) % 7]
            assert found[office, day] == (weekday * factor if opened[office, day] else 0.0)
    with pytest.raises(ValueError, match="season"):
        Seasons(np.array([[2]]), np.array([[0]]), np.array([1.0]))
