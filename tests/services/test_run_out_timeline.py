"""Stocks over the weeks: the first to run out first, with what is expected, page by page, within reach."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from inventory.db import db
from inventory.domain.access import Actor, Grant, Role
from inventory.domain.errors import NotAllowed, NotFound
from inventory.models import StoredProjection
from inventory.services import run_out_timeline
from inventory.services.run_out_timeline import PER_PAGE
from tests.conftest import NOW, TODAY
from tests.services.test_run_out_calendar import BALI, _many_districts, _statements, expect, on
from tests.world import BADUNG, BLANK, DENPASAR, World


def test_stocks_stand_in_the_order_in_which_they_run_out(world: World) -> None:
    expect(DENPASAR, on(9), early=on(4), late=on(20))
    expect(DENPASAR, None, item="kia", level="unknown")
    expect(BADUNG, on(5))
    expect("51.71.01", on(3), level="out")
    expect("51.71.02", None, level="ok")
    expect("16.09", on(1))
    found = run_out_timeline.of_office(BALI, NOW, "51")
    assert [(each.office_code, each.item_code) for each in found.spans] == [
        ("51.71.01", BLANK),
        (DENPASAR, BLANK),
        (BADUNG, BLANK),
        (DENPASAR, "kia"),
        ("51.71.02", BLANK),
    ]
    first, second = found.spans[:2]
    assert (first.out, first.early, first.likely, first.late) == (True, None, None, None)
    assert (second.out, second.early, second.likely, second.late) == (False, on(4), on(9), on(20))
    assert (found.found, found.today, found.last, found.reviewed_at) == (5, TODAY, on(55), NOW)
    assert [each.item_code for each in run_out_timeline.of_office(BALI, NOW, "51", item_code="kia").spans] == ["kia"]


def test_what_is_expected_within_the_weeks_is_told_by_its_day(world: World) -> None:
    expect(DENPASAR, on(9))
    row = db.session.scalars(select(StoredProjection)).one()
    due = [[on(8).isoformat(), 40], [None, 7], [on(2).isoformat(), 500], [on(56).isoformat(), 9]]
    row.facts = {"due": due}
    db.session.commit()
    [span] = run_out_timeline.of_office(BALI, NOW, "51").spans
    assert span.arrivals == ((on(2), 500), (on(8), 40))


def test_pages_are_whole_and_the_number_of_queries_does_not_grow(world: World) -> None:
    expect(DENPASAR, on(1))
    _many_districts(PER_PAGE + 20)
    pages = [run_out_timeline.of_office(BALI, NOW, "51", page=number) for number in (1, 2)]
    codes = [each.office_code for page in pages for each in page.spans]
    assert len(codes) == len(set(codes)) == pages[0].found == 71
    assert run_out_timeline.of_office(BALI, NOW, "51", page=99).page == 2
    assert len(_statements(lambda: run_out_timeline.of_office(BALI, NOW, "51"))) <= 5


def test_nobody_looks_beyond_their_reach(world: World) -> None:
    expect(DENPASAR, on(1))
    expect(BADUNG, on(1))
    badung = Actor(1, "Uji", (Grant(Role.VIEWER, "00/51/51.03/"),))
    assert [each.office_code for each in run_out_timeline.of_office(badung, NOW).spans] == [BADUNG]
    for code, error in ((DENPASAR, NotAllowed), ("99", NotFound)):
        with pytest.raises(error):
            run_out_timeline.of_office(badung, NOW, code)
