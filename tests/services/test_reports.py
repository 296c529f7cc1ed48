"""The monthly report on both databases: it agrees with the ledger, it stays as issued, and what comes late is told."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from contextlib import suppress
from datetime import date, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.documents import ItemMonth, MonthlyReport
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.domain.ledger import NOTHING, Effect, effect_of
from inventory.domain.reports import ACCOUNTS, Month
from inventory.domain.transfers import Arrived
from inventory.services import balances, consumption, documents, ledger, reports, transfers
from inventory.services.consumption import Printed
from inventory.services.reports import MonthView
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

APRIL, MAY = Month(2024, 4), Month(2024, 5)
BASE = "https://blangko.example.go.id"
JUNE_1 = NOW + timedelta(days=17)
"""The first day on which May can be reported."""


def read(month: Month, office: str = DENPASAR) -> MonthView:
    return reports.read(SYSTEM, office, month)


def of_item(report: MonthlyReport, code: str = BLANK) -> ItemMonth:
    [found] = [each for each in report.items if each.item.code == code]
    return found


def opening_and_closing(report: MonthlyReport) -> dict[str, tuple[int, int]]:
    return {account.place: (account.opening, account.closing) for account in of_item(report).accounts}


def lines(report: MonthlyReport, place: str) -> dict[tuple[str, str], int]:
    [account] = [account for account in of_item(report).accounts if account.place == place]
    return {(change.kind, change.reason): change.quantity for change in account.changes}


def test_a_month_tells_where_every_blank_came_from_and_went(world: World) -> None:
    april = date(2024, 4, 20)
    world.deliver(NOW, april, 1_000)
    world.print(NOW, april, 100)
    world.deliver(NOW, TODAY, 500, defective=9)
    world.print(NOW, TODAY, {"new": Printed(40), "lost": Printed(3)})
    world.spoil(NOW, TODAY, 5)
    arrived = world.send(NOW, TODAY, 60)
    world.send(NOW, TODAY, 20)
    receiver = world.actor("other_storekeeper")
    transfers.receive(receiver, NOW, uuid4(), arrived, TODAY, {BLANK: Arrived(good=55, damaged=3)})
    consumption.post_returned(world.storekeeper, NOW, uuid4(), DENPASAR, BLANK, TODAY, 10, "torn wrapping")
    may = read(MAY).now
    assert opening_and_closing(may) == {"store": (900, 1253), "spoiled": (0, 14), "transit": (0, 20), "missing": (0, 2)}
    assert lines(may, "store") == {
        ("receipt", "supplied"): 491,
        ("print", "new"): -40,
        ("print", "lost"): -3,
        ("spoil", "misprint"): -5,
        ("dispatch", "distribution"): -80,
        ("return", "to_supplier"): -10,
    }
    assert lines(may, "spoiled") == {("receipt", "defective"): 9, ("spoil", "misprint"): 5}
    assert lines(may, "transit") == {
        ("dispatch", "distribution"): 80,
        ("arrival", "handed_over"): -58,
        ("arrival", "short"): -2,
    }
    assert lines(may, "missing") == {("arrival", "short"): 2}
    there = read(MAY, BADUNG).now
    assert lines(there, "store") == {("arrival", "arrived"): 55}
    assert lines(there, "spoiled") == {("arrival", "arrived_damaged"): 3}
    assert read(Month(2024, 3)).now.items == ()
    assert read(Month(2024, 6)).now.items[0].accounts[0].changes == ()


def test_a_reversal_takes_its_line_off_the_month_of_its_original(world: World) -> None:
    world.deliver(NOW, date(2024, 4, 20), 1_000)
    movement = world.print(NOW, date(2024, 4, 21), 100).movements[0]
    ledger.reverse(world.storekeeper, NOW, uuid4(), movement.id, "typed twice")
    april = read(APRIL).now
    assert lines(april, "store") == {("receipt", "supplied"): 1_000}
    assert opening_and_closing(april)["store"] == (0, 1_000)


def test_a_month_is_issued_once_it_is_over_at_the_office(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    # 23:59 on 31 May in Denpasar, and a minute later.
    last_minute = datetime.fromisoformat("2024-05-31T15:59:00+00:00")
    with pytest.raises(Refusal, match="month_not_over"):
        reports.issue(world.storekeeper, last_minute, DENPASAR, MAY, BASE)
    issued = reports.issue(world.storekeeper, last_minute + timedelta(minutes=1), DENPASAR, MAY, BASE)
    with pytest.raises(Invalid, match="day_too_early"):
        reports.issue(world.storekeeper, last_minute, DENPASAR, Month(2010, 12), BASE)
    assert (issued.number, issued.day) == ("00001/51.71/2024", date(2024, 6, 1))


def test_what_comes_late_changes_the_books_and_not_the_report(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    world.print(NOW, TODAY, 30)
    issued = reports.issue(world.storekeeper, JUNE_1, DENPASAR, MAY, BASE)
    printed = documents.pdf(world.storekeeper, issued.id, "id")[1]
    view = read(MAY)
    assert (view.issued, view.late, view.differences) == (issued, (), [])
    with pytest.raises(Refusal, match="no_late_entries"):
        reports.issue_late(world.storekeeper, JUNE_1, DENPASAR, MAY, issued.id, BASE)

    later = JUNE_1 + timedelta(days=2)
    world.spoil(later, date(2024, 5, 20), 4)
    world.deliver(later, date(2024, 4, 30), 50)
    world.print(later, date(2024, 6, 2), 1)
    view = read(MAY)
    assert reports.issue(world.storekeeper, later, DENPASAR, MAY, BASE) == issued
    assert documents.pdf(world.storekeeper, issued.id, "id")[1] == printed
    assert [(late.kind, late.day, late.quantity) for late in view.late] == [
        ("spoil", date(2024, 5, 20), 4),
        ("receipt", date(2024, 4, 30), 50),
    ]
    assert [(d.place, d.kind, d.then, d.now) for d in view.differences] == [
        ("store", "opening", 0, 50),
        ("store", "spoil", 0, -4),
        ("store", "closing", 70, 116),
        ("spoiled", "spoil", 0, 4),
        ("spoiled", "closing", 0, 4),
    ]


def test_each_supplement_takes_in_what_came_since_the_one_before(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    issued = reports.issue(world.storekeeper, JUNE_1, DENPASAR, MAY, BASE)
    world.spoil(JUNE_1, TODAY, 4)
    first = reports.issue_late(world.storekeeper, JUNE_1, DENPASAR, MAY, issued.id, BASE)
    assert reports.issue_late(world.storekeeper, JUNE_1, DENPASAR, MAY, issued.id, BASE) == first
    assert read(MAY).late == ()
    world.spoil(JUNE_1, TODAY, 5)
    world.spoil(JUNE_1, TODAY, 6)
    assert [late.quantity for late in read(MAY).late] == [5, 6]
    # A page that was open since before the first supplement finds that one again, and takes nothing in twice.
    assert reports.issue_late(world.storekeeper, JUNE_1, DENPASAR, MAY, issued.id, BASE) == first
    second = reports.issue_late(world.storekeeper, JUNE_1, DENPASAR, MAY, first.id, BASE)
    assert [each.number for each in (issued, first, second)] == [f"0000{n}/51.71/2024" for n in (1, 2, 3)]
    record = documents.get(world.storekeeper, second.id)[1].record
    assert (record.report, [late.quantity for late in record.lines]) == (issued.number, [5, 6])
    view = read(MAY)
    assert (view.supplements, view.late, view.newest) == ((first, second), (), second)
    for wrong in (0, second.id + 1):
        with pytest.raises(NotFound, match="document_not_found"):
            reports.issue_late(world.storekeeper, JUNE_1, DENPASAR, MAY, wrong, BASE)


def test_a_supplement_has_a_most_and_the_next_takes_the_rest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MOST_LATE", 3)
    world.deliver(NOW, TODAY, 100)
    newest = reports.issue(world.storekeeper, JUNE_1, DENPASAR, MAY, BASE)
    for quantity in range(1, 6):
        world.spoil(JUNE_1, TODAY, quantity)
    found = []
    for _ in range(2):
        newest = reports.issue_late(world.storekeeper, JUNE_1, DENPASAR, MAY, newest.id, BASE)
        found += [late.quantity for late in documents.get(SYSTEM, newest.id)[1].record.lines]
    assert found == [1, 2, 3, 4, 5]
    assert read(MAY).late == ()


def test_what_was_posted_before_but_committed_after_the_report_is_late(world: World) -> None:
    """The order of the ledger counts, not the clock: nothing can fall between report and supplement."""
    world.deliver(NOW, TODAY, 100)
    reports.issue(world.storekeeper, JUNE_1, DENPASAR, MAY, BASE)
    world.spoil(JUNE_1 - timedelta(minutes=5), TODAY, 4)
    assert [late.quantity for late in read(MAY).late] == [4]


def test_reports_are_for_those_who_see_the_offices_stock(world: World) -> None:
    stranger = world.actor("other_storekeeper")
    for ask in (
        lambda: reports.read(stranger, DENPASAR, MAY),
        lambda: reports.months(stranger, NOW, DENPASAR),
        lambda: reports.issue(stranger, JUNE_1, DENPASAR, APRIL, BASE),
        lambda: reports.issue_late(stranger, JUNE_1, DENPASAR, APRIL, 1, BASE),
    ):
        with pytest.raises(NotAllowed):
            ask()
    assert reports.months(world.actor("regional"), NOW, DENPASAR) == [MAY]


def test_the_months_begin_with_the_first_entry(world: World) -> None:
    world.deliver(NOW, date(2023, 12, 31), 100)
    assert reports.months(SYSTEM, NOW, DENPASAR) == [MAY, *(Month(2024, m) for m in (4, 3, 2, 1)), Month(2023, 12)]
    world.deliver(NOW, date(2011, 1, 1), 100)
    assert len(reports.months(SYSTEM, NOW, DENPASAR)) == reports.MOST_MONTHS


# --- random histories --------------------------------------------------------------------------------------------

FIRST, LAST = date(2024, 2, 1), date(2024, 5, 31)


def act_at_random(world: World, chance: random.Random, at: datetime) -> None:
    """Something happens, for a day of the last four months; what the ledger refuses does not."""
    day = FIRST + timedelta(days=chance.randrange((LAST - FIRST).days + 1))
    quantity = chance.randrange(1, 40)
    with suppress(Refusal):
        match chance.randrange(7):
            case 0:
                world.deliver(at, day, 10 * quantity, defective=chance.randrange(3))
            case 1 | 2:
                world.print(at, day, {chance.choice(("new", "lost", "moved_in")): Printed(quantity)})
            case 3:
                world.spoil(at, day, quantity)
            case 4:
                transfer = world.send(at, day, quantity)
                if chance.random() < 0.6:
                    good = chance.randrange(quantity + 1)
                    arrived = {BLANK: Arrived(good=good, damaged=chance.randrange(quantity - good + 1))}
                    receiver = world.actor("other_storekeeper")
                    transfers.receive(receiver, at, uuid4(), transfer, min(day + timedelta(days=3), LAST), arrived)
            case 5:
                consumption.post_returned(world.storekeeper, at, uuid4(), DENPASAR, BLANK, day, quantity, "back")
            case _:
                movement = db.session.scalar(
                    text("SELECT id FROM movements WHERE kind IN ('print', 'spoil') ORDER BY id DESC LIMIT 1")
                )
                if movement:
                    ledger.reverse(world.storekeeper, at, uuid4(), movement, "random")


def by_hand(day_first: date, day_last: date) -> tuple[Effect, Counter[tuple[str, str]], Effect]:
    """Opening, sums and closing, added up from the movements one by one."""
    opening, sums, closing = NOTHING, Counter[tuple[str, str]](), NOTHING
    for row in db.session.execute(
        text(
            "SELECT movements.kind, reason, quantity, effective_on FROM movements"
            " JOIN offices ON offices.id = office_id JOIN items ON items.id = item_id"
            " WHERE offices.code = '51.71' AND items.code = 'ktp-wni'"
        )
    ):
        day = date.fromisoformat(str(row.effective_on))
        effect = effect_of(row.kind, row.reason).times(row.quantity)
        if day < day_first:
            opening = opening.plus(effect)
        if day <= day_last:
            closing = closing.plus(effect)
        if day_first <= day <= day_last:
            sums[row.kind, row.reason] += row.quantity
    return opening, sums, closing


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_history_adds_up_and_what_came_late_explains_every_change(world: World, seed: int) -> None:
    chance = random.Random(seed)
    at = JUNE_1
    world.deliver(at, FIRST, 3_000)
    for _ in range(25):
        act_at_random(world, chance, at)
    months = [Month(2024, month) for month in (2, 3, 4, 5)]
    before = {month: read(month).now for month in months}
    for month in months:
        reports.issue(world.storekeeper, at, DENPASAR, month, BASE)
    for _ in range(25):
        act_at_random(world, chance, at + timedelta(hours=chance.randrange(200)))

    views = {month: read(month) for month in months}
    for month, view in views.items():
        check_against_the_movements(month, view.now)
        check_then_and_late(month, view, before[month])
    for first, second in itertools.pairwise(months):
        for a, b in zip(of_item(views[first].now).accounts, of_item(views[second].now).accounts, strict=True):
            assert a.closing == b.opening
    assert any(view.late for view in views.values())


def check_against_the_movements(month: Month, report: MonthlyReport) -> None:
    opening, sums, closing = by_hand(month.first, month.last)
    for account in of_item(report).accounts:
        assert (account.opening, account.closing) == (getattr(opening, account.place), getattr(closing, account.place))
        assert account.opening + account.came - account.went == account.closing
        for change in account.changes:
            part = getattr(effect_of(change.kind, change.reason), account.place)
            assert change.quantity == part * sums[change.kind, change.reason]
    assert closing == balances.as_of(SYSTEM, DENPASAR, BLANK, month.last)


def check_then_and_late(month: Month, view: MonthView, before: MonthlyReport) -> None:
    """As known then + late = as known now, place by place; and then is what was issued."""
    assert view.then == before
    known = {each.item.code: each.last_seq for each in before.items}
    assert reports.as_known(SYSTEM, DENPASAR, month, known) == before
    late = NOTHING
    for entry in view.late:
        late = late.plus(effect_of(entry.kind, entry.reason).times(entry.quantity))
    for place in ACCOUNTS:
        then, now = (opening_and_closing(report)[place][1] for report in (before, view.now))
        assert then + getattr(late, place) == now
