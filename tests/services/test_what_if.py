"""Trying out other circumstances for a real stock, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest
from sqlalchemy import event

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.errors import Invalid, NotAllowed, NotFound
from inventory.services import explanations, offices, projections, requests, reviews, stated_rates, transfers, what_if
from inventory.services.arrivals import Expected
from inventory.services.requests import Allotment
from inventory.services.transfers import Dispatch
from inventory.services.what_if import Changes, Comparison
from tests.conftest import NOW, TODAY
from tests.services.test_reviews import fill, review, usual_history, working_days
from tests.world import BADUNG, BLANK, DENPASAR, World

TOMORROW = TODAY + timedelta(days=1)
LATER = NOW + timedelta(days=1)


def tried(changes: Changes | None = None, actor: Any = SYSTEM) -> Comparison:
    found = what_if.try_out(actor, LATER, DENPASAR, BLANK, changes or Changes())
    assert found is not None
    return found


def from_badung(world: World, quantity: int, expected_on: date) -> int:
    """Badung sends Denpasar citizen blanks; the transfer's id."""
    out = Dispatch(
        receiver_code=DENPASAR,
        purpose="distribution",
        dispatched_on=TODAY,
        expected_on=expected_on,
        sent={BLANK: quantity},
        custodian="I Made Kurir",
        bast_number=uuid4().hex[:8],
    )
    return transfers.dispatch(world.actor("other_storekeeper"), NOW, uuid4(), BADUNG, out)


def stock_badung(quantity: int) -> None:
    from inventory.services import deliveries

    deliveries.record_opening(SYSTEM, NOW, uuid4(), BADUNG, BLANK, TODAY, quantity, "")


def test_without_changes_it_agrees_with_the_review_of_that_office(world: World) -> None:
    usual_history(2_600)
    facts = review().projection.facts
    found = tried()
    assert found.before == found.after
    assert found.before.suggested == facts["suggested_order"]
    assert found.before.empty_on is not None
    assert found.before.empty_on.isoformat() == facts["stockout_on"]
    assert found.before.chance_before == pytest.approx(facts["stockout_in_lead"], abs=0.011)
    assert found.last_day == TODAY + timedelta(days=120)
    assert tried(Changes(late_days=10)).last_day == TODAY + timedelta(days=140)
    # Lead time of fourteen working days from Wednesday on; Thursday the 23rd and Friday the 24th are days off.
    assert found.before.next_arrival_on == date(2024, 6, 6)


def test_once_todays_prints_are_recorded_today_is_over(world: World) -> None:
    usual_history(2_600)
    found = what_if.try_out(SYSTEM, NOW, DENPASAR, BLANK, Changes())
    assert found == tried()
    before = what_if.inputs_of_stock(SYSTEM, NOW + timedelta(days=2), DENPASAR, BLANK)
    assert before.through == TODAY + timedelta(days=1), "of the day after tomorrow nothing is known yet"


def test_a_stock_is_projected_once_and_in_few_queries_whatever_is_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual_history(2_600)
    projected, asked = Mock(wraps=projections.projected), Mock()
    monkeypatch.setattr(projections, "projected", projected)
    event.listen(db.engine, "before_cursor_execute", asked)
    tried(Changes(outreach=500, outreach_on=TOMORROW, late_days=10, cap=400, order=3_000))
    event.remove(db.engine, "before_cursor_execute", asked)
    assert projected.call_count == 1
    assert 0 < asked.call_count <= 25


def test_outreach_a_cap_and_another_order_change_what_they_should(world: World) -> None:
    usual_history(6_000)
    saturday = date(2024, 5, 18)
    outreach = tried(Changes(outreach=2_000, outreach_on=saturday))
    assert outreach.before.empty_on is not None
    assert outreach.after.empty_on is not None
    assert outreach.after.empty_on < outreach.before.empty_on
    assert outreach.after.suggested == outreach.before.suggested + 2_000
    assert outreach.after.needed == outreach.before.needed + 2_000
    cap = tried(Changes(cap=100))
    assert (cap.after.needed, cap.before.waiting) == (1_900, 0)
    assert cap.after.waiting == pytest.approx(cap.before.needed - 1_900, abs=1)
    order = tried(Changes(order=0))
    assert (order.after.ordered, order.after.next_arrival_on) == (0, None)
    assert order.after.chance_after > order.before.chance_after


def test_what_is_under_way_comes_on_its_day_later_or_never(world: World) -> None:
    usual_history(1_500)
    stock_badung(5_000)
    from_badung(world, 4_000, date(2024, 5, 17))
    world.ask(NOW, TODAY, 1_000, needed_by=date(2024, 6, 30))
    found = tried(Changes(late_days=4))
    assert found.before.next_arrival_on == date(2024, 5, 17)
    # Four working days on from Friday; the 23rd and 24th are days off.
    assert found.after.next_arrival_on == date(2024, 5, 27)
    assert found.after.chance_before > found.before.chance_before
    never = tried(Changes(nothing_comes=True))
    assert never.after.suggested == never.before.suggested + 5_000
    assert never.after.next_arrival_on == date(2024, 6, 6)


def test_what_should_have_come_already_is_not_counted_on(world: World) -> None:
    usual_history(1_500)
    stock_badung(5_000)
    from_badung(world, 4_000, TODAY)
    found = tried()
    assert found.late == 4_000
    assert found.before.next_arrival_on != TODAY
    assert found.before.suggested == tried(Changes(nothing_comes=True)).after.suggested - 4_000


def test_an_explanation_tells_the_past_and_what_is_under_way(world: World) -> None:
    days = working_days(days=80)
    fill(dict.fromkeys(days, 10), 1_000, first=days[0])
    world.deliver(NOW, date(2024, 5, 13), 300, defective=20)
    stock_badung(5_000)
    transfer = from_badung(world, 400, date(2024, 5, 17))
    asked = world.ask(NOW, date(2024, 5, 13), 900)
    requests.allot(world.actor("manager"), NOW, uuid4(), asked, 1, {BLANK: Allotment(allotted=500)})
    found = explanations.of_stock(world.actor("manager"), NOW, DENPASAR, BLANK)
    assert (found.level, found.facts, found.alert_id) == (None, {}, None)
    assert len(found.past) == explanations.PAST_DAYS
    assert [each.day for each in found.past] == [TODAY - timedelta(days=n) for n in range(59, -1, -1)]
    stores = {each.day: each.store for each in found.past}
    assert stores[TODAY] == world.figures().store == 1_280 - 10 * len(days)
    assert stores[date(2024, 5, 12)] == 1_000 - 10 * (len(days) - 3)
    assert {each.day: each.arrived for each in found.past if each.arrived} == {date(2024, 5, 13): 280}
    assert found.expected == (
        Expected(on_day=date(2024, 5, 17), quantity=400, transfer_id=transfer),
        # Fourteen working days from Tuesday the 14th on, two of them off.
        Expected(on_day=date(2024, 6, 4), quantity=500, delivery_request_id=asked),
    )
    reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
    reviewed = explanations.of_stock(world.actor("manager"), NOW, DENPASAR, BLANK)
    assert reviewed.on_day == TODAY
    assert reviewed.facts["store"] == stores[TODAY]


def test_a_day_before_the_first_movement_has_no_stock(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    found = explanations.of_stock(world.storekeeper, NOW, DENPASAR, BLANK)
    assert [(each.day, each.store, each.arrived) for each in found.past] == [(TODAY, 10, 10)]
    assert explanations.of_stock(world.storekeeper, NOW, DENPASAR, "kia").past == ()


def test_a_stated_rate_can_be_tried_out_and_nothing_at_all_cannot(world: World) -> None:
    world.deliver(NOW, TODAY, 1_000)
    assert what_if.try_out(SYSTEM, LATER, DENPASAR, BLANK, Changes()) is None
    stated_rates.state(SYSTEM, NOW, DENPASAR, BLANK, 100, "a newspaper")
    assert tried().before.needed == pytest.approx(1_900, rel=0.05)


def test_who_may_not_see_alerts_of_an_office_tries_nothing_out_there(world: World) -> None:
    usual_history(2_600)
    tried(actor=world.actor("regional"))
    for name in ("other_storekeeper", "viewer", "administrator"):
        with pytest.raises(NotAllowed):
            tried(actor=world.actor(name))
        with pytest.raises(NotAllowed):
            explanations.of_stock(world.actor(name), NOW, DENPASAR, BLANK)
    with pytest.raises(NotFound, match="stock_not_found"):
        what_if.try_out(world.storekeeper, LATER, DENPASAR, "kia", Changes())
    with pytest.raises(NotFound, match="item_not_found"):
        what_if.try_out(world.storekeeper, LATER, DENPASAR, "nothing", Changes())


def test_days_and_figures_out_of_bounds_are_refused(world: World) -> None:
    usual_history(2_600)
    outreach = Changes(outreach=10, outreach_on=TOMORROW)
    assert tried(outreach).after.needed == tried().after.needed + 10
    for wrong, code in (
        (replace(outreach, outreach_on=None), "outreach_day_missing"),
        (replace(outreach, outreach_on=TODAY), "outreach_day_range"),
        (replace(outreach, outreach_on=TODAY + timedelta(days=121)), "outreach_day_range"),
        (Changes(late_days=121), "late_days_range"),
        (Changes(cap=10_000_001), "quantity_too_large"),
    ):
        with pytest.raises(Invalid, match=code):
            tried(wrong)
    assert offices.get(SYSTEM, offices.Action.VIEW_ALERT, DENPASAR).settings.lead_time_days == 14
