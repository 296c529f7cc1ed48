"""Daily totals as arrays are what the movements say, however they are read, on both databases."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import select

from inventory.db import db
from inventory.domain.access import SYSTEM, Action
from inventory.domain.ledger import EFFECTS, PRINT_REASONS, Kind, Line
from inventory.domain.transfers import Arrived
from inventory.models import Movement
from inventory.services import consumption, daily_totals, items, ledger, offices, transfers
from inventory.services.consumption import Printed
from tests.conftest import NOW, TODAY
from tests.services.test_outreach import TEAM, out, team_of
from tests.world import BADUNG, BLANK, DENPASAR, World

DAYS = 40
FIRST = TODAY - timedelta(days=DAYS - 1)
THROUGH = TODAY - timedelta(days=3)
WITHIN = (THROUGH - FIRST).days + 1


def office_id(code: str) -> int:
    return offices.get(SYSTEM, Action.VIEW_STOCK, code).id


def stock(code: str, item: str) -> Any:
    return SimpleNamespace(office_id=office_id(code), item_id=items.get(item).id)


def busy_books(world: World) -> None:
    """Six weeks of all sorts, before, within and after the days that are asked for; a team prints besides."""
    chance = random.Random(5)
    everything = [
        (Kind.RECEIPT, "supplied"),
        (Kind.RECEIPT, "defective"),
        *((Kind.PRINT, reason) for reason in PRINT_REASONS),
        (Kind.SPOIL, "misprint"),
        (Kind.RETURN, "to_supplier"),
    ]
    for code in (DENPASAR, BADUNG):
        for item in (BLANK, "kia", "ribbon"):
            common: dict[str, Any] = vars(stock(code, item))
            first = FIRST - timedelta(days=5)
            lines = [Line(**common, kind=Kind.RECEIPT, reason="opening", quantity=10_000, effective_on=first)]
            for _ in range(60):
                kind, reason = chance.choice(everything)
                if item == "ribbon" and kind is Kind.PRINT:
                    reason = "consumed"
                quantity = chance.randint(1, 30)
                waited = chance.choice([0, quantity // 2]) if kind is Kind.PRINT and reason != "consumed" else 0
                day = first + timedelta(days=chance.randrange(DAYS + 5))
                said: dict[str, Any] = {"quantity": quantity, "served_waiting": waited, "effective_on": day}
                lines.append(Line(**common, kind=kind, reason=reason, **said))
            ledger.post(SYSTEM, NOW, uuid4(), lines, origin="synthetic")
    team = team_of(world)
    sent = out(world, world.storekeeper, DENPASAR, TEAM, 300)
    transfers.receive(team, NOW, uuid4(), sent, TODAY, {BLANK: Arrived(good=300)})
    consumption.post_printed(team, NOW, uuid4(), TEAM, BLANK, TODAY, {"new": Printed(180)})


def naive(stocks: list[Any], first: date, days: int) -> dict[str, Any]:
    """The same from every single movement."""
    team_id, denpasar = office_id(TEAM), office_id(DENPASAR)
    found = {name: np.zeros((len(stocks), days), dtype=int) for name in ("printed", "served", "store_change")}
    reasons = np.zeros((len(stocks), len(PRINT_REASONS)), dtype=int)
    since, last = np.zeros(len(stocks), dtype=int), defaultdict(lambda: -1)
    row_of = {(each.office_id, each.item_id): row for row, each in enumerate(stocks)}
    for movement in db.session.scalars(select(Movement)):
        owner = denpasar if movement.office_id == team_id else movement.office_id
        column, row = (movement.effective_on - first).days, row_of.get((owner, movement.item_id))
        if 0 <= column < days:
            last[owner] = max(last[owner], column)
        if row is None or column < 0:
            continue
        change = EFFECTS[Kind(movement.kind), movement.reason].store * movement.quantity
        is_own, is_print = owner == movement.office_id, movement.kind == Kind.PRINT.value
        if column >= days:
            since[row] += change if is_own else 0
            continue
        found["store_change"][row, column] += change if is_own else 0
        found["printed"][row, column] += movement.quantity if is_print else 0
        found["served"][row, column] += movement.served_waiting
        if is_own and is_print and movement.reason in PRINT_REASONS:
            reasons[row, PRINT_REASONS.index(movement.reason)] += movement.quantity - movement.served_waiting
    recorded = np.array([last[each.office_id] for each in stocks])
    return {**found, "reasons": reasons, "changed_since": since, "last_recorded": recorded}


@pytest.mark.parametrize("whole_table", [False, True])
@pytest.mark.parametrize("days", [WITHIN, DAYS])
def test_they_are_what_the_movements_say(
    world: World, monkeypatch: pytest.MonkeyPatch, whole_table: bool, days: int
) -> None:
    busy_books(world)
    if whole_table:
        monkeypatch.setattr(daily_totals, "MANY_OFFICES", 0)
        monkeypatch.setattr(daily_totals, "PAGES", 1)
        monkeypatch.setattr(daily_totals, "ROWS", 7)
    stocks = [stock(*pair) for pair in ((BADUNG, "ribbon"), (DENPASAR, BLANK), (DENPASAR, "ribbon"), ("51", BLANK))]
    found = daily_totals.read_days(stocks, FIRST, FIRST + timedelta(days=days - 1))
    expected = naive(stocks, FIRST, days)
    assert expected["printed"][1].sum() > 0
    assert (expected["changed_since"] != 0).any() == (days < DAYS)
    for name, values in expected.items():
        np.testing.assert_array_equal(getattr(found, name), values, err_msg=name)
    assert found.last_recorded[3] == -1, "nobody has recorded anything there"


def test_while_a_country_is_read_something_else_can_be_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    busy_books(world)
    stocks = [stock(DENPASAR, BLANK), stock(BADUNG, BLANK)]
    plain = daily_totals.read_days(stocks, FIRST, TODAY)
    monkeypatch.setattr(daily_totals, "MANY_OFFICES", 0)
    with daily_totals.read_beside(stocks, FIRST, TODAY) as days:
        assert items.get(BLANK).code == BLANK
        found = days()
    np.testing.assert_array_equal(found.store_change, plain.store_change)


def test_what_goes_wrong_while_a_country_is_read_is_heard_of(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_first_day: date, *_: object) -> Any:
        raise RuntimeError("nothing to read")

    monkeypatch.setattr(daily_totals, "MANY_OFFICES", 0)
    monkeypatch.setattr(daily_totals, "_as_it_lies", fails)
    monkeypatch.setattr(daily_totals, "_row_by_row", fails)
    with (
        daily_totals.read_beside([stock(DENPASAR, BLANK)], FIRST, TODAY) as days,
        pytest.raises(RuntimeError, match="nothing to read"),
    ):
        days()


def test_only_the_last_year_tells_the_mix_of_reasons(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deliver(NOW, FIRST, 500)
    world.print(NOW, FIRST, 100)
    world.print(NOW, TODAY, 30)
    (new, *others) = daily_totals.read_days([stock(DENPASAR, BLANK)], FIRST, TODAY).reasons[0]
    assert (new, sum(others)) == (130, 0)
    monkeypatch.setattr(daily_totals, "REASONS_DAYS", DAYS - 1)
    assert daily_totals.read_days([stock(DENPASAR, BLANK)], FIRST, TODAY).reasons[0, 0] == 30
