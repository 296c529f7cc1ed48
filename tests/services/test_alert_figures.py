"""The figures about alerts from history, held against a naive computation, on both databases."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, select, update

from inventory.db import db
from inventory.domain.access import SYSTEM, Action
from inventory.domain.alert_figures import Figures
from inventory.domain.errors import Invalid, NotAllowed, NotFound
from inventory.domain.ledger import Kind, Line
from inventory.domain.offices import local_day
from inventory.models import Alert, AlertEvent, Movement
from inventory.services import alert_figures, calendars, items, ledger, offices
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

FIRST = TODAY - timedelta(days=250)
SINCE, UNTIL = TODAY - timedelta(days=100), TODAY
LEAD, REVIEW = 6, 4
LOW_OR_WORSE = ("low", "critical", "out")


def history(office: str, seed: int) -> None:
    """Some 20 cards a working day, and deliveries that often come too late."""
    chance = random.Random(seed)
    where = offices.get(SYSTEM, Action.VIEW_STOCK, office)
    item = items.get(BLANK)
    common: dict[str, Any] = {"office_id": where.id, "item_id": item.id}
    lines = [Line(**common, kind=Kind.RECEIPT, reason="opening", quantity=300, effective_on=FIRST)]
    store, dry = 300, 0
    for day in (FIRST + timedelta(days=n) for n in range(1, (TODAY - FIRST).days)):
        if store == 0:
            dry += 1
        if dry > chance.randint(0, 9) or chance.random() < 0.02:
            came, dry = chance.randint(50, 400), 0
            store += came
            lines.append(Line(**common, kind=Kind.RECEIPT, reason="supplied", quantity=came, effective_on=day))
        printed = min(store, chance.randint(5, 35)) if day.weekday() < 5 else 0
        if printed:
            store -= printed
            served = chance.choice((0, 0, printed // 3))
            line = Line(
                **common, kind=Kind.PRINT, reason="new", quantity=printed, served_waiting=served, effective_on=day
            )
            lines.append(line)
    ledger.post(SYSTEM, NOW, uuid4(), lines, origin="synthetic")


def alert(office: str, steps: list[tuple[date, str, dict[str, Any]]], resolved: date | None = None) -> None:
    """An alert whose levels changed in the small hours (Denpasar's) of these days."""
    where = offices.get(SYSTEM, Action.VIEW_STOCK, office)

    def at(day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=6)

    level = steps[-1][1]
    values = {
        "office_id": where.id,
        "item_id": items.get(BLANK).id,
        "subject": "low_stock",
        "level": level,
        "opened_at": at(steps[0][0]),
        "changed_at": at(steps[-1][0]),
        "resolved_at": at(steps[-1][0]) if level == "ok" else resolved and at(resolved),
        "done": "relieved" if level == "ok" else resolved and "other",
        "facts": {},
    }
    alert_id = db.session.scalar(insert(Alert).values(values).returning(Alert.id))
    before = "ok"
    for day, to_level, facts in steps:
        row = {"alert_id": alert_id, "at": at(day), "from_level": before, "to_level": to_level, "facts": facts}
        db.session.execute(insert(AlertEvent).values(row))
        before = to_level
    db.session.commit()


def facts(store: int, inbound: int = 0, *, known: bool = True) -> dict[str, Any]:
    said = {"store": store, "usable": store, "inbound": inbound, "lead_days": LEAD, "review_days": REVIEW}
    return said | {"known": known, "level_per_day": 20.0 if known else None}


def random_alerts(office: str, seed: int) -> None:
    chance = random.Random(seed)
    day = FIRST + timedelta(days=20)
    while day < TODAY - timedelta(days=3):
        steps: list[tuple[date, str, dict[str, Any]]] = []
        level = "ok"
        for _ in range(chance.randint(1, 3)):
            level = chance.choice([each for each in ("watch", "low", "critical", "out") if each != level])
            store = 0 if level == "out" else chance.randint(20, 500)
            said = facts(store, chance.choice((0, 0, 100)), known=chance.random() < 0.9)
            steps.append((day, level, said))
            day += timedelta(days=chance.randint(1, 4))
        if day >= TODAY - timedelta(days=3):
            break
        alert(office, [*steps, (day, "ok", facts(900))])
        day += timedelta(days=chance.randint(1, 6))


# --- the naive computation ---------------------------------------------------------------------------------------


class Naive:
    """One office's figures, straight from movements and events, a day at a time."""

    def __init__(self, office: str) -> None:
        where = offices.get(SYSTEM, Action.VIEW_STOCK, office)
        self.calendar = calendars.of_offices([(where.id, where.settings.working_days)], FIRST, TODAY)[where.id]
        self.zone = where.time_zone
        self.moves = db.session.scalars(select(Movement).where(Movement.office_id == where.id)).all()
        self.last = max(each.effective_on for each in self.moves)
        self.days = [FIRST + timedelta(days=n) for n in range(1, (self.last - FIRST).days + 1)]
        # What the service looks at: from 120 days before the period on.
        self.days = [day for day in self.days if day >= SINCE - timedelta(days=alert_figures.LOOK_BACK)]
        self.open = {day for day in self.days if self.calendar.is_open(day)}
        query = select(Alert.id, AlertEvent).join(AlertEvent, AlertEvent.alert_id == Alert.id)
        rows = db.session.execute(query.where(Alert.office_id == where.id).order_by(AlertEvent.id)).all()
        self.warnings: list[tuple[date, date | None, dict[str, Any]]] = []
        by_alert: dict[int, list[AlertEvent]] = defaultdict(list)
        for alert_id, each in rows:
            by_alert[alert_id].append(each)
        for events in by_alert.values():
            began: AlertEvent | None = None
            for each in events:
                if each.to_level in LOW_OR_WORSE:
                    began = began or each
                elif began:
                    self.warnings.append((self.day(began.at), self.day(each.at), began.facts))
                    began = None
            if began:
                self.warnings.append((self.day(began.at), None, began.facts))

    def day(self, at: datetime) -> date:
        return local_day(at, self.zone)

    def store(self, day: date) -> int:
        signs = {Kind.RECEIPT: 1, Kind.PRINT: -1}
        return sum(signs[Kind(each.kind)] * each.quantity for each in self.moves if each.effective_on <= day)

    def came(self, day: date) -> int:
        return sum(each.quantity for each in self.moves if each.effective_on == day and each.kind == "receipt")

    def asked(self, day: date) -> int:
        today = [each for each in self.moves if each.effective_on == day and each.kind == "print"]
        return sum(each.quantity - each.served_waiting for each in today)

    def figures(self) -> dict[date, Figures]:
        counts: dict[date, dict[str, Any]] = defaultdict(lambda: defaultdict(int))
        leads: dict[date, list[int]] = defaultdict(list)
        for month, timing, lead in self.stock_outs():
            counts[month][timing] += 1
            if lead is not None:
                leads[month].append(lead)
        for day, _, said in self.warnings:
            if SINCE <= day <= UNTIL:
                counts[day.replace(day=1)][self.verdict(day, said)] += 1
        return {
            month: Figures(**found, median_lead=float(median(leads[month])) if leads[month] else None)
            for month, found in counts.items()
        }

    def stock_outs(self) -> list[tuple[date, str, int | None]]:
        found = []
        opened = sorted(self.open)
        for before, day in pairwise(opened):
            if self.store(day) > 0 or self.store(before) <= 0 or not SINCE <= day <= UNTIL:
                continue
            arrivals = [each for each in self.days if each < day and self.came(each)]
            since = max(arrivals, default=self.days[0] - timedelta(days=1)) + timedelta(days=1)
            counting = [b for b, e, _ in self.warnings if b <= day and (e is None or e > since)]
            if not counting:
                found.append((day.replace(day=1), "missed", None))
                continue
            lead = len([each for each in opened if min(counting) <= each <= day]) - 1
            found.append((day.replace(day=1), "in_time" if lead >= LEAD else "late", lead))
        return found

    def verdict(self, day: date, said: dict[str, Any]) -> str:
        if said["store"] <= 0:
            return "empty"
        if not said["known"]:
            return "no_projection"
        days = [each for each in sorted(self.open) if each >= day][: LEAD + REVIEW]
        blind = {each for each in days if self.store(each) <= 0 or self.store(each - timedelta(days=1)) <= 0}
        seen = [self.asked(each) for each in days if each not in blind]
        usual = sum(seen) / len(seen) if seen else 0.0

        def gone(floor: float) -> bool:
            asked, arrived = 0.0, 0
            for each in days:
                asked += max(self.asked(each), floor if each in blind else 0.0)
                arrived = sum(self.came(d) for d in self.days if day <= d <= each)
                if said["usable"] + min(arrived, said["inbound"]) - asked <= 1e-9:
                    return True
            return False

        if gone(0.0):
            return "needed"
        if len(days) < LEAD + REVIEW or len(seen) * 2 < len(days):
            return "undecided"
        return "needed" if gone(usual) else "false"


@pytest.mark.parametrize("seed", range(4))
def test_the_figures_are_those_of_a_naive_computation(world: World, seed: int) -> None:
    for number, office in enumerate((DENPASAR, BADUNG)):
        history(office, seed * 10 + number)
        random_alerts(office, 100 + seed * 10 + number)
    found = alert_figures.of_office(SYSTEM, NOW, "51", SINCE, UNTIL)
    regions = {each.code: dict(each.months) for each in found.regions}
    for office in (DENPASAR, BADUNG):
        assert regions[office] == Naive(office).figures()
    assert found.total.stock_outs == sum(each.total.stock_outs for each in found.regions)
    assert found.total.stock_outs > 3, "or nothing was tried"
    assert found.total.needed
    assert found.total.false
    assert found.left_out == 0
    of_denpasar = alert_figures.of_office(SYSTEM, NOW, DENPASAR, SINCE, UNTIL)
    assert dict(of_denpasar.months) == regions[DENPASAR]
    assert [each.code for each in of_denpasar.regions] == [DENPASAR]


def test_a_case_that_people_resolved_ends_the_warning(world: World) -> None:
    history(DENPASAR, 3)
    day = SINCE + timedelta(days=5)
    alert(DENPASAR, [(day, "low", facts(100))])
    [steps] = alert_figures._steps(_stocks(), SINCE, UNTIL).values()
    assert [each.level for each in steps] == ["low"]
    db.session.execute(update(Alert).values(resolved_at=datetime(2024, 4, 1, tzinfo=UTC), done="ordered"))
    db.session.commit()
    [steps] = alert_figures._steps(_stocks(), SINCE, UNTIL).values()
    assert [each.level for each in steps] == ["low", "ok"]
    assert SINCE + timedelta(days=steps[-1].day) == date(2024, 4, 1)


def _stocks() -> Any:
    from inventory.services import projection_inputs

    return projection_inputs.stocks_in_reach(SYSTEM, offices.get(SYSTEM, Action.VIEW_STOCK, DENPASAR).path)


def test_only_what_one_may_see_counts(world: World) -> None:
    for office in (DENPASAR, BADUNG):
        history(office, 1)
        alert(office, [(SINCE + timedelta(days=5), "low", facts(10)), (UNTIL - timedelta(days=9), "ok", facts(900))])
    whole = alert_figures.of_office(world.actor("regional"), NOW, "51", SINCE, UNTIL)
    assert {each.code for each in whole.regions} == {DENPASAR, BADUNG}
    own = alert_figures.of_office(world.actor("manager"), NOW, DENPASAR, SINCE, UNTIL)
    assert own.total.stock_outs * 2 == whole.total.stock_outs
    for office in ("51", BADUNG):
        with pytest.raises(NotAllowed):
            alert_figures.of_office(world.actor("manager"), NOW, office, SINCE, UNTIL)
    with pytest.raises(NotFound):
        alert_figures.of_office(SYSTEM, NOW, "99", SINCE, UNTIL)


def test_what_is_asked_for_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid, match="period_backwards"):
        alert_figures.of_office(SYSTEM, NOW, DENPASAR, TODAY, SINCE)
    with pytest.raises(Invalid, match="period_too_long"):
        alert_figures.of_office(SYSTEM, NOW, DENPASAR, TODAY - timedelta(days=366), TODAY)
    nothing = alert_figures.of_office(SYSTEM, NOW, DENPASAR, SINCE, UNTIL)
    assert (nothing.total, nothing.months, nothing.regions) == (Figures(), (), ())
    for office in (DENPASAR, BADUNG):
        history(office, 1)
    monkeypatch.setattr(alert_figures, "MOST_STOCKS", 1)
    with pytest.raises(Invalid, match="too_many_stocks"):
        alert_figures.of_office(SYSTEM, NOW, "51", SINCE, UNTIL)
    monkeypatch.setattr(alert_figures, "MOST_STOCKS", 2)
    monkeypatch.setattr(alert_figures, "MOST_REGIONS", 1)
    monkeypatch.setattr(alert_figures, "BATCH", 1)
    found = alert_figures.of_office(SYSTEM, NOW, "51", SINCE, UNTIL)
    assert (len(found.regions), found.left_out) == (1, 1)


def test_a_period_that_has_not_begun_has_no_figures(world: World) -> None:
    history(DENPASAR, 1)
    found = alert_figures.of_office(SYSTEM, NOW, DENPASAR, TODAY, TODAY + timedelta(days=30))
    assert found.total == Figures()


def test_the_command_tells_the_same(world: World) -> None:
    history(DENPASAR, 1)
    alert(DENPASAR, [(SINCE + timedelta(days=5), "low", facts(10)), (UNTIL - timedelta(days=9), "ok", facts(900))])
    found = alert_figures.of_office(SYSTEM, NOW, "51", SINCE, UNTIL)
    runner = world.app.test_cli_runner()
    args = ["alerts", "figures", "--office", "51", "--from", str(SINCE), "--to", str(UNTIL)]
    rows = json.loads(runner.invoke(args=[*args, "--json"]).output)
    whole = [each for each in rows if each["office"] == "51"]
    assert whole[0] == {"office": "51", "month": None} | found.total.as_json()
    assert [each["month"] for each in whole[1:]] == [f"{month:%Y-%m}" for month, _ in found.months]
    assert {each["office"] for each in rows} == {"51", DENPASAR}
    told = runner.invoke(args=args).output
    assert f"{found.months[0][0]:%Y-%m}" in told
    refused = runner.invoke(args=["alerts", "figures", "--office", "nowhere"])
    assert refused.exit_code == 1
    assert "Traceback" not in refused.output
