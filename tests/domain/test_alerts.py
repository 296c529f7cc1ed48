"""Levels of an alert, and how they are left again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.alerts import SEVERITY, Level, Reading, measured_level, next_level

SAFE = Reading(
    store=1000, usable=1000, inbound=0, known=True, reorder_point=300.0, order_up_to=500.0, stockout_in_lead=0.0
)


def at(position: int, *, probability: float = 0.0, store: int = 1000, known: bool = True, inbound: int = 0) -> Reading:
    return replace(
        SAFE,
        store=store,
        usable=position - inbound,
        inbound=inbound,
        stockout_in_lead=probability,
        known=known,
    )


def test_severity_runs_from_ok_to_out() -> None:
    assert sorted(Level, key=SEVERITY.__getitem__) == [
        Level.OK,
        Level.UNKNOWN,
        Level.WATCH,
        Level.LOW,
        Level.CRITICAL,
        Level.OUT,
    ]


@pytest.mark.parametrize(
    ("reading", "level"),
    [
        (at(1000), Level.OK),
        (at(500), Level.OK),
        (at(499), Level.WATCH),
        (at(300), Level.WATCH),
        (at(299), Level.LOW),
        (at(0), Level.LOW),
        (at(-50), Level.LOW),
        (at(1000, probability=0.49), Level.OK),
        (at(1000, probability=0.5), Level.CRITICAL),
        (at(299, probability=0.5), Level.CRITICAL),
        (at(1000, probability=1.0), Level.CRITICAL),
        (at(1000, store=0), Level.OUT),
        (at(1000, store=-1), Level.OUT),
        (at(0, store=1), Level.LOW),
    ],
)
def test_a_level_is_what_the_numbers_say(reading: Reading, level: Level) -> None:
    assert measured_level(reading) is level


def test_what_is_on_its_way_counts_for_the_thresholds() -> None:
    assert measured_level(at(500, inbound=400)) is Level.OK
    assert measured_level(at(499, inbound=400)) is Level.WATCH


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("previous", list(Level))
def test_an_empty_store_is_out_whatever_else_is_known(previous: Level, known: bool) -> None:
    assert next_level(previous, at(900, store=0, inbound=900, known=known)) is Level.OUT


@pytest.mark.parametrize("previous", list(Level))
def test_not_enough_data_is_never_ok(previous: Level) -> None:
    assert next_level(previous, at(10**6, known=False)) is Level.UNKNOWN
    assert measured_level(at(10**6, known=False)) is Level.UNKNOWN


@pytest.mark.parametrize(
    ("previous", "reading", "level"),
    [
        (Level.OK, at(499), Level.WATCH),
        (Level.OK, at(299), Level.LOW),
        (Level.WATCH, at(299), Level.LOW),
        (Level.OK, at(1000, probability=0.5), Level.CRITICAL),
        (Level.LOW, at(299, probability=0.5), Level.CRITICAL),
        (Level.CRITICAL, at(0, store=0), Level.OUT),
        (Level.UNKNOWN, at(299), Level.LOW),
        (Level.UNKNOWN, at(1000), Level.OK),
        (Level.UNKNOWN, at(510), Level.OK),
    ],
)
def test_a_worse_level_comes_at_once(previous: Level, reading: Reading, level: Level) -> None:
    assert next_level(previous, reading) is level


@pytest.mark.parametrize(
    ("previous", "reading", "level"),
    [
        (Level.WATCH, at(500), Level.WATCH),
        (Level.WATCH, at(649), Level.WATCH),
        (Level.WATCH, at(651), Level.OK),
        (Level.LOW, at(300), Level.LOW),
        (Level.LOW, at(389), Level.LOW),
        (Level.LOW, at(391), Level.WATCH),
        (Level.LOW, at(649), Level.WATCH),
        (Level.LOW, at(651), Level.OK),
        (Level.CRITICAL, at(600, probability=0.49), Level.CRITICAL),
        (Level.CRITICAL, at(660, probability=0.35), Level.CRITICAL),
        (Level.CRITICAL, at(660, probability=0.34), Level.OK),
        (Level.CRITICAL, at(380, probability=0.34), Level.LOW),
        (Level.CRITICAL, at(400, probability=0.34), Level.WATCH),
        (Level.OUT, at(1000, probability=0.0), Level.OK),
        (Level.OUT, at(299, probability=0.0, store=1), Level.LOW),
        (Level.OUT, at(1, probability=0.9, store=1), Level.CRITICAL),
    ],
)
def test_a_better_level_comes_only_well_past_its_threshold(previous: Level, reading: Reading, level: Level) -> None:
    assert next_level(previous, reading) is level


@pytest.mark.parametrize(("position", "level"), [(349, Level.LOW), (350, Level.WATCH)])
def test_what_was_ordered_as_suggested_relieves(position: int, level: Level) -> None:
    """Where an office asks often, what it orders up to is not far above its reorder point."""
    assert next_level(Level.LOW, replace(at(position), order_up_to=350.0)) is level


readings = st.builds(
    Reading,
    store=st.integers(-1, 5),
    usable=st.integers(-50, 700),
    inbound=st.integers(0, 200),
    known=st.booleans(),
    reorder_point=st.floats(0, 300),
    order_up_to=st.floats(300, 500),
    stockout_in_lead=st.floats(0, 1),
)


@given(st.sampled_from(list(Level)), readings)
def test_a_level_is_never_better_than_the_numbers_say(previous: Level, reading: Reading) -> None:
    assert SEVERITY[next_level(previous, reading)] >= SEVERITY[measured_level(reading)]


@given(st.sampled_from(list(Level)), readings)
def test_the_same_numbers_again_change_nothing(previous: Level, reading: Reading) -> None:
    level = next_level(previous, reading)
    assert next_level(level, reading) is level


@given(st.sampled_from([level for level in Level if level is not Level.UNKNOWN]), readings)
def test_a_level_that_is_not_worse_is_never_raised_by_the_waiting(previous: Level, reading: Reading) -> None:
    measured, level = measured_level(reading), next_level(previous, reading)
    assert SEVERITY[level] <= max(SEVERITY[previous], SEVERITY[measured])
