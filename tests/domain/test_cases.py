"""How a case sleeps, wakes, wants a new look and ends."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from inventory.domain.alerts import Level
from inventory.domain.cases import ALLOWED, Act, Event, Snooze, State, lapsing, state_of, wakes, wants_new_look

TODAY = date(2024, 5, 15)


def test_every_act_has_its_states() -> None:
    assert set(ALLOWED) == set(Act)
    assert set.union(*(set(states) for states in ALLOWED.values())) == set(State)


@pytest.mark.parametrize(
    ("resolved", "snoozed", "acknowledged", "state"),
    [
        (False, False, False, "waiting"),
        (False, False, True, "acknowledged"),
        (False, True, False, "snoozed"),
        (False, True, True, "snoozed"),
        (True, False, False, "resolved"),
        (True, False, True, "resolved"),
    ],
)
def test_the_state_of_a_case(resolved: bool, snoozed: bool, acknowledged: bool, state: str) -> None:
    assert state_of(resolved=resolved, snoozed=snoozed, acknowledged=acknowledged) == state


@pytest.mark.parametrize(
    ("until", "named", "level", "awake"),
    [
        (TODAY + timedelta(days=1), None, Level.OUT, False),
        (TODAY, None, Level.WATCH, True),
        (TODAY - timedelta(days=1), None, Level.WATCH, True),
        (None, Level.CRITICAL, Level.LOW, False),
        (None, Level.CRITICAL, Level.CRITICAL, True),
        (None, Level.CRITICAL, Level.OUT, True),
        (TODAY + timedelta(days=1), Level.CRITICAL, Level.OUT, True),
        (TODAY, Level.OUT, Level.LOW, True),
        (None, None, Level.OUT, False),
    ],
)
def test_a_snooze_ends_on_its_day_or_at_its_level(
    until: date | None, named: Level | None, level: Level, awake: bool
) -> None:
    assert wakes(Snooze(until, named), level, TODAY) is awake


def test_only_what_is_worse_wants_a_new_look() -> None:
    assert wants_new_look(Level.WATCH, Level.LOW)
    assert wants_new_look(Level.OK, Level.UNKNOWN)
    assert not wants_new_look(Level.LOW, Level.LOW)
    assert not wants_new_look(Level.OUT, Level.CRITICAL)


def test_which_events_end_an_acknowledgement() -> None:
    low, critical = Level.LOW, Level.CRITICAL
    history = [
        (Event.LEVEL, Level.OK, low, False),
        (Event.ACKNOWLEDGED, low, low, False),
        (Event.COMMENT, low, low, False),
        (Event.LEVEL, low, Level.WATCH, False),
        (Event.LEVEL, Level.WATCH, low, True),
        (Event.LEVEL, low, critical, False),
        (Event.ACKNOWLEDGED, critical, critical, False),
        (Event.SNOOZED, critical, critical, False),
        (Event.WOKEN, critical, critical, True),
        (Event.ACKNOWLEDGED, critical, critical, False),
        (Event.RESOLVED, critical, critical, False),
        (Event.REOPENED, critical, critical, True),
    ]
    assert lapsing([(kind.value, before, after) for kind, before, after, _ in history]) == [row[-1] for row in history]
