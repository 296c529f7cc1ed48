"""The demonstration: where it ends, that it says what it is, and that it keeps away from real data."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select

from inventory import create_app
from inventory.db import db
from inventory.domain.access import SYSTEM, Action
from inventory.domain.demo_history import DayEntry
from inventory.domain.errors import Refusal
from inventory.domain.ledger import FIGURES, Kind, Line, obeys_law
from inventory.domain.offices import OfficeKind
from inventory.domain.reports import Month
from inventory.models import (
    Balance,
    CalendarDay,
    DailyTotal,
    Delivery,
    Event,
    Item,
    Membership,
    Movement,
    Office,
    OutreachPlan,
    Person,
    ReportedFigure,
)
from inventory.services import (
    balances,
    calendars,
    coverage,
    demo,
    events,
    items,
    ledger,
    offices,
    outreach,
    people,
    projections,
)
from tests.conftest import NOW, TODAY, dispose, test_settings
from tests.services.test_verification import write_past_the_ledger
from tests.world import World

DENPASAR, BADUNG, BANGLI = "51.71", "51.03", "51.06"
BLANK = "ktp-wni"
PUBLISHED = {
    (DENPASAR, BLANK): 1639,
    (DENPASAR, "ktp-wna"): 539,
    (BADUNG, BLANK): 2011,
    (BADUNG, "ktp-wna"): 718,
    (BANGLI, BLANK): 8,
}

Figures = dict[tuple[str, str], int]


def fake_hash(password: str) -> str:
    return f"hash of {password}"


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without a row, to be copied."""
    from flask_migrate import upgrade

    folder = tmp_path_factory.mktemp("migrated")
    app = create_app(test_settings(f"sqlite:///{folder / 'demo.sqlite3'}", folder))
    with app.app_context():
        upgrade()
    dispose(app)
    return folder / "demo.sqlite3"


def empty_app(migrated: Path, folder: Path) -> Flask:
    shutil.copy(migrated, folder)
    return create_app(test_settings(f"sqlite:///{folder / migrated.name}", folder))


@pytest.fixture
def empty(migrated: Path, tmp_path: Path) -> Iterator[Flask]:
    app = empty_app(migrated, tmp_path)
    with app.app_context():
        yield app
    dispose(app)


@pytest.fixture(scope="module")
def built_app(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Flask, demo.Demo]]:
    app = empty_app(migrated, tmp_path_factory.mktemp("demo"))
    with app.app_context():
        made = demo.build(NOW, password_hash=fake_hash, only={DENPASAR, BADUNG, BANGLI})
    yield app, made
    dispose(app)


@pytest.fixture
def built(built_app: tuple[Flask, demo.Demo]) -> Iterator[demo.Demo]:
    """A demonstration of three offices, only to be read."""
    app, made = built_app
    with app.app_context():
        yield made


def stores() -> Figures:
    rows = db.session.execute(
        select(Office.code, Item.code, Balance.store)
        .join(Office, Office.id == Balance.office_id)
        .join(Item, Item.id == Balance.item_id)
    )
    return {(office, item): store for office, item, store in rows}


def count(table: type[Any], *where: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(table).where(*where)) or 0


def of_denpasar(kind: str, measure: Any) -> dict[date, int]:
    rows = db.session.execute(
        select(DailyTotal.day, func.sum(measure))
        .join(Office, Office.id == DailyTotal.office_id)
        .join(Item, Item.id == DailyTotal.item_id)
        .where(Office.code == DENPASAR, Item.code == BLANK, DailyTotal.kind == kind)
        .group_by(DailyTotal.day)
    )
    return {day: int(total) for day, total in rows}


def test_it_ends_where_the_published_figures_are(built: demo.Demo) -> None:
    ends = stores()
    assert {key: ends[key] for key in PUBLISHED} == PUBLISHED
    assert built.last_day == TODAY


def test_every_holding_ends_with_what_the_table_says(built: demo.Demo) -> None:
    wanted = {(each.office, each.item): each.profile.ends_with for each in demo.HOLDINGS}
    assert stores() == {key: wanted[key] for key in stores()}


def test_the_table_names_published_ends_and_no_others() -> None:
    published = {(each.office, each.item): each.profile.ends_with for each in demo.HOLDINGS if each.source}
    assert published == PUBLISHED


def test_published_ends_are_those_of_the_shipped_figures() -> None:
    def rows(name: str) -> list[dict[str, str]]:
        return list(csv.DictReader((files("inventory") / "data" / name).read_text(encoding="utf-8").splitlines()))

    reported = {(row["office_code"], row["measure"], row["value"]) for row in rows("reported.csv")}
    assert (DENPASAR, "stock_wni", "1639") in reported
    assert (BADUNG, "stock_wni", "2011") in reported
    assert (BADUNG, "stock_wna", "718") in reported
    published = {(row["place"], row["as_of"]): row for row in rows("published_stock.csv")}
    assert published["Bangli", "2019-01-02"]["stock"] == "8"
    assert "539 WNA" in published["Denpasar", "2025-08-15"]["note"]


def test_published_coverage_is_kept_as_it_was_published(built: demo.Demo) -> None:
    """Of the days that have come when it is made: Tribun Bali's figures are of a week later."""
    found = coverage.show(SYSTEM, DENPASAR)
    assert {each.figure.as_of for each in found.reports} == {date(2017, 9, 30), date(2023, 9, 12)}
    assert (found.figures["not_enrolled"].value, found.figures["not_enrolled"].source) == (
        7636,
        "Bali Post, 13 Sep 2023",
    )
    assert [each.code for each in found.contradictions] == ["enrolment_sum", "cards_sum"]
    tabanan = coverage.show(SYSTEM, "51.02")
    assert (tabanan.figures["villages_online"].value, tabanan.figures["villages"].value) == (85, 133)
    assert {each.figure.source for each in tabanan.reports} == {"Pantau Bali, 15 May 2024"}
    assert coverage.show(SYSTEM, "16.09").figures == {}, "no year is given for OKU Selatan's"


def test_denpasar_prints_225_to_500_cards_on_an_average_open_day(built: demo.Demo) -> None:
    printed = of_denpasar("print", DailyTotal.quantity)
    first = min(printed)
    calendar = calendars.of_offices([(0, "1111100")], first, TODAY)[0]
    opened = calendar.open_days(first, TODAY)
    assert TODAY - first > timedelta(days=725)
    assert 225 <= sum(printed.get(day, 0) for day in opened) / len(opened) <= 500


def test_cards_are_printed_on_open_days_alone(built: demo.Demo) -> None:
    weeks = [(id_, week) for id_, week in db.session.execute(select(Office.id, Office.working_days))]
    by_office = calendars.of_offices(weeks, TODAY - timedelta(days=800), TODAY)
    rows = db.session.execute(select(DailyTotal.office_id, DailyTotal.day).distinct())
    assert all(by_office[office_id].is_open(day) for office_id, day in rows)
    assert count(CalendarDay, CalendarDay.open) > 5
    assert count(CalendarDay, CalendarDay.name.not_like("%sintetis%")) == 0


def test_denpasar_ran_out_twice_and_served_those_who_had_waited(built: demo.Demo) -> None:
    printed = of_denpasar("print", DailyTotal.quantity)
    served = of_denpasar("print", DailyTotal.served_waiting)
    calendar = calendars.of_offices([(0, "1111100")], min(printed), TODAY)[0]
    without = [day for day in calendar.open_days(min(printed), TODAY) if day not in printed]
    assert len(without) == 10
    for day in without:
        assert balances.as_of(SYSTEM, DENPASAR, BLANK, day).store == 0
        assert any(served.get(day + timedelta(days=later), 0) for later in range(1, 30))


def test_denpasar_has_had_no_delivery_for_two_weeks(built: demo.Demo) -> None:
    received = of_denpasar("receipt", DailyTotal.quantity)
    assert TODAY - max(received) >= timedelta(days=14)


def test_the_law_holds_for_every_balance(built: demo.Demo) -> None:
    rows = db.session.scalars(select(Balance)).all()
    assert len(rows) == 8
    for row in rows:
        assert obeys_law({figure: getattr(row, figure) for figure in FIGURES})
        assert row.synthetic


def test_all_of_it_says_that_it_is_made_up(built: demo.Demo) -> None:
    assert count(Movement) == count(Movement, Movement.origin == "synthetic") == built.movements
    assert count(Delivery) > 50
    assert count(Delivery, Delivery.bast_number.not_like("SINTETIS/%")) == 0
    assert count(Movement, Movement.reason == "opening", Movement.note != demo.SYNTHETIC_NOTE) == 0


def test_denpasar_knows_of_demand_to_come(built: demo.Demo) -> None:
    plans = outreach.of_month(SYSTEM, DENPASAR, Month(2024, 5)) + outreach.of_month(SYSTEM, DENPASAR, Month(2024, 6))
    assert [plan.day for plan in plans] == [date(2024, 5, 18), date(2024, 6, 1)]
    assert all(plan.day > TODAY and plan.office_open and "sintetis" in plan.place for plan in plans)
    coming = {each.name: each for each in events.coming(SYSTEM, NOW, DENPASAR)}
    enrolment = coming["Penerimaan siswa baru 2024 (data sintetis)"]
    assert (enrolment.kind, enrolment.items, enrolment.factor) == ("school_enrolment", ("kia",), None)
    assert coming["Pemilihan kepala daerah 27 November 2024"].last_day == date(2024, 11, 26)
    past = {each.name: each for each in events.listed(SYSTEM, TODAY)}
    assert past["Pemilihan umum 14 Februari 2024"].last_day == date(2024, 2, 13)


def test_it_looks_recorded_over_time(built: demo.Demo) -> None:
    recorded = db.session.scalars(select(Movement.recorded_at).order_by(Movement.id)).all()
    assert recorded == sorted(recorded)
    assert recorded[-1] <= NOW
    late = db.session.scalar(
        select(Movement.id).where(func.date(Movement.recorded_at) < func.date(Movement.effective_on)).limit(1)
    )
    assert late is None


def test_the_offices_are_the_official_ones(built: demo.Demo) -> None:
    assert Counter(db.session.scalars(select(Office.kind))) == {
        OfficeKind.MINISTRY: 1,
        OfficeKind.PROVINCE: 2,
        OfficeKind.REGENCY: 9,
        OfficeKind.CITY: 1,
        OfficeKind.DISTRICT: 57 + 19,
    }
    assert built.offices == 89


def test_its_accounts_can_log_in(built: demo.Demo) -> None:
    assert len(demo.PASSWORD) >= 12
    assert {(each.email, each.role.value, each.office_name) for each in built.accounts} >= {
        ("gudang@denpasar.test", "storekeeper", "Kota Denpasar"),
        ("kepala@denpasar.test", "manager", "Kota Denpasar"),
        ("pemantau@bali.test", "viewer", "Bali"),
    }
    for account in built.accounts:
        person = db.session.scalars(select(Person).where(Person.email == account.email)).one()
        assert person.password == fake_hash(account.password)
        assert [grant.role for grant in people.actor_for(person).grants] == [account.role]


def test_every_stock_of_it_is_projected_and_explained(built: demo.Demo) -> None:
    found = projections.of_stocks(SYSTEM, NOW, on=built.last_day)
    facts = {(each.office_code, each.item_code): each.facts for each in found}
    assert set(facts) == set(stores())
    for (_, item), told in facts.items():
        assert told["enough"]
        assert told["suggested_order"] is not None
        if item in ("ribbon", "film"):
            assert "reasons" not in told
        else:
            assert sum(told["reasons"].values()) == pytest.approx(told["level_per_day"], abs=0.3)
    denpasar = facts[DENPASAR, BLANK]
    assert denpasar["store"] == 1_639
    assert denpasar["cover_days"] < 7
    assert denpasar["outreach"]["prints"] > 0


def everything() -> tuple[list[Any], ...]:
    """All rows that a build writes, as plain values."""
    tables = (
        Movement, Balance, DailyTotal, Delivery, CalendarDay, Event, OutreachPlan, Person, Membership, ReportedFigure
    )  # fmt: skip
    return tuple(list(db.session.execute(select(table.__table__)).all()) for table in tables)


def test_a_second_build_changes_nothing(built: demo.Demo) -> None:
    before = everything()
    for later in (NOW, NOW + timedelta(days=40)):
        assert demo.build(later, seed=9, password_hash=fake_hash) == built
    assert everything() == before


def bangli(seed: int) -> list[DayEntry]:
    holding = next(each for each in demo.HOLDINGS if each.office == BANGLI)
    office = offices.get(SYSTEM, Action.VIEW_OFFICE, BANGLI)
    return demo._history(holding, office, NOW, seed, None)


def prints_of(entries: list[DayEntry]) -> int:
    return sum(sum(entry.printed.values()) for entry in entries)


def test_the_seed_alone_decides(empty: Flask) -> None:
    demo.build(NOW, seed=5, password_hash=fake_hash, only={BANGLI})
    printed = db.session.scalar(select(func.sum(DailyTotal.quantity)).where(DailyTotal.kind == "print"))
    assert printed == prints_of(bangli(5)) != prints_of(bangli(6))


def interrupted(after: int) -> Callable[[str], None]:
    """A listener that stops the build when it comes to its n-th month."""
    months: list[str] = []

    def listen(month: str) -> None:
        months.append(month)
        if len(months) > after:
            raise KeyboardInterrupt

    return listen


def test_an_interrupted_build_is_taken_up_again(empty: Flask) -> None:
    with pytest.raises(KeyboardInterrupt):
        demo.build(NOW, password_hash=fake_hash, only={BANGLI}, progress=interrupted(5))
    assert count(Movement) > 0
    assert count(Person) == 0
    demo.build(NOW + timedelta(minutes=5), password_hash=fake_hash, only={BANGLI})
    assert stores() == {(BANGLI, BLANK): 8}
    lines = count(Movement)
    demo.build(NOW, password_hash=fake_hash, only={BANGLI})
    assert count(Movement) == lines


@pytest.mark.parametrize("other", [{"seed": 2}, {"until": TODAY - timedelta(days=30)}])
def test_an_interrupted_build_is_not_mixed_with_another(empty: Flask, other: dict[str, Any]) -> None:
    with pytest.raises(KeyboardInterrupt):
        demo.build(NOW, password_hash=fake_hash, only={BANGLI}, progress=interrupted(5))
    lines = count(Movement)
    with pytest.raises(Refusal, match="demo_unfinished"):
        demo.build(NOW, password_hash=fake_hash, only={BANGLI}, **other)
    assert count(Movement) == lines


def test_it_ends_on_the_last_open_day_before_the_one_asked_for(empty: Flask) -> None:
    made = demo.build(NOW, password_hash=fake_hash, only={BANGLI}, until=date(2024, 5, 12))
    assert made.last_day == date(2024, 5, 8)  # Ascension Day, its collective leave, and a weekend
    assert stores() == {(BANGLI, BLANK): 8}


def test_nothing_is_recorded_for_a_day_that_has_not_come_yet(empty: Flask) -> None:
    early = datetime(2024, 5, 14, 23, 0, tzinfo=UTC)  # already Wednesday in Bali
    made = demo.build(early, password_hash=fake_hash, only={BANGLI}, until=date(2030, 1, 1))
    assert made.last_day == TODAY
    assert db.session.scalar(select(func.max(Movement.recorded_at))) == early


def test_it_is_not_put_among_real_accounts(world: World) -> None:
    with pytest.raises(Refusal, match="demo_on_real_data"):
        demo.build(NOW, password_hash=fake_hash, only={BANGLI})
    assert count(Movement) == 0


def without_accounts(app: Flask) -> None:
    """As if there had never been any: the audit, which keeps who they were, cannot be cleared by the application."""
    write_past_the_ledger(app, "DELETE FROM audit_entries", "DELETE FROM memberships", "DELETE FROM people")


def test_it_is_not_put_among_real_movements(world: World) -> None:
    ledger.post(
        SYSTEM,
        NOW,
        uuid4(),
        [
            Line(
                office_id=offices.get(SYSTEM, Action.VIEW_OFFICE, DENPASAR).id,
                item_id=items.get(BLANK).id,
                kind=Kind.RECEIPT,
                reason="supplied",
                quantity=500,
                effective_on=TODAY,
            )
        ],
    )
    without_accounts(world.app)
    with pytest.raises(Refusal, match="demo_on_real_data"):
        demo.build(NOW, password_hash=fake_hash, only={BANGLI})
    assert count(Movement) == 1
    assert count(Person) == 0


def test_it_is_the_same_on_both_databases(world: World) -> None:
    without_accounts(world.app)
    demo.build(NOW, password_hash=fake_hash, only={BANGLI})
    assert stores() == {(BANGLI, BLANK): 8}
    assert db.session.scalar(select(Balance.printed)) == prints_of(bangli(1))


@pytest.mark.slow
def test_the_whole_demonstration(empty: Flask) -> None:
    made = demo.build(NOW, password_hash=fake_hash)
    ends = stores()
    assert {key: ends[key] for key in PUBLISHED} == PUBLISHED
    assert {each.office for each in demo.HOLDINGS} == {"16.09", DENPASAR} | {f"51.0{n}" for n in range(1, 9)}
    assert len(ends) == len(demo.HOLDINGS) + 19 + 4
    assert 60_000 <= made.movements <= 150_000
    assert all(row.synthetic for row in db.session.scalars(select(Balance)))
