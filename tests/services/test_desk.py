"""The desk: what waits for whom, by when it hurts, narrowed, in pages; and nobody sees what is not theirs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, select, update

from inventory.db import db
from inventory.domain.access import SYSTEM, Action, Actor, Grant, Role
from inventory.domain.alerts import SEVERITY, Level
from inventory.domain.cases import Done
from inventory.domain.errors import NotAllowed, NotFound
from inventory.domain.stocktakes import Counted
from inventory.models import Alert, Item, Office, StoredProjection
from inventory.services import allotments, cases, desk, items, offices, reviews, stocktakes
from inventory.services.allotments import SplitTerms
from inventory.services.desk import PER_PAGE, Entry, Filter
from tests.conftest import NOW, TODAY
from tests.services.test_run_out_calendar import expect, on
from tests.world import BADUNG, BLANK, DENPASAR, World


def above(world: World, path: str = "00/51/") -> Actor:
    """A manager of all Bali, who is a person of the books."""
    return Actor(world.actor("regional").person_id, "Regional", (Grant(Role.MANAGER, path),))


def open_alert(
    office_code: str,
    level: str = "low",
    *,
    item: str | None = BLANK,
    subject: str = "low_stock",
    runs_out: date | None = None,
    **facts: Any,
) -> int:
    """As if the last review had opened it; its id."""
    if subject == "low_stock" and item:
        expect(office_code, runs_out, item=item, level=level)
        facts = {"stockout_on": runs_out.isoformat() if runs_out else None} | facts
    values = {
        "office_id": offices.get(SYSTEM, Action.VIEW_ALERT, office_code).id,
        "item_id": items.get(item).id if item else None,
    }
    values |= {"subject": subject, "level": level, "opened_at": NOW, "changed_at": NOW, "facts": facts}
    made = db.session.execute(insert(Alert).values(values).returning(Alert.id)).scalar_one()
    db.session.commit()
    return made


def told(actor: Actor, **narrowed: Any) -> list[tuple[str, str]]:
    return [(each.about, each.office_code) for each in listed(actor, **narrowed)]


def listed(actor: Actor, **narrowed: Any) -> Sequence[Entry]:
    return desk.of_actor(actor, NOW, Filter(**narrowed)).entries


def test_what_hurts_first_stands_first_and_what_hurts_already_stands_by_how_bad_it_is(world: World) -> None:
    late = open_alert(BADUNG, "watch", item=None, subject="day_not_closed", since=on(-20).isoformat(), days=20)
    out = open_alert(DENPASAR, "out", runs_out=on(1))
    soon = open_alert(BADUNG, "low", runs_out=on(4))
    sooner = open_alert("51.71.01", "watch", runs_out=on(2))
    unknown = open_alert("51.71.02", "unknown")
    found = desk.of_actor(above(world), NOW)
    assert [each.id for each in found.entries] == [out, late, sooner, soon, unknown]
    assert [each.hurts_on for each in found.entries] == [TODAY, on(-20), on(2), on(4), None]
    assert [each.hurts_now for each in found.entries] == [True, True, False, False, False]
    assert (found.found, found.hurting, found.pages) == (5, 2, 1)


def test_the_order_is_that_of_plain_python(world: World) -> None:
    dice = random.Random(3)
    levels = ["watch", "low", "critical", "out"]
    pairs = [(code, item) for code in (DENPASAR, BADUNG, "51", "51.71.01", "51.71.02") for item in (BLANK, "kia")]
    for code, item in pairs:
        open_alert(code, dice.choice(levels), item=item, runs_out=on(dice.randrange(-3, 9)))
    found = listed(above(world))

    def urgency(each: Entry) -> Any:
        assert each.hurts_on is not None
        assert each.level is not None
        return max(each.hurts_on, TODAY), -SEVERITY[Level(each.level)], each.hurts_on, each.id

    assert len(found) == len(pairs)
    assert list(found) == sorted(found, key=urgency)


def test_each_finds_what_waits_for_them_and_not_what_they_did_themselves(world: World) -> None:
    world.deliver(NOW, on(-3), 1_000)
    world.spoil(NOW, TODAY, 2)
    proposal = world.propose_destruction(NOW, TODAY, 2)
    request = world.ask(NOW, TODAY, 400, needed_by=on(6))
    transfer = world.send(NOW - timedelta(days=2), on(-2), 5)
    counted = world.stocktake(NOW)
    stocktakes.count(world.storekeeper, NOW, uuid4(), counted, {BLANK: Counted(quantity=993)})
    manager = above(world, "00/51/51.71/")
    proposal_made = allotments.propose_split(manager, NOW, DENPASAR, BLANK, SplitTerms(quantity=500, pack=10))
    allotments.save(manager, NOW, uuid4(), proposal_made, {(DENPASAR, "51.71.01"): 500})
    waits = {each.about: each for each in listed(manager)}
    assert set(waits) == {"proposal", "stocktake", "request"}
    assert (waits["proposal"].id, waits["stocktake"].id, waits["request"].id) == (proposal, counted, request)
    assert waits["request"].hurts_on == on(6)
    assert waits["request"].facts["items"] == {BLANK: 400}
    assert told(world.storekeeper) == [("draft", DENPASAR)]
    [draft] = listed(world.storekeeper)
    assert draft.facts["quantity"] == 500
    assert draft.item_code == BLANK
    [arrival] = listed(world.actor("other_storekeeper"))
    assert (arrival.about, arrival.id, arrival.facts["items"]) == ("arrival", transfer, {BLANK: 5})
    # Nobody decides upon what they proposed, asked for approval of, or counted.
    own = Actor(world.storekeeper.person_id, "Both", (Grant(Role.MANAGER, "00/51/51.71/"),))
    assert told(own) == [("request", DENPASAR)]
    assert told(world.actor("regional")) == []


def test_a_request_hurts_when_its_first_item_runs_out(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    world.ask(NOW, TODAY, 400, needed_by=on(6))
    expect(DENPASAR, on(3), level="critical")
    [request] = listed(above(world))
    assert (request.hurts_on, request.level) == (on(3), "critical")
    db.session.execute(update(StoredProjection).values(stockout_on=on(30)))
    db.session.commit()
    assert listed(above(world))[0].hurts_on == on(6)


def test_the_list_is_narrowed(world: World) -> None:
    out = open_alert(DENPASAR, "out", runs_out=on(1))
    kia = open_alert(DENPASAR, "low", item="kia", runs_out=on(5))
    late = open_alert(BADUNG, "critical", item=None, subject="day_not_closed", since=on(-9).isoformat(), days=9)
    district = open_alert("51.71.01", "low", runs_out=on(5))
    actor = above(world)

    def ids(**narrowed: Any) -> set[int]:
        return {each.id for each in listed(actor, **narrowed)}

    assert ids() == {out, kia, late, district}
    assert ids(office_code=DENPASAR) == {out, kia, district}
    assert ids(item_code="kia") == {kia}
    assert ids(level="low") == {kia, district}
    assert ids(about="day_not_closed") == {late}
    assert ids(level="low", office_code="51.71.01") == {district}
    assert ids(about="request") == set()
    with pytest.raises(NotFound):
        listed(actor, office_code="99.99")
    with pytest.raises(NotFound):
        listed(actor, item_code="nichts")
    with pytest.raises(NotAllowed):
        listed(actor, office_code="16")


def test_owners_and_what_is_seen_and_what_sleeps(world: World) -> None:
    mine, nobodys, asleep = (
        open_alert(DENPASAR, runs_out=on(2)),
        open_alert(BADUNG, runs_out=on(3)),
        open_alert("51.71.01", runs_out=on(4)),
    )
    manager = world.actor("manager")
    cases.assign(manager, NOW, uuid4(), mine, manager.person_id)
    cases.acknowledge(manager, NOW, uuid4(), [mine])
    cases.snooze(manager, NOW, uuid4(), asleep, on(9), None)
    person = Actor(manager.person_id, "Manager", (Grant(Role.MANAGER, "00/51/"),))
    found = {each.id: each for each in listed(person)}
    assert set(found) == {mine, nobodys}
    assert (found[mine].owner, found[mine].acknowledged) == ("Manager", True)
    assert (found[nobodys].owner, found[nobodys].acknowledged) == (None, False)
    assert [each.id for each in listed(person, owner="mine")] == [mine]
    assert [each.id for each in listed(person, owner="nobody")] == [nobodys]
    assert {each.id for each in listed(person, snoozed=True)} == {mine, nobodys, asleep}


def test_the_list_is_narrowed_to_what_one_person_looks_after(world: World) -> None:
    mine, theirs, nobodys = (
        open_alert(DENPASAR, runs_out=on(2)),
        open_alert("51.71.01", runs_out=on(3)),
        open_alert("51.71.02", runs_out=on(4)),
    )
    away, closed = open_alert("16.09", runs_out=on(2)), open_alert(BADUNG, runs_out=on(2))
    manager, regional = world.actor("manager"), world.actor("regional")
    for case, name in ((mine, "manager"), (theirs, "regional"), (away, "viewer"), (closed, "storekeeper")):
        own(case, world.actor(name))
    person = above(world)
    assert [(each.id, each.name) for each in desk.owners(person)] == sorted(
        [
            (manager.person_id, "Manager"),
            (regional.person_id, "Regional"),
            (world.storekeeper.person_id, "Storekeeper"),
        ],
        key=lambda each: each[1],
    ), "who looks after something in reach"
    cases.resolve(above(world), NOW, uuid4(), closed, Done.OTHER, "Selesai")
    assert {each.name for each in desk.owners(person)} == {"Manager", "Regional"}, "and it is open"
    assert [each.id for each in listed(person, owner=manager.person_id)] == [mine]
    assert [each.id for each in listed(person, owner=regional.person_id)] == [theirs]
    assert listed(person, owner=world.actor("viewer").person_id) == (), "what is out of reach stays so"
    assert nobodys in {each.id for each in listed(person)}


def test_of_many_owners_those_with_most_are_named(world: World) -> None:
    for code, name in ((DENPASAR, "manager"), ("51.71.01", "manager"), ("51.71.02", "regional"), (BADUNG, "viewer")):
        own(open_alert(code, runs_out=on(2)), world.actor(name))
    assert [each.name for each in desk.owners(above(world), limit=1)] == ["Manager"]
    assert len(desk.owners(above(world))) == 3


def own(alert_id: int, actor: Actor) -> None:
    db.session.execute(update(Alert).where(Alert.id == alert_id).values(owner_id=actor.person_id))
    db.session.commit()


def test_nobody_sees_another_subtree(world: World) -> None:
    for code in ("51", DENPASAR, BADUNG, "51.71.01", "16.09", "94.71"):
        open_alert(code, runs_out=on(2))
    assert {code for _, code in told(world.actor("manager"))} == {DENPASAR, "51.71.01"}
    assert {code for _, code in told(world.storekeeper)} == {DENPASAR}
    assert {code for _, code in told(world.actor("viewer"))} == {BADUNG}
    assert {code for _, code in told(world.actor("regional"))} == {"51", DENPASAR, BADUNG, "51.71.01"}
    assert told(Actor(1, "Nobody", ())) == []


def test_pages_are_stable_and_whole(world: World) -> None:
    _many_alerts(PER_PAGE * 2 + 7)
    actor = above(world)
    pages = [desk.of_actor(actor, NOW, page=number) for number in (1, 2, 3)]
    ids = [each.id for page in pages for each in page.entries]
    assert [len(page.entries) for page in pages] == [50, 50, 7]
    assert len(set(ids)) == len(ids) == pages[0].found == 107
    assert ids == [each.id for number in (1, 2, 3) for each in desk.of_actor(actor, NOW, page=number).entries]
    assert (pages[0].pages, desk.of_actor(actor, NOW, page=99).page) == (3, 3)
    assert desk.of_actor(actor, NOW, page=-1).page == 1


def test_the_day_is_that_of_the_alert_which_postings_keep_up_to_date(world: World) -> None:
    open_alert(DENPASAR, runs_out=on(9), stockout_on=on(3).isoformat())
    assert [each.hurts_on for each in listed(above(world))] == [on(3)]


def test_a_review_s_own_alerts_are_told_by_the_day_on_which_the_stock_runs_out(world: World) -> None:
    world.deliver(NOW - timedelta(days=60), on(-60), 3_000)
    for number in range(60, 0, -1):
        day = on(-number)
        if day.weekday() < 5:
            world.print(NOW, day, 60)
    reviews.review(SYSTEM, lambda: NOW, "test")
    [entry] = [each for each in listed(above(world)) if each.about == "low_stock"]
    row = db.session.scalars(select(StoredProjection)).one()
    assert row.stockout_on is not None
    assert entry.hurts_on == row.stockout_on
    assert entry.facts["store"] == row.facts["store"]


def _many_alerts(number: int) -> None:
    """All on one day, so that only the tie-breaker tells them apart."""
    parent = db.session.scalars(select(Office).where(Office.code == DENPASAR)).one()
    item_id = db.session.scalars(select(Item.id).where(Item.code == BLANK)).one()
    copied = {name: getattr(parent, name) for name in ("time_zone", "working_days", "service_level")}
    copied |= {"lead_time_days": 5, "review_period_days": 5, "kind": "district", "parent_id": parent.id}
    codes = [f"51.71.{i + 100}" for i in range(number)]
    made = [Office(code=code, name=code, path=f"{parent.path}{code}/", **copied) for code in codes]
    db.session.add_all(made)
    db.session.flush()
    said = {"item_id": item_id, "subject": "model_worse", "level": "low", "opened_at": NOW, "changed_at": NOW}
    db.session.execute(insert(Alert), [said | {"office_id": office.id, "facts": {}} for office in made])
    db.session.commit()
