"""The low-stock review: levels, alerts and what they were based on, on both databases."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from functools import partial
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import event, func, insert, select, text

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.errors import NotAllowed, NotFound
from inventory.domain.ledger import Kind, Line
from inventory.domain.schedules import DailyAt
from inventory.models import Alert, AlertEvent, Movement, Office, StatedRate, StoredProjection
from inventory.services import (
    alerts,
    case_changes,
    deliveries,
    items,
    ledger,
    offices,
    projections,
    reviews,
    stated_rates,
    transfers,
)
from inventory.services.alerts import AlertView
from inventory.services.deliveries import Handover
from inventory.services.reviews import Reviewed
from inventory.services.transfers import Dispatch
from tests.concurrent import at_once
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

DAYS = 200


def fill(day_quantities: dict[date, int], opening: int, *, first: date, served: dict[date, int] | None = None) -> None:
    """A history at Denpasar: an opening stock and new cards by day."""
    office = offices.get(SYSTEM, offices.Action.VIEW_STOCK, DENPASAR)
    item = items.get(BLANK)
    common: dict[str, Any] = {"office_id": office.id, "item_id": item.id}
    lines = [Line(**common, kind=Kind.RECEIPT, reason="opening", quantity=opening, effective_on=first)]
    lines += [
        Line(
            **common,
            kind=Kind.PRINT,
            reason="new",
            quantity=quantity,
            served_waiting=(served or {}).get(day, 0),
            effective_on=day,
        )
        for day, quantity in day_quantities.items()
        if quantity
    ]
    ledger.post(SYSTEM, NOW, uuid4(), lines, origin="synthetic")


def working_days(until: date = TODAY, days: int = DAYS) -> list[date]:
    every = [until - timedelta(days=n) for n in range(days - 1, -1, -1)]
    return [day for day in every if day.weekday() < 5]


def usual_history(left: int, mean: int = 300, seed: int = 1) -> None:
    """Two hundred days at about `mean` a working day that leave `left` in the store."""
    noise = random.Random(seed)
    prints = {day: max(1, round(noise.gauss(mean, mean**0.5 * 2))) for day in working_days()}
    fill(prints, sum(prints.values()) + left, first=min(prints))


def review(on: date = TODAY, now: datetime = NOW) -> Reviewed:
    run, found = reviews.review(SYSTEM, lambda: now, "test", on=on, office_code=DENPASAR)
    assert run.status == "done", run.error
    return found[0]


def open_alert(world: World) -> AlertView | None:
    found = alerts.open_alerts(world.actor("manager"))
    assert len(found) <= 1
    return found[0] if found else None


def test_cards_printed_many_at_a_time_are_expected_as_batches(world: World) -> None:
    days = sorted(working_days())
    fill(dict.fromkeys(days[::8], 400), 400 * len(days[::8]) + 500, first=days[0])
    facts = review().projection.facts
    assert facts["batches"]["size"] == pytest.approx(400, abs=1)
    assert facts["batches"]["a_year"] == pytest.approx(245 / 8, rel=0.2)
    assert "bursts_a_year" not in facts
    assert facts["level_per_day"] == pytest.approx(400 / 8, rel=0.2)


def test_denpasars_published_stock_is_critical(world: World) -> None:
    usual_history(1639)
    level = review().level
    alert = open_alert(world)
    assert level == "critical"
    assert alert is not None
    facts = alert.facts
    assert facts["store"] == 1639
    assert facts["level_per_day"] == pytest.approx(300, rel=0.1)
    assert 4 <= facts["cover_days"] <= 7
    assert TODAY < date.fromisoformat(facts["stockout_on"]) <= TODAY + timedelta(days=14)
    assert facts["suggested_order"] % 500 == 0
    assert facts["suggested_order"] + 1639 >= facts["order_up_to"]


def test_a_stock_that_outlasts_lead_time_and_review_raises_nothing(world: World) -> None:
    usual_history(30_000)
    assert review().level == "ok"
    assert open_alert(world) is None


def test_an_alert_is_opened_raised_and_resolved_with_the_numbers_behind(world: World) -> None:
    usual_history(5_700)
    assert review().level == "watch"
    world.print(NOW, TODAY, 4_000)
    assert review(now=NOW + timedelta(minutes=1)).level == "critical"
    world.deliver(NOW, TODAY, 40_000)
    assert review(now=NOW + timedelta(minutes=2)).level == "ok"
    assert open_alert(world) is None
    detail = alerts.get(world.actor("manager"), 1)
    assert [(e.from_level, e.to_level) for e in reversed(detail.events)] == [
        ("ok", "watch"),
        ("watch", "critical"),
        ("critical", "ok"),
    ]
    assert [e.facts["store"] for e in reversed(detail.events)] == [5_700, 1_700, 41_700]
    assert detail.alert.resolved_at is not None


def test_an_empty_store_is_out_whatever_the_history(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    world.print(NOW, TODAY, 10)
    assert review().level == "out"


def test_no_history_is_not_enough_data_and_never_safe(world: World) -> None:
    world.deliver(NOW, TODAY, 100_000)
    found = review()
    assert found.level == "unknown"
    assert found.projection.facts["suggested_order"] is None
    alert = open_alert(world)
    assert alert is not None
    assert alert.level == "unknown"
    assert alert.facts["stockout_on"] is None, "the desk does not look for a day that nobody can tell"


def test_days_without_stock_are_not_days_without_demand(world: World) -> None:
    days = working_days()
    empty = set(days[60:100])
    noise = random.Random(3)
    prints = {day: 0 if day in empty else noise.randint(90, 110) for day in days}
    office = offices.get(SYSTEM, offices.Action.VIEW_STOCK, DENPASAR)
    common = {"office_id": office.id, "item_id": items.get(BLANK).id, "kind": Kind.RECEIPT, "reason": "supplied"}
    before = sum(prints[day] for day in days[:60])
    fill({day: prints[day] for day in days[:60]}, before, first=days[0])
    after = sum(prints[day] for day in days[100:])
    ledger.post(SYSTEM, NOW, uuid4(), [Line(**common, quantity=after + 900, effective_on=days[100])])
    for day in days[100:]:
        world.print(NOW, day, prints[day])
    facts = review().projection.facts
    assert facts["level_per_day"] == pytest.approx(100, rel=0.05)
    assert facts["days_stocked_out"] >= 35  # forty working days less the public holidays among them


def test_cards_for_requests_that_waited_are_not_new_demand(world: World) -> None:
    days = working_days()
    prints = dict.fromkeys(days, 100)
    served = dict.fromkeys(days[-10:], 200)
    prints |= dict.fromkeys(days[-10:], 300)
    fill(prints, sum(prints.values()) + 900, first=days[0], served=served)
    assert review().projection.facts["level_per_day"] == pytest.approx(100, rel=0.02)


def test_days_that_nobody_recorded_yet_are_not_days_of_no_demand(world: World) -> None:
    usual_history(1639)
    month_later = TODAY + timedelta(days=30)
    facts = review(on=month_later, now=NOW + timedelta(days=30)).projection.facts
    assert facts["level_per_day"] == pytest.approx(300, rel=0.1)


def test_a_review_of_the_past_reads_the_past_and_changes_no_alert(world: World) -> None:
    usual_history(1639)
    review()
    before = open_alert(world)
    past = review(on=TODAY - timedelta(days=10), now=NOW + timedelta(minutes=1))
    assert past.projection.facts["store"] > 1639
    assert not past.changed
    assert open_alert(world) == before


def test_a_late_receipt_does_not_reach_back(world: World) -> None:
    usual_history(1639)
    world.deliver(NOW, TODAY, 50_000)
    assert review(on=TODAY - timedelta(days=1)).level == "critical"


def test_an_alert_out_of_reach_is_not_there(world: World) -> None:
    usual_history(1639)
    review()
    alert = open_alert(world)
    assert alert is not None
    assert alerts.get(world.actor("regional"), alert.id).alert == alert
    for stranger in ("viewer", "other_storekeeper"):
        assert alerts.open_alerts(world.actor(stranger)) == []
        with pytest.raises(NotFound, match="alert_not_found"):
            alerts.get(world.actor(stranger), alert.id)


@pytest.mark.parametrize("fall", ["print", "reversal"])
def test_an_alert_rises_whatever_made_the_stock_fall(world: World, fall: str) -> None:
    usual_history(1639)
    receipt = world.deliver(NOW, TODAY, 40_000).movements[0]
    assert review().level == "ok"
    if fall == "print":
        world.print(NOW, TODAY, 39_900)
    else:
        world.reverse_receipt(NOW, receipt.id)
    assert review(now=NOW + timedelta(minutes=1)).level == "critical"


def test_what_is_on_its_way_is_taken_off_a_suggested_order(world: World) -> None:
    usual_history(1639)
    before = review().projection.facts
    lender = world.actor("other_storekeeper")
    handover = Handover(
        bast_number="470/9",
        bast_on=TODAY,
        received_on=TODAY,
        asked=None,
        received=5_000,
        defective=0,
        funding_source="apbn",
        supplier="Ditjen Dukcapil",
    )
    deliveries.record(lender, NOW, uuid4(), BADUNG, BLANK, handover)
    out = Dispatch(
        receiver_code=DENPASAR,
        purpose="loan",
        dispatched_on=TODAY,
        expected_on=TODAY,
        due_on=TODAY,
        sent={BLANK: 2_000},
        custodian="Ni Luh Kurir",
        bast_number="470/10",
    )
    transfers.dispatch(lender, NOW, uuid4(), BADUNG, out)
    facts = review(now=NOW + timedelta(minutes=1)).projection.facts
    assert (facts["inbound"], facts["store"]) == (2_000, 1_639)
    assert facts["suggested_order"] == before["suggested_order"] - 2_000
    assert alerts.open_alerts(SYSTEM, DENPASAR)[0].level == "critical", "what is on its way is not yet there"


def test_a_stated_rate_stands_in_until_there_is_history(world: World) -> None:
    world.deliver(NOW, TODAY, 1_639)
    stated_rates.state(SYSTEM, NOW, DENPASAR, BLANK, 300, "Bali Post")
    found = review()
    assert found.level == "critical"
    assert found.projection.facts["from_stated_rate"] is True
    assert found.projection.facts["level_per_day"] == 300
    assert found.projection.facts["stated_source"] == "Bali Post"
    with pytest.raises(NotAllowed):
        stated_rates.state(world.actor("manager"), NOW, DENPASAR, BLANK, 1, "a wish")


def test_printing_what_is_expected_of_today_does_not_bring_the_end_nearer(world: World) -> None:
    until_yesterday = working_days(TODAY - timedelta(days=1))
    prints = dict.fromkeys(until_yesterday, 40)
    fill(prints, sum(prints.values()) + 400, first=until_yesterday[0])
    ends, levels = [], []
    for printed in (0, 10, 30, 160):
        if printed:
            world.print(NOW, TODAY, printed)
        (found,) = projections.of_stocks(SYSTEM, NOW)
        assert found.facts["store"] == 400 - sum((0, 10, 30, 160)[: len(ends) + 1])
        ends.append(date.fromisoformat(found.facts["stockout_on"]))
        levels.append(found.facts["level_per_day"])
    with_none, with_ten, with_forty, with_two_hundred = ends
    assert with_none == with_forty
    assert with_none <= with_ten
    assert with_two_hundred < with_none, "more than expected does"
    assert levels == [pytest.approx(40, rel=0.01)] * 4, "a day that is still running says nothing of a day's demand"


def test_a_review_of_now_is_kept_although_today_was_over_before(world: World) -> None:
    usual_history(5_300)
    receipt = world.deliver(NOW, TODAY - timedelta(days=1), 40_000).movements[0]
    run, found = reviews.review(SYSTEM, lambda: NOW, "test")
    assert (run.status, found[0].level, found[0].projection.on_day) == ("done", "ok", TODAY)
    printed_today = select(Movement.id).where(Movement.kind == Kind.PRINT.value, Movement.effective_on == TODAY)
    for movement_id in db.session.scalars(printed_today).all():
        ledger.reverse(world.storekeeper, NOW, uuid4(), movement_id, "mistake")
    world.reverse_receipt(NOW, receipt.id)
    _, found = reviews.review(SYSTEM, lambda: NOW + timedelta(minutes=1), "test")
    assert found[0].projection.on_day == TODAY - timedelta(days=1)
    assert open_alert(world) is not None


# --- many at once ------------------------------------------------------------------------------------------------


def many_stocks(offices_of_each: int) -> list[dict[str, Any]]:
    """So many district offices with two items each, ten blanks of each in every store: what names each stock."""
    rows = [
        {"code": f"51.71.{n}", "name": f"Kecamatan {n}", "kind": "district", "parent": DENPASAR}
        | {"time_zone": "Asia/Makassar", "population": ""}
        for n in range(1_000, 1_000 + offices_of_each)
    ]
    offices.load(SYSTEM, rows)
    ids = db.session.scalars(select(Office.id).where(Office.code.in_([row["code"] for row in rows]))).all()
    named = [{"office_id": o, "item_id": items.get(code).id} for o in sorted(ids) for code in (BLANK, "kia")]
    post_each(named, Kind.RECEIPT, "opening")
    return named


def post_each(named: list[dict[str, Any]], kind: Kind, reason: str, quantity: int = 10) -> None:
    lines = [Line(**each, kind=kind, reason=reason, quantity=quantity, effective_on=TODAY) for each in named]
    ledger.post(SYSTEM, NOW, uuid4(), lines, origin="synthetic")


@contextmanager
def counting_statements() -> Iterator[Counter[str]]:
    counts: Counter[str] = Counter()

    def count(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        counts[statement.split()[0]] += 1

    event.listen(db.engine, "before_cursor_execute", count)
    try:
        yield counts
    finally:
        event.remove(db.engine, "before_cursor_execute", count)


def review_all(minute: int) -> tuple[list[Reviewed], Counter[str]]:
    with counting_statements() as counts:
        run, found = reviews.review(SYSTEM, lambda: NOW + timedelta(minutes=minute), "test", on=TODAY)
    assert run.status == "done", run.error
    assert run.counts["stocks"] == len(found)
    return found, counts


def alert_rows() -> list[Any]:
    columns = Alert.office_id, Alert.item_id, Alert.level, Alert.resolved_at, Alert.facts
    db.session.rollback()
    return list(db.session.execute(select(*columns).order_by(Alert.id)))


def event_steps() -> dict[tuple[int, int], list[tuple[str, str, int]]]:
    """Per office and item: from which level to which, and the store that was told with it."""
    found: dict[tuple[int, int], list[tuple[str, str, int]]] = defaultdict(list)
    rows = db.session.execute(
        select(Alert.office_id, Alert.item_id, AlertEvent.from_level, AlertEvent.to_level, AlertEvent.facts)
        .join(Alert, Alert.id == AlertEvent.alert_id)
        .order_by(AlertEvent.id)
    )
    for office_id, item_id, before, after, facts in rows:
        assert item_id is not None
        found[office_id, item_id].append((before, after, facts["store"]))
    return found


@pytest.mark.parametrize("stocks", [200, pytest.param(2_000, marks=pytest.mark.slow)])
def test_many_changes_are_written_in_a_few_statements(
    world: World, monkeypatch: pytest.MonkeyPatch, stocks: int
) -> None:
    monkeypatch.setattr(case_changes, "BATCH", stocks // 2)
    named = many_stocks(stocks // 2)
    out, safe = 3 * stocks // 4, 3 * stocks // 20
    keys = [(each["office_id"], each["item_id"]) for each in named]
    found, counts = review_all(1)
    assert len(found) == sum(each.changed for each in found) == stocks
    assert sum(counts.values()) < 100, counts
    rows = alert_rows()
    assert [(row.office_id, row.item_id) for row in rows] == keys
    assert {(row.level, row.facts["store"]) for row in rows} == {("unknown", 10)}
    assert event_steps() == {key: [("ok", "unknown", 10)] for key in keys}

    emptied, filled = named[:out], named[out:]
    post_each(emptied, Kind.PRINT, "new")
    post_each(filled, Kind.RECEIPT, "supplied", 90_000)
    rates = [each | {"per_day": 5, "source": "a newspaper", "stated_on": TODAY} for each in filled[:safe]]
    db.session.execute(insert(StatedRate), rates)
    db.session.commit()
    found, counts = review_all(2)
    assert sum(each.changed for each in found) == out + safe
    assert sum(counts.values()) < 100, counts
    assert len(alert_rows()) == stocks, "an alert that is open is not opened again"
    told = {(row.office_id, row.item_id): (row.level, row.resolved_at, row.facts["store"]) for row in alert_rows()}
    resolved_at = NOW + timedelta(minutes=2)
    steps = event_steps()
    for number, key in enumerate(keys):
        if number < out:
            assert told[key] == ("out", None, 0)
            assert steps[key][1:] == [("unknown", "out", 0)]
        elif number < out + safe:
            assert told[key] == ("ok", resolved_at, 90_010)
            assert steps[key][1:] == [("unknown", "ok", 90_010)]
        else:
            assert told[key] == ("unknown", None, 90_010), "without a change it says the numbers of now"
            assert steps[key][1:] == []
    stored = db.session.execute(select(StoredProjection.level, StoredProjection.facts)).all()
    assert Counter((row.level, row.facts["store"]) for row in stored) == {
        ("out", 0): out,
        ("ok", 90_010): safe,
        ("unknown", 90_010): stocks - out - safe,
    }


def test_a_review_that_fails_writes_nothing_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    many_stocks(30)
    monkeypatch.setattr(case_changes, "BATCH", 25)
    original = case_changes._opened

    def opened(*arguments: Any, **more: Any) -> Any:
        original(*arguments, **more)
        raise RuntimeError("after the alerts were opened")

    monkeypatch.setattr(case_changes, "_opened", opened)
    run, _ = reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
    assert run.status == "failed"
    assert run.error is not None
    assert "after the alerts were opened" in run.error
    assert alert_rows() == []
    assert db.session.scalar(select(func.count()).select_from(StoredProjection)) == 0


@pytest.mark.parametrize("broken", ["projecting", "writing"])
def test_a_review_that_fails_while_parts_are_written_writes_nothing_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    many_stocks(30)
    monkeypatch.setattr(case_changes, "BATCH", 7)
    original, calls = projections.by_part, count()

    def by_part(*arguments: Any, **more: Any) -> Iterator[Any]:
        for part in original(*arguments, **more):
            yield part
            if broken == "projecting":
                raise RuntimeError("after the first part")

    def row(*arguments: Any) -> Any:
        if broken == "writing" and next(calls) >= 20:
            raise RuntimeError("after the first part")
        return kept(*arguments)

    kept = reviews._kept
    monkeypatch.setattr(projections, "by_part", by_part)
    monkeypatch.setattr(reviews, "_kept", row)
    run, found = reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
    assert run.status == "failed"
    assert "after the first part" in (run.error or "")
    assert found == []
    assert db.session.scalar(select(func.count()).select_from(StoredProjection)) == 0
    monkeypatch.undo()
    run, found = reviews.review(SYSTEM, lambda: NOW + timedelta(minutes=1), "test", on=TODAY)
    assert run.status == "done", run.error
    assert len(found) == db.session.scalar(select(func.count()).select_from(StoredProjection))


def test_a_review_by_hand_beside_the_nightly_one_opens_one_alert_for_each_stock(app: Flask, world: World) -> None:
    named = many_stocks(20)
    slot, daily = NOW - timedelta(hours=1), DailyAt(time(1, 30), "Asia/Jakarta")
    by_hand = partial(reviews.review, SYSTEM, lambda: NOW, "test", on=TODAY)
    nightly = partial(reviews.review_slot, slot, daily, lambda: NOW, "test")
    (by_hand_run, _), nightly_run = at_once(app, [by_hand, nightly])
    # Who comes second finds them open, or is told by the database that they are; its slot is then tried again.
    assert "done" in (by_hand_run.status, nightly_run.status)
    assert len(alert_rows()) == len(named)
    assert {len(steps) for steps in event_steps().values()} == {1}


def test_projections_alerts_and_events_say_to_the_word_what_the_review_found(world: World) -> None:
    named = many_stocks(20)
    for each in named[:10]:
        post_each([each], Kind.PRINT, "new")
    run, found = reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
    assert run.status == "done", run.error
    facts = {(each.projection.office_id, each.projection.item_id): each.projection.facts for each in found}
    stored = db.session.execute(select(StoredProjection.office_id, StoredProjection.item_id, StoredProjection.facts))
    assert {(office_id, item_id): said for office_id, item_id, said in stored} == facts
    opened = db.session.execute(select(Alert.id, Alert.office_id, Alert.item_id, Alert.facts)).all()
    assert len(opened) == len(named)
    assert all(each.facts == facts[each.office_id, each.item_id] for each in opened)
    events = db.session.execute(select(AlertEvent.alert_id, AlertEvent.facts).order_by(AlertEvent.id)).all()
    assert [each.alert_id for each in events] == sorted(each.id for each in opened), "in the order of the findings"
    told = {each.id: each.facts for each in opened}
    assert all(each.facts == told[each.alert_id] for each in events)


def test_postgresql_counts_its_tables_after_a_first_review(world: World) -> None:
    if db.engine.dialect.name != "postgresql":
        pytest.skip("SQLite plans without")

    def believed() -> float:
        return db.session.execute(text("SELECT reltuples FROM pg_class WHERE relname = 'projections'")).scalar_one()

    world.deliver(NOW, TODAY, 10)
    db.session.execute(text("ANALYZE projections"))
    db.session.commit()
    assert believed() == 0
    reviews.review(SYSTEM, lambda: NOW, "test")
    assert believed() == 1
