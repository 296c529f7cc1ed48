"""All offices below one beside each other: sums as in plain Python, in order, page by page, within reach, and quick."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask_migrate import downgrade, upgrade
from sqlalchemy import insert, select

from inventory.db import db
from inventory.domain.access import SYSTEM, Action, Actor, Grant, Role
from inventory.domain.alerts import SEVERITY, Level
from inventory.domain.errors import NotAllowed, NotFound
from inventory.domain.ledger import Kind, Line
from inventory.domain.stock_overview import PER_PAGE, SORTS, Asking
from inventory.models import Balance, Item, Office, StoredProjection, SubtreeTrend
from inventory.services import explanations, items, ledger, offices, reviews, stated_rates, stock_overview
from inventory.services.projection_inputs import RECENT_DAYS
from inventory.services.stock_overview import LEVELS, Figures, Overview
from tests.conftest import NOW, TODAY
from tests.services.test_run_out_calendar import _statements
from tests.world import BADUNG, BLANK, DENPASAR, World

BALI = Actor(1, "Uji", (Grant(Role.VIEWER, "00/51/"),))


def on(number: int) -> date:
    return TODAY + timedelta(days=number)


def spread(world: World, districts: int = 23, seed: int = 5) -> None:
    """Stocks of every kind in Bali and outside: reviewed or not, out, unknown, under way, alike."""
    dice = random.Random(seed)
    parent = db.session.scalars(select(Office).where(Office.code == DENPASAR)).one()
    copied = {name: getattr(parent, name) for name in ("time_zone", "working_days", "service_level")}
    copied |= {"review_period_days": 5, "kind": "district", "parent_id": parent.id, "active": True}
    made = [
        {"code": f"51.71.{i + 100}", "name": f"Kecamatan {i % 7}", "path": f"{parent.path}51.71.{i + 100}/"}
        | copied
        | {"lead_time_days": dice.choice((5, 14))}
        for i in range(districts)
    ]
    db.session.execute(insert(Office), made)
    item_id, other = items.get(BLANK).id, items.get("kia").id
    stocks, reviewed = [], []
    for office in db.session.scalars(select(Office).order_by(Office.code)):
        if office.code == "51.71.02":
            continue  # it keeps nothing
        key = {"office_id": office.id, "item_id": item_id}
        store, transit = dice.choice((0, 5, 40, 40, 900)), dice.choice((0, 0, 7))
        books = {"received": store + transit, "store": store, "transit": transit, "last_seq": 3}
        stocks += [key | books, key | {"item_id": other} | books]
        if dice.random() < 0.8:
            reviewed.append(key | _said(dice, store))
    db.session.execute(insert(Balance), stocks)
    db.session.execute(insert(StoredProjection), reviewed)
    db.session.commit()


def _said(dice: random.Random, store: int) -> dict[str, Any]:
    use = dice.choice((None, 0.0, 2.5, 40.0))
    day = on(dice.randint(1, 40)) if use else None
    return {
        "on_day": TODAY,
        "made_at": NOW - timedelta(minutes=dice.randint(0, 99)),
        "facts": {},
        "level": "unknown" if use is None else dice.choice(("ok", "watch", "low", "critical")),
        "per_day": use,
        "cover_days": store / use if use else None,
        "reorder_point": None if use is None else round(14 * use),
        "to_come": dice.choice((0, 500)),
        "next_due_on": on(dice.randint(1, 9)) if dice.random() < 0.4 else None,
        "stockout_on": day,
        "stockout_early_on": day - timedelta(days=2) if day else None,
        "stockout_late_on": None,
    }


def asked(office_code: str, actor: Actor = BALI, **asking: Any) -> Overview:
    return stock_overview.of_office(actor, NOW, office_code, BLANK, Asking(**asking))


def every_page(office_code: str, **asking: Any) -> list[stock_overview.OverviewRow]:
    first = asked(office_code, **asking)
    rest = [asked(office_code, **asking, page=number) for number in range(2, first.pages + 1)]
    return [row for found in (first, *rest) for row in found.rows]


def kept(path: str) -> list[Any]:
    """The stocks below a path, each with what was said of it, read one by one."""
    rows = db.session.execute(
        select(Office, Balance, StoredProjection)
        .select_from(Balance)
        .join(Office, Office.id == Balance.office_id)
        .join(Item, Item.id == Balance.item_id)
        .outerjoin(
            StoredProjection,
            (StoredProjection.office_id == Balance.office_id) & (StoredProjection.item_id == Balance.item_id),
        )
        .where(Item.code == BLANK)
    )
    return [row for row in rows if row[0].path.startswith(path)]


def level_of(balance: Balance, said: StoredProjection | None) -> str | None:
    if said is None:
        return None
    return "out" if balance.store <= 0 else said.level


def added_up(stocks: Sequence[Any]) -> dict[str, Any]:
    """The figures of some stocks in plain Python."""
    known = [(balance, said) for _, balance, said in stocks if said is not None and said.per_day is not None]
    use = sum(said.per_day for _, said in known) if known else None
    alive = [said for _, balance, said in stocks if said is not None and level_of(balance, said) != "out"]
    levels = Counter(level_of(balance, said) for _, balance, said in stocks)
    return {
        "holders": len(stocks),
        "store": sum(balance.store for _, balance, _ in stocks),
        "transit": sum(balance.transit for _, balance, _ in stocks),
        "to_come": sum(said.to_come for _, _, said in stocks if said is not None),
        "use": use,
        "cover": sum(balance.store for balance, _ in known) / use if use else None,
        "reorder": sum(said.reorder_point for _, said in known) / use if use else None,
        "lead": max((office.lead_time_days for office, _, _ in stocks), default=None),
        "next_on": min((said.next_due_on for _, _, said in stocks if said and said.next_due_on), default=None),
        "out_on": min((said.stockout_on for said in alive if said.stockout_on), default=None),
        "early_on": min((said.stockout_early_on for said in alive if said.stockout_early_on), default=None),
        "levels": {level: levels[level] for level in LEVELS},
        "synthetic": False,
    }


def told(figures: Figures) -> dict[str, Any]:
    return {name: pytest.approx(value) if isinstance(value, float) else value for name, value in vars(figures).items()}


# --- sums --------------------------------------------------------------------------------------------------------


@pytest.mark.filled(by=spread)
def test_each_line_is_what_its_offices_add_up_to(world: World) -> None:
    for top in ("00", "51", DENPASAR):
        found = asked(top, SYSTEM)
        assert told(found.whole) == added_up(kept(found.office.path)), top
        for row in found.rows:
            own = row.code == top
            stocks = [each for each in kept(row.path) if not own or each[0].path == row.path]
            expected = added_up(stocks)
            if row.alone:  # its days are those of its own review
                [(_, balance, said)] = stocks
                expected["cover"] = 0.0 if balance.store <= 0 else said and said.cover_days
                assert row.level == level_of(balance, said)
            assert told(row.figures) == expected, row.code
    assert {row.code for row in asked("51").rows} == {"51", BADUNG, DENPASAR}


@pytest.mark.filled(by=spread)
def test_offices_that_keep_nothing_have_a_line_and_no_figures(world: World) -> None:
    [row] = [row for row in every_page(DENPASAR) if row.code == "51.71.02"]
    assert (row.figures.holders, row.level, row.below, row.trend) == (0, None, 0, ())
    assert "51.71.02" not in {row.code for row in every_page(DENPASAR, everything=True)}


@pytest.mark.filled(by=spread)
def test_the_newest_review_is_told(world: World) -> None:
    made = [said.made_at for _, _, said in kept("00/51/") if said]
    assert asked("51").reviewed_at == max(made)
    assert asked(DENPASAR, words="no such office").reviewed_at is None


@pytest.mark.filled(by=spread)
def test_what_was_refilled_or_used_up_since_the_review(world: World) -> None:
    stocks = {office.code: (balance, said) for office, balance, said in kept("00/51/")}
    used, _ = next(each for code, each in stocks.items() if code.startswith("51.71.1") and each[1] is not None)
    code = next(code for code, each in stocks.items() if each[0] is used)
    used.store = used.received = used.transit = 0
    refilled, again = next(each for other, each in stocks.items() if each[1] is not None and other != code)
    again.level, again.per_day, again.stockout_on = "out", 2.5, TODAY
    refilled.store, refilled.received = 40, 40 + refilled.transit
    other = next(other for other, each in stocks.items() if each[0] is refilled)
    db.session.commit()
    alone = {row.code: row for row in every_page("51", everything=True)}
    assert (alone[code].level, alone[code].figures.cover, alone[code].figures.out_on) == ("out", 0.0, None)
    assert (alone[other].level, alone[other].figures.cover, alone[other].figures.out_on) == (None, 16.0, None)


@pytest.mark.filled(by=spread)
def test_a_stock_by_itself_is_told_the_same_along_the_tree_and_one_by_one(world: World) -> None:
    alone = {row.code: row.figures for row in every_page("51", everything=True)}
    along = [row for top in ("51", DENPASAR) for row in every_page(top) if row.alone]
    assert len(along) > 15
    for row in along:
        assert row.figures == alone[row.code], row.code
    for level in ("out", "low", "ok"):
        found = asked("51", level=level)
        whole = [figures for figures in alone.values() if figures.levels[level]]
        assert (found.found, found.whole.store) == (len(whole), sum(figures.store for figures in whole))


@pytest.mark.filled(by=spread)
def test_a_line_that_differs_in_anything_is_another_line(world: World) -> None:
    """What was drawn once is drawn again for the very same line alone."""
    row = asked("51").rows[0]
    for each in fields(row):
        if each.name != "figures":
            assert replace(row, **{each.name: object()}).told != row.told, each.name
    for each in fields(row.figures):
        other: Any = object() if each.name != "levels" else {**row.figures.levels, "ok": -1}
        assert replace(row, figures=replace(row.figures, **{each.name: other})).told != row.told, each.name


# --- order, pages, filters ---------------------------------------------------------------------------------------


def key_of(row: stock_overview.OverviewRow, sort: str) -> Any:
    """What a line is sorted by, in plain Python; None for what is not known."""
    figures = row.figures
    if not figures.holders:
        return None if sort != "office" else row.name.lower()
    worst = max((SEVERITY[Level(name)] for name, count in figures.levels.items() if count), default=None)
    return {
        "level": worst,
        "office": row.name.lower(),
        "use": figures.use,
        "cover": figures.cover,
        "next": figures.next_on,
        "out": date.min if figures.levels["out"] else figures.out_on,
        "store": figures.store,
        "transit": figures.transit,
        "to_come": figures.to_come,
    }[sort]


@pytest.mark.filled(by=lambda world: spread(world, 70))
def test_every_column_sorts_both_ways_and_pages_have_no_gaps(world: World) -> None:
    everybody = {office.code for office, _, _ in kept("00/51/")}
    assert len(everybody) > PER_PAGE
    for sort in SORTS:
        for down in (False, True):
            rows = every_page("51", everything=True, sort=sort, down=down)
            assert len(rows) == len(everybody), sort
            assert {row.code for row in rows} == everybody, sort
            keys = [key_of(row, sort) for row in rows]
            known = [key for key in keys if key is not None]
            assert known == sorted(known, reverse=down), (sort, down)
            assert keys[: len(known)] == known, f"{sort}: what is not known comes last"
    assert asked("51", everything=True, page=99).asking.page == 2


@pytest.mark.filled(by=spread)
def test_the_most_urgent_come_first_and_of_these_the_first_to_run_out(world: World) -> None:
    rows = [row for row in every_page("51", everything=True) if row.level == "critical"]
    days = [row.figures.out_on for row in rows if row.figures.out_on]
    assert len(days) > 1
    assert days == sorted(days)


@pytest.mark.filled(by=spread)
def test_a_level_and_words_look_among_all_offices_below(world: World) -> None:
    for level in LEVELS:
        expected = {office.code for office, balance, said in kept("00/51/") if level_of(balance, said) == level}
        found = asked("51", level=level)
        assert {row.code for row in found.rows} == expected
        assert found.whole.holders == found.found == len(expected)
    assert {row.code for row in asked("51", words="DENPASAR").rows} == {DENPASAR, "51.71.01"}
    assert {row.code for row in asked("51", words="51.71.10").rows} == {f"51.71.{100 + i}" for i in range(10)}
    assert asked("51", words="%").found == asked("51", words="_").found == 0


# --- reach -------------------------------------------------------------------------------------------------------


@pytest.mark.filled(by=spread)
def test_nobody_sees_beyond_their_reach(world: World) -> None:
    with pytest.raises(NotAllowed):
        asked("00")
    with pytest.raises(NotFound):
        stock_overview.of_office(BALI, NOW, "51", "no-such-item", Asking())
    keeper = Actor(1, "Uji", (Grant(Role.STOREKEEPER, "00/51/51.71/"), Grant(Role.VIEWER, "00/51/51.71/51.71.01/")))
    for asking in ({}, {"everything": True}):
        found = asked(DENPASAR, keeper, **asking)
        assert {row.code for row in found.rows} == {DENPASAR, "51.71.01"}
        own = [each for each in kept("00/51/51.71/") if each[0].code in (DENPASAR, "51.71.01")]
        assert told(found.whole) == added_up(own)
    own, above = (offices.get(SYSTEM, Action.VIEW_STOCK, code) for code in (DENPASAR, "51"))
    assert [item.code for item in stock_overview.kept_items(keeper, own)] == [BLANK, "kia"]
    with pytest.raises(NotAllowed):
        stock_overview.kept_items(keeper, above)
    with pytest.raises(NotAllowed):
        stock_overview.below(keeper, NOW, above, items.get(BLANK), Asking())


# --- the last days -----------------------------------------------------------------------------------------------


def test_the_last_days_are_what_the_stock_card_says_and_add_up_along_the_tree(world: World) -> None:
    for code, received, used in ((DENPASAR, 300, 20), ("51.71.01", 100, 7), (BADUNG, 50, 3)):
        _history(code, received, used)
        stated_rates.state(SYSTEM, NOW, code, BLANK, used, "uji")
    reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
    rows = {row.code: row for row in every_page("51", everything=True)}
    for code in (DENPASAR, "51.71.01", BADUNG):
        past = {each.day: each.store for each in explanations.of_stock(SYSTEM, NOW, code, BLANK).past}
        assert len(rows[code].trend) == RECENT_DAYS
        for number, store in enumerate(reversed(rows[code].trend)):
            assert store == past.get(on(-number), 0), (code, number)
    by_hand = [sum(each) for each in zip(*(rows[code].trend for code in (DENPASAR, "51.71.01")), strict=True)]
    tree = {row.code: row for row in asked("51").rows}
    assert list(tree[DENPASAR].trend) == by_hand
    assert tree[DENPASAR].trend_on == TODAY
    assert (tree[BADUNG].alone, tree[BADUNG].trend) == (True, rows[BADUNG].trend)


def test_a_review_of_an_earlier_day_or_of_one_office_leaves_the_sums_alone(world: World) -> None:
    _history(DENPASAR, 300, 20)
    _history("51.71.01", 100, 7)
    _review(1, on=TODAY)
    before = _trends()
    assert set(before) == {"00", "51", DENPASAR}, "an office with none below it has nothing to add up"
    _review(2, on=on(-3))
    _review(3, on=TODAY, office_code="51.71.01")
    assert _trends() == before
    _history("51.71.02", 10, 1)
    _review(4, on=TODAY)
    assert _trends()["51"][-1] == before["51"][-1] + 10 - 4


def _review(minute: int, **which: Any) -> None:
    reviews.review(SYSTEM, lambda: NOW + timedelta(minutes=minute), "test", **which)


def _trends() -> Mapping[str, list[int]]:
    db.session.rollback()
    rows = db.session.execute(
        select(Office.code, SubtreeTrend.stores).join(Office, Office.id == SubtreeTrend.office_id)
    )
    return {row.code: row.stores for row in rows}


def _history(code: str, received: int, used: int) -> None:
    """A delivery 20 days ago, and some use on four days since."""
    office_id, item_id = offices.get(SYSTEM, Action.VIEW_STOCK, code).id, items.get(BLANK).id

    def line(kind: Kind, reason: str, quantity: int, back: int) -> Line:
        return Line(
            office_id=office_id, item_id=item_id, kind=kind, reason=reason, quantity=quantity, effective_on=on(-back)
        )

    uses = [line(Kind.PRINT, "new", used, back) for back in (0, 1, 9, 13)]
    ledger.post(SYSTEM, NOW, uuid4(), [line(Kind.RECEIPT, "supplied", received, 20), *uses])


def test_the_review_keeps_how_a_stock_stands_as_columns_and_so_does_the_migration(world: World) -> None:
    world.deliver(NOW, TODAY, 90)
    world.ask(NOW, TODAY, 500)
    stated_rates.state(SYSTEM, NOW, DENPASAR, BLANK, 20, "uji")
    reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
    row = db.session.scalars(select(StoredProjection)).one()
    facts = row.facts
    assert facts["due"], "what was asked for is expected"
    told = {"cover_days": facts["cover_days"], "reorder_point": facts["reorder_point"], "per_day": 20.0}
    told |= {"to_come": facts["inbound"], "next_due_on": date.fromisoformat(facts["due"][0][0])}
    assert told["to_come"] == 500
    assert {name: getattr(row, name) for name in told} == told
    db.session.remove()
    downgrade(revision="20261130_outlooks-1")
    upgrade()
    row = db.session.scalars(select(StoredProjection)).one()
    assert {name: getattr(row, name) for name in told} == told


def test_what_was_used_up_since_the_review_is_out(world: World) -> None:
    world.deliver(NOW, TODAY, 40)
    stated_rates.state(SYSTEM, NOW, DENPASAR, BLANK, 20, "uji")
    reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
    [row] = [row for row in asked("51", everything=True).rows if row.code == DENPASAR]
    assert (row.level, row.figures.use, row.figures.out_on is not None) == ("critical", 20, True)
    world.print(NOW, TODAY, 40)
    [row] = [row for row in asked("51", level="out").rows if row.code == DENPASAR]
    assert (row.level, row.figures.cover, row.figures.out_on) == ("out", 0.0, None)


# --- how much it costs -------------------------------------------------------------------------------------------


@pytest.mark.filled(by=spread)
def test_the_number_of_queries_does_not_grow_with_the_offices(world: World) -> None:
    ways: tuple[dict[str, Any], ...] = ({}, {"everything": True}, {"level": "low"}, {"words": "kec"})
    few = [len(_statements(lambda way=way: asked("51", **way))) for way in ways]
    _more_districts(800)
    many = [len(_statements(lambda way=way: asked("51", **way))) for way in ways]
    assert many == few
    assert max(many) <= 9
    whole = asked("51", everything=True)
    assert whole.found > 800
    assert len(whole.rows) == PER_PAGE
    assert replace(whole.asking, page=1) == whole.asking


def _more_districts(number: int) -> None:
    parent = db.session.scalars(select(Office).where(Office.code == BADUNG)).one()
    copied = {name: getattr(parent, name) for name in ("time_zone", "working_days", "service_level", "lead_time_days")}
    copied |= {"review_period_days": 5, "kind": "district", "parent_id": parent.id, "active": True}
    made = [
        {"code": f"51.03.{i + 1000}", "name": f"Kecamatan {i}", "path": f"{parent.path}51.03.{i + 1000}/"} | copied
        for i in range(number)
    ]
    db.session.execute(insert(Office), made)
    ids = db.session.scalars(select(Office.id).where(Office.code.like("51.03.%"))).all()
    key = {"item_id": items.get(BLANK).id}
    books = {"received": 40, "store": 40, "last_seq": 1}
    db.session.execute(insert(Balance), [key | books | {"office_id": office_id} for office_id in ids])
    said = {"on_day": TODAY, "made_at": NOW, "level": "low", "facts": {}, "per_day": 2.0, "cover_days": 20.0}
    db.session.execute(insert(StoredProjection), [key | said | {"office_id": office_id} for office_id in ids])
    db.session.commit()
