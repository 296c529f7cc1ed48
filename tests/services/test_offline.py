"""What is taken along, and entries that come back late: once each, and refused where a person has to decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from inventory.db import db, write
from inventory.domain.access import SYSTEM
from inventory.domain.errors import Refusal
from inventory.domain.ranges import parse_ranges
from inventory.domain.stocktakes import Counted
from inventory.models import Item, Membership, Movement
from inventory.services import closings, consumption, deliveries, items, offline, stocktakes
from inventory.services.consumption import Printed
from inventory.services.offline import Amount, Entry, EntryKind
from tests.concurrent import at_once
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

LATER = NOW + timedelta(days=2)


def entry(world: World, **changes: Any) -> Entry:
    """Five new cards and two lost ones of today at Denpasar."""
    return Entry(
        **{
            "request_id": uuid4(),
            "person_id": world.storekeeper.person_id,
            "kind": EntryKind.PRINT,
            "office_code": DENPASAR,
            "item_code": BLANK,
            "day": TODAY,
            "amounts": {"new": Amount(5, served_waiting=1), "lost": Amount(2)},
            **changes,
        }
    )


def refused(world: World, sent: Entry) -> str:
    with pytest.raises(Refusal) as refusal:
        offline.record(world.storekeeper, LATER, sent)
    return refusal.value.code


def printed() -> int:
    return db.session.scalar(select(func.coalesce(func.sum(Movement.quantity), 0)).where(Movement.kind == "print")) or 0


def close_today(world: World) -> None:
    counted = {BLANK: world.figures().store}
    closings.close(world.storekeeper, NOW, uuid4(), DENPASAR, TODAY, counted, {BLANK: world.figures().printed})


def test_what_is_taken_along_is_what_one_may_record(world: World) -> None:
    world.deliver(NOW, TODAY, 30)
    [taken] = offline.take_along(world.storekeeper, NOW)
    assert (taken.office.code, taken.today, taken.store) == (DENPASAR, TODAY, {BLANK: 30})
    assert [each.office.code for each in offline.take_along(world.actor("other_storekeeper"), NOW)] == [BADUNG]
    assert offline.take_along(world.actor("manager"), NOW) == []


def test_an_entry_is_what_the_form_would_have_recorded(world: World) -> None:
    world.deliver(NOW, TODAY, 30)
    assert offline.record(world.storekeeper, LATER, entry(world, note="  desa Kutuh "))
    rows = db.session.scalars(select(Movement).where(Movement.kind == "print").order_by(Movement.reason)).all()
    assert [(row.reason, row.quantity, row.served_waiting, row.note) for row in rows] == [
        ("lost", 2, 0, "desa Kutuh"),
        ("new", 5, 1, "desa Kutuh"),
    ]
    assert {row.effective_on for row in rows} == {TODAY}
    assert offline.record(world.storekeeper, LATER, entry(world, kind=EntryKind.SPOIL, amounts={"misprint": Amount(3)}))
    assert world.figures().spoiled == 3


def test_printing_and_spoilage_of_one_entry_are_one_posting_with_what_the_page_may_have_sent_before(
    world: World,
) -> None:
    """The page of today sends what it enters with the same id, and keeps it when no answer comes."""
    world.deliver(NOW, TODAY, 20)
    amounts = {"new": Amount(5, served_waiting=1), "misprint": Amount(2)}
    sent = entry(world, kind=EntryKind.USE, amounts=amounts)
    said = (world.storekeeper, NOW, sent.request_id, DENPASAR, BLANK, TODAY)
    first = consumption.post_used(*said, {"new": Printed(5, 1), "lost": Printed(0)}, {"misprint": 2, "defective": 0})
    assert not first.replayed
    assert not offline.record(world.storekeeper, LATER, sent), "it was recorded before"
    assert offline.record(world.storekeeper, LATER, entry(world, kind=EntryKind.USE, amounts=amounts))
    assert (world.figures().printed, world.figures().spoiled) == (10, 4)
    too_many = entry(world, kind=EntryKind.USE, amounts={"new": Amount(5), "misprint": Amount(2)})
    assert refused(world, too_many) == "not_enough_stock"
    assert (world.figures().printed, world.figures().spoiled) == (10, 4)


def test_numbers_go_with_the_item_whose_numbers_are_kept(world: World) -> None:
    items.keep_numbers("kia")
    kept = parse_ranges("A100001-A100050")
    deliveries.record_opening(world.storekeeper, NOW, uuid4(), DENPASAR, "kia", TODAY, 0, "", ranges=kept)
    amounts = {"new": Amount(0, ranges=parse_ranges("A100001-A100004"))}
    offline.record(world.storekeeper, LATER, entry(world, item_code="kia", amounts=amounts))
    assert world.figures("kia").printed == 4
    assert refused(world, entry(world, item_code="kia")) == "ranges_missing"


def test_an_entry_of_a_day_on_which_the_stock_was_counted_waits_for_a_person(world: World) -> None:
    """Ten were printed at nine and counted as gone at ten: recorded now, they would be missing and printed."""
    yesterday = TODAY - timedelta(days=1)
    world.deliver(NOW - timedelta(days=1), yesterday, 100)
    recorded = entry(world)
    offline.record(world.storekeeper, NOW, recorded)
    stocktake = world.stocktake(NOW)
    assert offline.record(world.storekeeper, LATER, entry(world)), "nothing has been counted yet"
    stocktakes.count(world.storekeeper, NOW, uuid4(), stocktake, {BLANK: Counted(quantity=83)})
    assert refused(world, entry(world)) == "counted_meanwhile"
    assert refused(world, entry(world, late=True)) == "counted_meanwhile"
    assert not offline.record(world.storekeeper, LATER, recorded), "what is in the books is told so"
    assert offline.record(world.storekeeper, LATER, entry(world, day=yesterday))


def test_an_entry_that_is_sent_again_is_recorded_once(world: World) -> None:
    world.deliver(NOW, TODAY, 7)
    sent = entry(world)
    assert offline.record(world.storekeeper, LATER, sent)
    assert not offline.record(world.storekeeper, LATER, sent)  # though the stock is gone by now
    assert printed() == 7


@pytest.mark.parametrize("change", ["item", "role", "closed"])
def test_a_rule_that_changed_since_does_not_hide_what_is_recorded(world: World, change: str) -> None:
    """The answer was lost; told "refused" now, the storekeeper would enter it again."""
    world.deliver(NOW, TODAY, 30)
    sent = entry(world)
    offline.record(world.storekeeper, NOW, sent)
    if change == "closed":
        close_today(world)
    elif change == "item":
        write(lambda s: s.execute(update(Item).where(Item.code == BLANK).values(active=False)))
    else:
        demoted = update(Membership).where(Membership.person_id == sent.person_id).values(name="viewer")
        write(lambda s: s.execute(demoted))
        db.session.expire_all()
    assert not offline.record(world.storekeeper, LATER, sent)
    other = {"item": "item_not_found", "role": "not_allowed", "closed": "day_closed_meanwhile"}[change]
    assert refused(world, replace(sent, request_id=uuid4())) == other
    assert printed() == 7


def test_the_same_id_with_other_figures_is_not_passed_off_as_recorded(world: World) -> None:
    world.deliver(NOW, TODAY, 30)
    sent = entry(world)
    offline.record(world.storekeeper, NOW, sent)
    assert refused(world, replace(sent, amounts={"new": Amount(6)})) == "request_id_reused"
    assert printed() == 7


def test_what_somebody_else_made_is_not_recorded(world: World) -> None:
    world.deliver(NOW, TODAY, 30)
    for person_id in (world.actor("other_storekeeper").person_id, 0):
        assert refused(world, entry(world, person_id=person_id)) == "entry_of_somebody_else"
    with pytest.raises(Refusal, match="entry_of_somebody_else"):
        offline.record(SYSTEM, NOW, entry(world))
    assert printed() == 0


def test_another_persons_request_id_proves_nothing(world: World) -> None:
    """An id that stands in the books of somebody else does not make an entry recorded."""
    world.deliver(NOW, TODAY, 5)
    request = uuid4()
    badung = world.actor("other_storekeeper")
    deliveries.record_opening(badung, NOW, request, BADUNG, BLANK, TODAY, 9, "")
    assert refused(world, entry(world, request_id=request, amounts={"new": Amount(6)})) == "request_id_reused"


def test_a_day_that_was_closed_meanwhile_waits_for_a_person(world: World) -> None:
    world.deliver(NOW, TODAY, 30)
    close_today(world)
    sent = entry(world)
    assert refused(world, sent) == "day_closed_meanwhile"
    assert offline.record(world.storekeeper, LATER, replace(sent, late=True))
    assert not offline.record(world.storekeeper, LATER, sent)
    late = closings.get(world.storekeeper, LATER, DENPASAR, TODAY).late
    assert sum(each.quantity for each in late) == 7
    assert offline.record(world.storekeeper, LATER, entry(world, day=TODAY + timedelta(days=1)))


def test_an_opened_day_takes_entries_again(world: World) -> None:
    world.deliver(NOW, TODAY, 30)
    close_today(world)
    closings.reopen(world.actor("manager"), NOW, DENPASAR, TODAY, "pelayanan keliling belum masuk")
    assert offline.record(world.storekeeper, LATER, entry(world))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amounts": {"new": Amount(31)}}, "not_enough_stock"),
        ({"amounts": {}}, "nothing_entered"),
        ({"amounts": {"new": Amount(1, served_waiting=2)}}, "served_waiting_exceeds_print"),
        ({"day": date(2010, 12, 31)}, "day_too_early"),
        ({"day": TODAY + timedelta(days=3)}, "day_in_future"),
        ({"item_code": "ribbon"}, "reason_not_for_item"),
        ({"office_code": BADUNG}, "not_allowed"),
        ({"kind": EntryKind.SPOIL, "amounts": {"obsolete": Amount(1)}}, "obsolete_needs_write_off"),
        ({"note": "x" * 501}, "text_too_long"),
    ],
)
def test_the_rules_are_those_of_the_forms(world: World, changes: dict[str, Any], code: str) -> None:
    world.deliver(NOW, TODAY, 30)
    assert refused(world, entry(world, **changes)) == code
    assert printed() == 0


def test_many_who_send_one_entry_at_once_record_it_once(crowded_app: Flask) -> None:
    """Two tabs, or an answer that was lost while the server was still at it."""
    with crowded_app.app_context():
        world = World(crowded_app)
        world.deliver(NOW, TODAY, 7)
        sent, actor = entry(world), world.storekeeper
        db.session.remove()
    answers = at_once(crowded_app, [lambda: offline.record(actor, LATER, sent)] * 8)
    assert sorted(answers) == [False] * 7 + [True]
    with crowded_app.app_context():
        assert printed() == 7
        db.session.remove()


def test_consumption_is_recorded_by_the_forms_own_functions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rule of consumption is stated for entries a second time."""
    calls: list[str] = []

    def watched(name: str) -> Callable[..., Any]:
        real = getattr(consumption, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return real(*args, **kwargs)

        return call

    for name in ("post_printed", "post_spoiled"):
        monkeypatch.setattr(consumption, name, watched(name))
    world.deliver(NOW, TODAY, 30)
    offline.record(world.storekeeper, LATER, entry(world))
    offline.record(world.storekeeper, LATER, entry(world, kind=EntryKind.SPOIL, amounts={"misprint": Amount(1)}))
    assert calls == ["post_printed", "post_spoiled"]
