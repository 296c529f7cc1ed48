"""Delivery requests, on both databases and with real connections where two people act at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.services import deliveries, projections, requests
from inventory.services.deliveries import Counted, Paper
from inventory.services.ledger import Posting
from inventory.services.requests import Allotment, RequestLineView, RequestView
from tests.concurrent import at_once, audit, done, refused_codes
from tests.conftest import CROWD, NOW, TODAY
from tests.world import BLANK, DENPASAR, World

YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
RIBBON = "ribbon"


def shown(delivery_request_id: int) -> RequestView:
    return requests.get(SYSTEM, NOW, delivery_request_id).request


def line(delivery_request_id: int, item: str = BLANK) -> RequestLineView:
    return next(each for each in shown(delivery_request_id).lines if each.item_code == item)


def allot(
    world: World,
    delivery_request_id: int,
    quantity: int,
    *,
    seen: int | None = None,
    request: UUID | None = None,
    actor: str = "manager",
) -> int:
    version = shown(delivery_request_id).version if seen is None else seen
    answers = {BLANK: Allotment(allotted=quantity)}
    return requests.allot(world.actor(actor), NOW, request or uuid4(), delivery_request_id, version, answers)


def cancel(world: World, delivery_request_id: int, *, seen: int | None = None, request: UUID | None = None) -> int:
    version = shown(delivery_request_id).version if seen is None else seen
    why = "not needed"
    return requests.cancel(world.storekeeper, NOW, request or uuid4(), delivery_request_id, version, why)


def close(world: World, delivery_request_id: int, why: str = "nothing more will come") -> int:
    version = shown(delivery_request_id).version
    return requests.close(world.storekeeper, NOW, uuid4(), delivery_request_id, version, why)


def receive(
    world: World,
    delivery_request_id: int | None,
    counted: int | dict[str, Counted],
    *,
    day: date = TODAY,
    request: UUID | None = None,
    bast: str = "",
) -> Posting:
    """A hand-over of citizen blanks, or of several items, that names the request."""
    by_item = {BLANK: Counted(received=counted)} if isinstance(counted, int) else counted
    paper = Paper(
        bast_number=bast or f"BAST/{uuid4().hex[:10]}",
        bast_on=day,
        received_on=day,
        funding_source="apbn",
        supplier="Ditjen Dukcapil",
        delivery_request_id=delivery_request_id,
    )
    return deliveries.record_many(world.storekeeper, NOW, request or uuid4(), DENPASAR, paper, by_item)


def inbound(on: date | None = None) -> tuple[int, int, int]:
    """Inbound, on order, in transit, as the projection of Denpasar's citizen blanks counts them."""
    found = projections.of_stocks(SYSTEM, NOW, on=on, office_path=shown_path())
    facts = next(each.facts for each in found if each.item_code == BLANK)
    return facts["inbound"], facts["on_order"], facts["in_transit"]


def shown_path() -> str:
    from inventory.services import offices

    return offices.get(SYSTEM, offices.Action.VIEW_OFFICE, DENPASAR).path


# --- from asking to receiving ------------------------------------------------------------------------------------


def test_ten_thousand_asked_two_thousand_allotted_and_received(world: World) -> None:
    asked = world.ask(NOW, TODAY, 10_000)
    assert (shown(asked).status, line(asked).left) == ("asked", 10_000)
    allot(world, asked, 2_000)
    assert (shown(asked).status, shown(asked).allotted_on, line(asked).left) == ("allotted", TODAY, 2_000)
    receive(world, asked, 2_000)
    found = line(asked)
    assert (found.asked, found.allotted, found.received, found.left, found.short) == (10_000, 2_000, 2_000, 0, 0)
    assert (shown(asked).status, shown(asked).closed_on) == ("received", TODAY)
    with pytest.raises(Refusal, match="delivery_request_closed"):
        receive(world, asked, 1)
    assert world.figures().store == 2_000


def test_a_request_stays_open_until_all_that_was_promised_has_come(world: World) -> None:
    asked = world.ask(NOW, TODAY, 1_000)
    receive(world, asked, 400)
    assert (shown(asked).status, line(asked).left) == ("asked", 600)
    allot(world, asked, 500)
    assert (shown(asked).status, line(asked).left) == ("allotted", 100)
    receive(world, asked, 150)
    assert shown(asked).status == "received"
    assert (line(asked).short, line(asked).over) == (0, 50)


def test_an_allotment_of_what_has_come_closes_the_request(world: World) -> None:
    asked = world.ask(NOW, TODAY, 1_000)
    receive(world, asked, 400)
    allot(world, asked, 400)
    assert shown(asked).status == "received"


def test_nothing_allotted_is_an_answer_and_nothing_is_expected(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    asked = world.ask(NOW, TODAY, 1_000)
    allot(world, asked, 0)
    assert (shown(asked).status, line(asked).allotted, line(asked).left) == ("allotted", 0, 0)
    assert inbound() == (0, 0, 0)
    close(world, asked)
    assert shown(asked).status == "received"


def test_an_allotment_that_is_no_whole_number_of_packs_is_taken_and_remarked(world: World) -> None:
    asked = world.ask(NOW, TODAY, 1_000)
    allot(world, asked, 1_200)
    assert (line(asked).allotted, line(asked).odd_pack) == (1_200, True)
    allot(world, asked, 1_500)
    assert (line(asked).allotted, line(asked).odd_pack) == (1_500, False)


def test_a_request_closed_by_hand_says_what_is_short(world: World) -> None:
    asked = world.ask(NOW, TODAY, 1_000)
    receive(world, asked, 400)
    with pytest.raises(Invalid, match="delivery_request_needs_reason"):
        close(world, asked, why=" ")
    close(world, asked)
    assert (shown(asked).status, line(asked).left, line(asked).short) == ("received", 0, 600)
    [step] = requests.get(SYSTEM, NOW, asked).steps
    assert (step.step, step.by, step.note) == ("closed", "Storekeeper", "nothing more will come")


def test_a_request_is_cancelled_only_before_anything_came(world: World) -> None:
    asked = world.ask(NOW, TODAY, 1_000)
    receive(world, asked, 400)
    with pytest.raises(Refusal, match="delivery_request_received"):
        cancel(world, asked)
    other = world.ask(NOW, TODAY, 1_000)
    cancel(world, other)
    assert (shown(other).status, shown(other).closed_on) == ("cancelled", TODAY)
    for act in (lambda: cancel(world, other), lambda: allot(world, other, 5), lambda: receive(world, other, 5)):
        with pytest.raises(Refusal, match="delivery_request_closed"):
            act()
    assert world.figures().store == 400


def test_a_delivery_reversed_as_a_mistake_is_expected_again(world: World) -> None:
    asked = world.ask(NOW, TODAY, 1_000)
    allot(world, asked, 500)
    posting = receive(world, asked, 500)
    assert shown(asked).status == "received"
    world.reverse_receipt(NOW, posting.movements[0].id)
    assert (shown(asked).status, shown(asked).hand_overs, line(asked).left) == ("allotted", 0, 500)
    assert inbound() == (500, 500, 0)
    cancel(world, asked)
    assert shown(asked).status == "cancelled"


def test_one_record_of_hand_over_holds_several_items(world: World) -> None:
    asked = world.ask(NOW, TODAY, 1_000, asked={BLANK: 1_000, RIBBON: 4})
    counted = {
        BLANK: Counted(received=900, defective=10, asked=1_000, allotted=950, cartons=2, note="a carton is torn"),
        RIBBON: Counted(received=5, asked=4),
    }
    posting = receive(world, asked, counted, bast="470/9/2024")
    assert [(m.reason, m.quantity) for m in posting.movements] == [
        ("supplied", 890),
        ("defective", 10),
        ("supplied", 5),
    ]
    record = deliveries.get_record(world.storekeeper, DENPASAR, "470/9/2024")
    assert (record.delivery_request_id, record.supplier, record.received_on) == (asked, "Ditjen Dukcapil", TODAY)
    blank, ribbon = record.items
    assert (blank.asked, blank.allotted, blank.received, blank.short, blank.over) == (1_000, 950, 900, 50, 0)
    assert (blank.defective, blank.cartons, blank.note) == (10, 2, "a carton is torn")
    assert (ribbon.short, ribbon.over, ribbon.cartons) == (0, 1, None)
    assert {m.delivery_id for m in posting.movements} == {blank.id, ribbon.id}
    assert [m.delivery_id for m in posting.movements] == [blank.id, blank.id, ribbon.id]
    assert (line(asked).left, line(asked, RIBBON).left, shown(asked).status) == (100, 0, "asked")
    # One item of it is reversed: the other stands.
    world.reverse_receipt(NOW, posting.movements[2].id)
    assert [each.item_code for each in deliveries.get_record(SYSTEM, DENPASAR, "470/9/2024").items] == [BLANK]
    assert (line(asked, RIBBON).left, shown(asked).hand_overs) == (4, 1)
    assert deliveries.get(world.storekeeper, DENPASAR, blank.id).bast_number == "470/9/2024"
    audit()


def test_a_record_is_all_or_nothing(world: World) -> None:
    receive(world, None, {RIBBON: Counted(received=5)}, bast="470/9/2024")
    with pytest.raises(Refusal, match="bast_already_recorded"):
        receive(world, None, {BLANK: Counted(received=9), RIBBON: Counted(received=5)}, bast="470/9/2024")
    assert world.figures().store == 0


# --- once only, and one of those who act at once -----------------------------------------------------------------


def test_a_form_sent_again_is_done_once(world: World) -> None:
    ids = [uuid4() for _ in range(4)]
    asked = world.ask(NOW, TODAY, 1_000, request=ids[0])
    assert world.ask(NOW, TODAY, 1_000, request=ids[0]) == asked
    with pytest.raises(Refusal, match="request_id_reused"):
        world.ask(NOW, TODAY, 999, request=ids[0])
    for _ in range(2):
        assert allot(world, asked, 500, seen=1, request=ids[1]) == asked
    with pytest.raises(Refusal, match="request_id_reused"):
        allot(world, asked, 600, seen=1, request=ids[1])
    first = receive(world, asked, 500, request=ids[2], bast="470/1")
    second = receive(world, asked, 500, request=ids[2], bast="470/1")
    assert (first.replayed, second.replayed, first.movements) == (False, True, second.movements)
    other = world.ask(NOW, TODAY, 7)
    for _ in range(2):
        assert cancel(world, other, seen=1, request=ids[3]) == other
    assert [each.id for each in requests.of_office(SYSTEM, NOW, DENPASAR)] == [other, asked]
    assert len(requests.get(SYSTEM, NOW, asked).steps) == 1


def test_nobody_decides_upon_a_request_that_has_changed_since_they_looked(world: World) -> None:
    asked = world.ask(NOW, TODAY, 1_000)
    allot(world, asked, 500, seen=1)
    for act in (lambda: cancel(world, asked, seen=1), lambda: allot(world, asked, 400, seen=1)):
        with pytest.raises(Refusal, match="delivery_request_changed"):
            act()
    assert line(asked).allotted == 500


@pytest.mark.parametrize("other", ["receive", "allot"])
def test_of_many_who_cancel_and_act_at_once_one_does(
    database_url: str, make_app: Callable[..., Flask], other: str
) -> None:
    options = {} if database_url.startswith("sqlite") else {"SQLALCHEMY_ENGINE_OPTIONS": CROWD}
    app = make_app(database_url, CLOCK=lambda: NOW, **options)
    with app.app_context():
        world = World(app)
        asked = world.ask(NOW, TODAY, 1_000)

        def act() -> Any:
            return receive(world, asked, 1_000) if other == "receive" else allot(world, asked, 500, seen=1)

        calls: list[Callable[[], Any]] = [act if n % 2 else lambda: cancel(world, asked, seen=1) for n in range(10)]
        outcomes = at_once(app, calls)
        assert len(done(outcomes)) == 1, outcomes
        allowed = {"delivery_request_closed", "delivery_request_changed", "delivery_request_received"}
        assert set(refused_codes(outcomes)) <= allowed
        assert sum(refused_codes(outcomes).values()) == 9
        won = shown(asked).status
        assert won in ("cancelled", "received" if other == "receive" else "allotted")
        assert world.figures().store == (1_000 if won == "received" else 0)
        audit()


def test_two_hand_overs_at_once_are_both_counted_and_close_the_request(app: Flask) -> None:
    with app.app_context():
        world = World(app)
        asked = world.ask(NOW, TODAY, 1_000)
        outcomes = at_once(app, [lambda: receive(world, asked, 500)] * 2)
        assert len(done(outcomes)) == 2, outcomes
        assert (shown(asked).status, shown(asked).hand_overs, line(asked).received) == ("received", 2, 1_000)
        audit()


# --- what is on order counts as inbound --------------------------------------------------------------------------


def test_what_is_on_order_counts_as_inbound_until_it_came_or_is_called_off(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    first, second = world.ask(NOW, TODAY, 1_000), world.ask(NOW, TODAY, 300)
    assert inbound() == (1_300, 1_300, 0)
    allot(world, first, 700)
    assert inbound() == (1_000, 1_000, 0)
    receive(world, first, 200)
    assert inbound() == (800, 800, 0)
    cancel(world, second)
    assert inbound() == (500, 500, 0)
    receive(world, first, 600)
    assert inbound() == (0, 0, 0)


def test_a_request_that_was_forgotten_does_not_make_a_stock_look_safe(world: World) -> None:
    """The office's lead time is 14 working days: a hope of 20 days."""
    long_ago = TODAY - timedelta(days=40)
    world.deliver(NOW, long_ago, 10)
    forgotten = world.ask(NOW, TODAY - timedelta(days=22), 1_000)
    world.ask(NOW, TODAY - timedelta(days=19), 200)
    world.ask(NOW, TODAY - timedelta(days=5), 30, needed_by=TODAY - timedelta(days=2))
    assert inbound() == (200, 200, 0)
    allot(world, forgotten, 700)
    assert inbound() == (900, 900, 0), "promised is more than a hope"


def test_a_past_day_knows_what_was_on_order_then(world: World) -> None:
    before = TODAY - timedelta(days=2)
    world.deliver(NOW, before - timedelta(days=1), 10)
    asked = world.ask(NOW, before, 1_000)
    receive(world, asked, 300, day=YESTERDAY)
    allot(world, asked, 500)
    called_off = world.ask(NOW, YESTERDAY, 40)
    cancel(world, called_off)
    assert inbound(before - timedelta(days=1)) == (0, 0, 0)
    assert inbound(before) == (1_000, 1_000, 0)
    assert inbound(YESTERDAY) == (740, 740, 0)
    assert inbound(TODAY) == (200, 200, 0)


def due(on: date | None = None) -> list[list[Any]]:
    """What the projection of Denpasar's citizen blanks counts on, and from which day."""
    found = projections.of_stocks(SYSTEM, NOW, on=on, office_path=shown_path())
    return next(each.facts["due"] for each in found if each.item_code == BLANK)


def test_what_was_asked_for_is_due_after_the_lead_time(world: World) -> None:
    """Fourteen working days from Wednesday, 15 May 2024: without Thursday and Friday of Waisak, and Pancasila's day on
    a Saturday, that is 6 June."""
    world.deliver(NOW, TODAY, 10)
    asked = world.ask(NOW, TODAY, 1_000)
    assert due() == [["2024-06-06", 1_000]]
    receive(world, asked, 300)
    assert due() == [["2024-06-06", 700]]


def test_what_is_late_is_counted_on_for_a_lead_time_more(world: World) -> None:
    long_ago = TODAY - timedelta(days=80)
    world.deliver(NOW, long_ago, 10)
    allot(world, world.ask(NOW, TODAY - timedelta(days=30), 500), 400)
    allot(world, world.ask(NOW, long_ago, 60), 60)
    assert inbound() == (460, 460, 0), "both are still on order"
    assert due() == [[(YESTERDAY + timedelta(days=2)).isoformat(), 400]]


# --- who may, and what cannot be ---------------------------------------------------------------------------------


def test_each_does_their_own_part(world: World) -> None:
    asked = world.ask(NOW, TODAY, 1_000)
    for name in ("storekeeper", "regional", "other_storekeeper", "administrator"):
        with pytest.raises(NotAllowed):
            allot(world, asked, 5, actor=name)
    for name in ("other_storekeeper", "administrator", "viewer"):
        with pytest.raises(NotAllowed):
            requests.get(world.actor(name), NOW, asked)
        assert requests.waiting(world.actor(name), NOW) == []
    with pytest.raises(NotAllowed):
        requests.cancel(world.actor("regional"), NOW, uuid4(), asked, 1, "why")
    assert [each.id for each in requests.waiting(world.actor("manager"), NOW)] == [asked]
    allot(world, asked, 5)
    assert requests.waiting(world.actor("manager"), NOW) == []
    with pytest.raises(NotFound):
        requests.get(world.storekeeper, NOW, 999)


def test_a_hand_over_names_a_request_of_its_own_office(world: World) -> None:
    from inventory.services.requests import Asking

    elsewhere = Asking(supplier="Ditjen", asked_on=TODAY, asked={BLANK: 5})
    theirs = requests.ask(world.actor("other_storekeeper"), NOW, uuid4(), "51.03", elsewhere)
    with pytest.raises(NotFound, match="delivery_request_not_found"):
        receive(world, theirs, 5)
    assert world.figures().store == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"asked": {}}, "nothing_entered"),
        ({"asked": {BLANK: 0}}, "nothing_entered"),
        ({"asked": {BLANK: -1}}, "quantity_not_positive"),
        ({"asked": {BLANK: 10_000_001}}, "quantity_too_large"),
        ({"supplier": " "}, "supplier_missing"),
        ({"asked_on": TOMORROW}, "day_in_future"),
        ({"needed_by": YESTERDAY}, "needed_before_asked"),
        ({"asked": {"gold": 1}}, "item_not_found"),
    ],
)
def test_a_request_that_cannot_be_is_refused(world: World, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal, match=code):
        world.ask(NOW, TODAY, 5, **changes)
    assert requests.of_office(SYSTEM, NOW, DENPASAR) == []


def test_an_answer_that_cannot_be_is_refused(world: World) -> None:
    asked = world.ask(NOW, TODAY, 5)
    wrong: list[tuple[dict[str, Allotment], str]] = [
        ({}, "allotted_items_differ"),
        ({BLANK: Allotment(allotted=1), RIBBON: Allotment(allotted=1)}, "allotted_items_differ"),
        ({BLANK: Allotment(allotted=-1)}, "quantity_not_positive"),
        ({BLANK: Allotment(allotted=1, cartons=0)}, "quantity_not_positive"),
    ]
    for answers, code in wrong:
        with pytest.raises(Invalid, match=code):
            requests.allot(world.actor("manager"), NOW, uuid4(), asked, 1, answers)
    with pytest.raises(Invalid, match="arrived_before_asked"):
        receive(world, asked, 5, day=YESTERDAY)
    assert (shown(asked).version, line(asked).allotted) == (1, None)


def test_a_request_open_past_its_day_is_late(world: World) -> None:
    asked = world.ask(NOW, TODAY, 5, needed_by=TODAY)
    assert not shown(asked).late
    assert requests.get(SYSTEM, NOW + timedelta(days=1), asked).request.late


def test_the_database_refuses_a_request_that_contradicts_itself(world: World) -> None:
    asked = world.ask(NOW, TODAY, 1_000)
    receive(world, asked, 400)
    changes = {
        "status = 'cancelled', closed_on = asked_on, closed_at = recorded_at": "cancelled",
        "status = 'received'": "closed",
        "closed_on = asked_on": "closed",
        "status = 'allotted'": "allotted",
        "hand_overs = -1": "hand_overs",
        f"needed_by = '{YESTERDAY}'": "needed_by",
    }
    for change, name in changes.items():
        with pytest.raises(IntegrityError, match=name):
            db.session.execute(text(f"UPDATE delivery_requests SET {change}"))
        db.session.rollback()
    for change in ("asked = 0", "allotted = -1", "cartons = 0"):
        with pytest.raises(IntegrityError, match=change.split()[0]):
            db.session.execute(text(f"UPDATE delivery_request_lines SET {change}"))
        db.session.rollback()
