"""Balances: of an office, of a day, of a subtree; and who may see them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from functools import partial
from uuid import uuid4

import pytest
from sqlalchemy import select

from inventory.db import db
from inventory.domain.access import SYSTEM, Action, Actor, Grant, Reach, Role, reach
from inventory.domain.errors import Invalid, NotAllowed, NotFound
from inventory.domain.ledger import Effect, Kind, Line
from inventory.models import Balance, Item, Office, StoredProjection
from inventory.services import balances, items, ledger, offices, stock_cards
from inventory.services.balances import RolledUp
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

YESTERDAY = TODAY - timedelta(days=1)
STOCKED = ("51", DENPASAR, BADUNG, "51.71.01", "51.71.02", "16.09", "94.71", "00")
KEPT = (BLANK, "kia", "ribbon")


def person(*grants: tuple[Role, str]) -> Actor:
    return Actor(1, "Uji", tuple(Grant(role, path) for role, path in grants))


REGIONAL = person((Role.VIEWER, "00/51/"))


def stock_up(seed: int = 1, *, dispatched: bool = True) -> None:
    """Some offices hold some items; some of it is on its way."""
    dice = random.Random(seed)
    lines = []
    for office_code in STOCKED:
        office_id = offices.get(SYSTEM, Action.VIEW_STOCK, office_code).id
        for item_code in dice.sample(KEPT, 2):
            key = {"office_id": office_id, "item_id": items.get(item_code).id, "effective_on": TODAY}
            lines.append(Line(**key, kind=Kind.RECEIPT, reason="supplied", quantity=dice.randint(50, 90)))
            if dispatched:
                lines.append(Line(**key, kind=Kind.DISPATCH, reason="loan", quantity=dice.randint(1, 40)))
    ledger.post(SYSTEM, NOW, uuid4(), lines)


def judge(office_code: str, level: str) -> None:
    """As if the last review had said so of all that an office holds."""
    rows = db.session.scalars(select(Balance).join(Office).where(Office.code == office_code)).all()
    for row in rows:
        key = {"office_id": row.office_id, "item_id": row.item_id}
        db.session.add(StoredProjection(**key, on_day=TODAY, made_at=NOW, level=level, facts={}))
    db.session.commit()


def close_down(office_code: str) -> None:
    db.session.scalars(select(Office).where(Office.code == office_code)).one().active = False
    db.session.commit()


def added_up(top: str, allowed: Reach) -> dict[str, Counter[str]]:
    """Store, transit, offices per item and levels of a subtree, office by office."""
    sums = {name: Counter[str]() for name in ("store", "transit", "offices", "levels")}
    rows = db.session.execute(
        select(Office.path, Item.code, Balance.store, Balance.transit, StoredProjection.level)
        .select_from(Balance)
        .join(Office)
        .join(Item)
        .outerjoin(StoredProjection)
    )
    for path, item, store, transit, level in rows:
        if not (path.startswith(top) and allowed.includes(path)):
            continue
        sums["store"][item] += store
        sums["transit"][item] += transit
        sums["offices"][item] += 1
        if level:
            sums["levels"][f"{item} {level}"] += 1
    return sums


def shown(found: RolledUp) -> dict[str, Counter[str]]:
    levels = {f"{item} {level}": n for item, by_level in found.levels.items() for level, n in by_level.items()}
    return {
        "store": Counter(found.store),
        "transit": Counter(found.transit),
        "offices": Counter(found.offices),
        "levels": Counter(levels),
    }


# --- rolled up ---------------------------------------------------------------------------------------------------


def test_a_subtree_adds_up_to_its_offices(world: World) -> None:
    stock_up()
    judge(DENPASAR, "low")
    judge("51.71.01", "ok")
    judge(BADUNG, "low")
    for office_code in ("00", "51", DENPASAR, "51.71.01", "16", "94", BADUNG):
        whole, parts = balances.rolled_up(SYSTEM, office_code)
        for found in (whole, *parts):
            assert shown(found) == added_up(found.office.path, Reach(everywhere=True))


def test_the_parts_of_a_subtree_and_its_own_stock_make_the_whole(world: World) -> None:
    stock_up()
    whole, parts = balances.rolled_up(REGIONAL, "51")
    assert [part.office.code for part in parts] == [BADUNG, DENPASAR]
    own = {found.item_code: found.store for found in balances.of_office(REGIONAL, "51")}
    assert Counter(whole.store) == sum((Counter(part.store) for part in parts), Counter(own))


def test_a_subtree_without_stock_is_empty(world: World) -> None:
    whole, parts = balances.rolled_up(SYSTEM, "51")
    assert (whole.store, whole.offices, whole.levels, whole.synthetic) == ({}, {}, {}, False)
    assert [part.store for part in parts] == [{}, {}]


def test_made_up_stock_anywhere_below_marks_what_contains_it(world: World) -> None:
    stock_up()
    place = offices.get(SYSTEM, Action.VIEW_STOCK, "51.71.02")
    made_up = Line(
        office_id=place.id,
        item_id=items.get(BLANK).id,
        kind=Kind.RECEIPT,
        reason="supplied",
        quantity=1,
        effective_on=TODAY,
    )
    ledger.post(SYSTEM, NOW, uuid4(), [made_up], origin="synthetic")
    whole, parts = balances.rolled_up(SYSTEM, "51")
    assert whole.synthetic
    assert {part.office.code: part.synthetic for part in parts} == {BADUNG: False, DENPASAR: True}


@pytest.mark.parametrize("closed", [["51.71.01"], ["51.71.01", "51.71.02"]])
def test_stock_in_an_office_that_was_closed_down_is_still_counted(world: World, closed: list[str]) -> None:
    stock_up()
    for office_code in closed:
        close_down(office_code)
    whole, _ = balances.rolled_up(SYSTEM, DENPASAR)
    assert shown(whole) == added_up(whole.office.path, Reach(everywhere=True))


# --- who may see -------------------------------------------------------------------------------------------------


STRANGERS = [
    (person((Role.VIEWER, "00/16/")), "51"),
    (person((Role.VIEWER, "00/16/")), DENPASAR),
    (person((Role.VIEWER, "00/51/51.03/")), DENPASAR),
    (person((Role.VIEWER, "00/51/51.03/")), "51"),
    (person((Role.VIEWER, "00/51/51.03/")), "00"),
    (person((Role.STOREKEEPER, "00/51/51.71/")), "51.71.01"),
    (person((Role.STOREKEEPER, "00/51/51.71/")), "51"),
    (person((Role.ADMINISTRATOR, "00/")), "51"),
    (person(), "51"),
]
VIEWS: dict[str, Callable[[Actor, str], object]] = {
    "rolled up": balances.rolled_up,
    "of an office": balances.of_office,
    "as of": lambda actor, code: balances.as_of(actor, code, BLANK, TODAY),
    "as known at": lambda actor, code: balances.as_known_at(actor, code, BLANK, TODAY, NOW),
    "day summary": lambda actor, code: balances.day_summary(actor, code, TODAY),
    "stock card": lambda actor, code: stock_cards.read(actor, NOW, code, BLANK, None, None),
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_person_of_another_subtree_is_refused(world: World, view: str) -> None:
    stock_up()
    for actor, office_code in STRANGERS:
        with pytest.raises(NotAllowed):
            VIEWS[view](actor, office_code)


@pytest.mark.parametrize(
    "grants",
    [
        [(Role.STOREKEEPER, "00/51/51.71/")],
        [(Role.STOREKEEPER, "00/51/51.71/"), (Role.VIEWER, "00/51/51.71/51.71.01/")],
        [(Role.VIEWER, "00/51/51.71/")],
    ],
    ids=["own office only", "own office and one district", "whole subtree"],
)
def test_a_person_sees_the_sum_of_what_they_may_see_and_no_more(world: World, grants: list[tuple[Role, str]]) -> None:
    stock_up()
    actor = person(*grants)
    allowed = reach(actor, Action.VIEW_STOCK)
    try:
        whole, parts = balances.rolled_up(actor, DENPASAR)
    except NotAllowed:
        assert not allowed.includes("00/51/51.71/51.71.02/")
        return
    assert shown(whole) == added_up("00/51/51.71/", allowed)
    assert all(allowed.includes(part.office.path) for part in parts)


# --- one office --------------------------------------------------------------------------------------------------


def test_an_offices_balances_stand_in_the_items_order(world: World) -> None:
    stock_up(dispatched=False)
    ordered = [item.code for item in items.active()]
    found = [balance.item_code for balance in balances.of_office(SYSTEM, DENPASAR)]
    assert len(found) == 2
    assert found == sorted(found, key=ordered.index)


def test_an_item_that_an_office_never_held_is_at_nothing(world: World) -> None:
    assert balances.of_office(world.storekeeper, DENPASAR) == []
    assert balances.as_of(world.storekeeper, DENPASAR, "film", TODAY) == Effect()
    assert balances.as_known_at(world.storekeeper, DENPASAR, "film", TODAY, NOW) == Effect()


def test_an_item_that_is_not_there_is_not_found(world: World) -> None:
    for item_code in ("", "nothing", "ktp-wni "):
        with pytest.raises(NotFound, match="item_not_found"):
            balances.as_of(world.storekeeper, DENPASAR, item_code, TODAY)
        with pytest.raises(NotFound, match="item_not_found"):
            balances.as_known_at(world.storekeeper, DENPASAR, item_code, TODAY, NOW)


def test_a_days_summary_takes_reversals_off(world: World) -> None:
    world.deliver(NOW, YESTERDAY, 100, defective=2)
    wrong = world.print(NOW, TODAY, 7).movements[0].id
    world.print(NOW, TODAY, 5)
    world.spoil(NOW, TODAY, 1)
    ledger.reverse(world.storekeeper, NOW, uuid4(), wrong, "typed twice")
    assert balances.day_summary(world.storekeeper, DENPASAR, TODAY) == {
        BLANK: {("print", "new"): 5, ("spoil", "misprint"): 1}
    }
    assert balances.day_summary(world.storekeeper, DENPASAR, YESTERDAY) == {
        BLANK: {("receipt", "supplied"): 98, ("receipt", "defective"): 2}
    }


def test_a_day_whose_only_entry_was_reversed_has_no_summary(world: World) -> None:
    wrong = world.deliver(NOW, TODAY, 7).movements[0].id
    world.reverse_receipt(NOW, wrong)
    assert balances.day_summary(world.storekeeper, DENPASAR, TODAY) == {}


# --- the stock card's period -------------------------------------------------------------------------------------


def test_a_card_shows_thirty_days_of_the_offices_own_calendar(world: World) -> None:
    card = stock_cards.read(world.storekeeper, NOW, DENPASAR, BLANK, None, None)
    assert (card.since, card.until) == (TODAY - timedelta(days=29), TODAY)
    late = NOW.replace(hour=16)  # already the next day in Denpasar
    assert stock_cards.read(world.storekeeper, late, DENPASAR, BLANK, None, None).until == TODAY + timedelta(days=1)


def test_a_period_that_cannot_be_is_refused(world: World) -> None:
    for since_back, until_back, code in (
        (0, 1, "period_backwards"),
        (92, 0, "period_too_long"),
        (400, 0, "period_too_long"),
    ):
        since, until = TODAY - timedelta(days=since_back), TODAY - timedelta(days=until_back)
        with pytest.raises(Invalid, match=code):
            stock_cards.read(world.storekeeper, NOW, DENPASAR, BLANK, since, until)


def test_a_period_of_ninety_two_days_is_read(world: World) -> None:
    world.deliver(NOW, TODAY - timedelta(days=92), 10)
    world.deliver(NOW, TODAY - timedelta(days=91), 5)
    card = stock_cards.read(world.storekeeper, NOW, DENPASAR, BLANK, TODAY - timedelta(days=91), TODAY)
    assert (card.opening, [line.change for line in card.lines], card.closing) == (10, [5], 15)


def test_a_long_card_comes_in_pages_that_carry_on_from_each_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.deliver(NOW, TODAY - timedelta(days=40), 100)
    for back in (3, 2, 2, 1, 0, 0, 2):
        movement = world.deliver(NOW, TODAY - timedelta(days=back), 10 + back).movements[0]
    world.reverse_receipt(NOW, movement.id)
    read = partial(stock_cards.read, world.storekeeper, NOW, DENPASAR, BLANK, TODAY - timedelta(days=10), TODAY)
    whole = read()
    assert (whole.opening, len(whole.lines), whole.page, whole.pages) == (100, 8, 1, 1)
    monkeypatch.setattr(stock_cards, "PER_PAGE", 3)
    newest, middle, oldest = read(page=1), read(page=2), read(page=3)
    assert (*oldest.lines, *middle.lines, *newest.lines) == whole.lines
    assert [len(each.lines) for each in (oldest, middle, newest)] == [2, 3, 3]
    assert {each.pages for each in (newest, middle, oldest)} == {3}
    assert (oldest.opening, newest.closing) == (whole.opening, whole.closing)
    assert (oldest.closing, middle.closing) == (middle.opening, newest.opening)
    assert (oldest.first, newest.last) == (whole.since, whole.until)
    assert (middle.first, middle.last) == (middle.lines[0].day, middle.lines[-1].day)
    assert [read(page=page).page for page in (0, -5, 4, 10**6)] == [1, 1, 3, 3]
    empty = stock_cards.read(SYSTEM, NOW, BADUNG, BLANK, None, None, page=7)
    assert (empty.lines, empty.page, empty.pages, empty.first, empty.last) == ((), 1, 1, empty.since, empty.until)


def test_a_period_at_the_end_of_the_calendar_is_read_or_refused(world: World) -> None:
    for edge in (date.min, date(1, 1, 15), date.max):
        for since in (edge, None):
            with suppress(Invalid):
                assert stock_cards.read(world.storekeeper, NOW, DENPASAR, BLANK, since, edge).lines == ()
