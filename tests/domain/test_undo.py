"""Undo of what was just entered: who, what, how long."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from inventory.domain.errors import NotAllowed, Refusal
from inventory.domain.ledger import Kind
from inventory.domain.undo import Entered, check_undo, request_of

NOW = datetime(2024, 5, 15, 3, 0, tzinfo=UTC)
ENTERED = Entered(
    actor_id=7,
    recorded_at=NOW - timedelta(minutes=3),
    kinds=[Kind.PRINT, Kind.SPOIL],
    origin="entered",
    is_reversal=False,
    reversed=False,
    newest=True,
    closed=False,
)


def test_ones_own_newest_entry_can_be_undone_for_some_minutes() -> None:
    check_undo(ENTERED, 7, NOW, 10)
    check_undo(ENTERED, 7, ENTERED.recorded_at + timedelta(minutes=10, seconds=-1), 10)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("reversal_of_reversal", {"is_reversal": True}),
        ("already_reversed", {"reversed": True}),
        ("undo_other_kind", {"kinds": [Kind.PRINT, Kind.RECEIPT]}),
        ("undo_other_kind", {"kinds": [Kind.DISPATCH]}),
        ("undo_other_kind", {"origin": "imported"}),
        ("undo_too_late", {"recorded_at": NOW - timedelta(minutes=10)}),
        ("undo_not_newest", {"newest": False}),
        ("undo_day_closed", {"closed": True}),
    ],
)
def test_what_forbids_it(code: str, changes: dict[str, object]) -> None:
    with pytest.raises(Refusal) as refused:
        check_undo(replace(ENTERED, **changes), 7, NOW, 10)  # pyright: ignore[reportArgumentType]
    assert refused.value.code == code


def test_nobody_undoes_what_somebody_else_entered_and_with_no_minutes_nobody_anything() -> None:
    for other in (8, None):
        with pytest.raises(NotAllowed):
            check_undo(ENTERED, other, NOW, 10)
    with pytest.raises(NotAllowed):
        check_undo(replace(ENTERED, actor_id=None), None, NOW, 10)
    with pytest.raises(Refusal) as refused:
        check_undo(replace(ENTERED, recorded_at=NOW), 7, NOW, 0)
    assert refused.value.facts == {"minutes": 0}


def test_an_entry_has_one_request_of_its_undoing() -> None:
    one, other = UUID(int=1), UUID(int=2)
    assert request_of(one) == request_of(one) != request_of(other)
    assert request_of(one) != one
