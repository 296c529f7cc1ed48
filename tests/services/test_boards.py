"""Public boards: who may choose, what is kept of it, and that two who choose at once do not overwrite each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.boards import Choice, Level, Precision, Shown
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.services import boards, closings, deliveries
from tests.concurrent import at_once, refused_codes
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

DISTRICT = "51.71.01"
SHOWN = Choice(on=True, item_codes=(BLANK,), precision=Precision.EXACT, sentence="Cetak KTP Senin–Jumat")


def fill(world: World) -> None:
    """Denpasar's stock as its newspaper reported it, 1,639 blanks; Badung's board is on as well."""
    world.deliver(NOW, TODAY, 1639)
    boards.choose(SYSTEM, NOW, uuid4(), DENPASAR, SHOWN, 0)
    boards.choose(SYSTEM, NOW, uuid4(), BADUNG, SHOWN, 0)


pytestmark = pytest.mark.filled(by=fill)


def choose(actor: Any, choice: Choice, *, code: str = DENPASAR, version: int = 1, request: Any = None) -> int:
    return boards.choose(actor, NOW, request or uuid4(), code, choice, version)


def told(code: str = DENPASAR) -> list[tuple[str, Shown]]:
    return [(each.code, each.shown) for each in boards.show(code, NOW).items]


def test_a_board_shows_the_stock_of_this_moment_as_it_was_chosen(world: World) -> None:
    board = boards.show(DENPASAR, NOW)
    assert told() == [(BLANK, Shown(level=Level.AVAILABLE, least=1639, most=1639))]
    assert (board.office_name, board.day, board.sentence) == ("Kota Denpasar", TODAY, "Cetak KTP Senin–Jumat")
    assert (board.tells_confirmed, board.confirmed_at, board.synthetic) == (True, None, False)
    assert told(BADUNG) == [], "an item that the book does not know is not called out of stock"

    world.print(NOW, TODAY, 9)
    choose(world.actor("manager"), replace(SHOWN, precision=Precision.TENS))
    assert told()[0][1] == Shown(level=Level.AVAILABLE, least=1630, most=1639)
    before = boards.show(DENPASAR, NOW)
    world.spoil(NOW, TODAY, 1)
    assert boards.show(DENPASAR, NOW) != before, "1,629 is a step further down"
    lower = boards.show(DENPASAR, NOW)
    world.print(NOW, TODAY, 4)
    assert boards.show(DENPASAR, NOW) == lower, "within a step nothing changes"


def test_it_says_when_somebody_last_counted_unless_it_was_told_not_to(world: World) -> None:
    closed_at = NOW + timedelta(hours=5)
    closings.close(world.storekeeper, closed_at, uuid4(), DENPASAR, TODAY, {BLANK: 1639}, {BLANK: 0})
    assert boards.show(DENPASAR, NOW).confirmed_at == closed_at
    choose(world.actor("manager"), replace(SHOWN, confirmed=False))
    board = boards.show(DENPASAR, NOW)
    assert (board.tells_confirmed, board.confirmed_at) == (False, None)


def test_turned_off_it_is_gone_at_once_and_like_an_office_that_never_was(world: World) -> None:
    choose(world.actor("manager"), replace(SHOWN, on=False))
    for code in (DENPASAR, "16.09", "99.99", "x" * 33, "51.71\x00"):
        with pytest.raises(NotFound) as missing:
            boards.show(code, NOW)
        assert (missing.value.code, missing.value.facts) == ("board_not_found", {})
    assert [each.code for each in boards.listed()[0]] == [BADUNG]


def test_only_managers_choose_and_only_for_their_offices(world: World) -> None:
    for name in ("storekeeper", "regional", "administrator", "other_storekeeper"):
        for ask in (
            lambda actor: choose(actor, SHOWN),
            lambda actor: boards.current(actor, DENPASAR),
            lambda actor: boards.preview(actor, NOW, DENPASAR, SHOWN),
            lambda actor: boards.history(actor, DENPASAR),
        ):
            with pytest.raises(NotAllowed):
                ask(world.actor(name))
    with pytest.raises(NotAllowed):
        choose(world.actor("manager"), SHOWN, code=BADUNG)
    assert choose(world.actor("manager"), SHOWN, code=DISTRICT, version=0) == 1


def test_nothing_is_shown_until_somebody_chooses_and_every_choice_is_kept(world: World) -> None:
    manager = world.actor("manager")
    assert boards.current(manager, DISTRICT) == (Choice(), 0)
    later = NOW + timedelta(days=1)
    boards.choose(manager, later, uuid4(), DENPASAR, replace(SHOWN, on=False, few_below=7), 1)
    newest, oldest = boards.history(manager, DENPASAR)
    assert (newest.version, newest.by, newest.chosen_at, newest.choice.on) == (2, "Manager", later, False)
    assert newest.choice.few_below == 7
    assert (oldest.version, oldest.by, oldest.choice) == (1, None, SHOWN)
    assert boards.current(manager, DENPASAR) == (newest.choice, 2)


def test_a_form_sent_twice_chooses_once_and_an_old_one_changes_nothing(world: World) -> None:
    manager, request = world.actor("manager"), uuid4()
    off = replace(SHOWN, on=False)
    assert choose(manager, off, request=request) == choose(manager, off, request=request) == 2
    with pytest.raises(Refusal) as reused:
        choose(manager, SHOWN, request=request)
    assert reused.value.code == "request_id_reused"
    with pytest.raises(Refusal) as stale:
        choose(manager, SHOWN, version=1)
    assert stale.value.code == "board_changed"
    with pytest.raises(Invalid, match="board_item_unknown"):
        choose(manager, replace(SHOWN, item_codes=("gold",)), version=2)
    assert boards.current(manager, DENPASAR) == (off, 2)


def test_of_many_who_choose_at_once_one_does(crowded_app: Flask, world: World) -> None:
    manager = world.actor("manager")
    calls = [lambda few=few: choose(manager, replace(SHOWN, few_below=few)) for few in range(1, 9)]
    outcomes = at_once(crowded_app, calls)
    assert outcomes.count(2) == 1
    assert refused_codes(outcomes) == {"board_changed": 7}
    assert len(boards.history(manager, DENPASAR)) == 2


@pytest.mark.parametrize("wrong", ["precision = 'rough'", "few_below = 0", "version = 0"])
def test_the_database_refuses_a_choice_that_cannot_be(world: World, wrong: str) -> None:
    with pytest.raises(IntegrityError):
        db.session.execute(text(f"UPDATE boards SET {wrong}"))
    db.session.rollback()


def test_offices_are_found_by_name_or_code_a_page_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(words: str = "", page: int = 1) -> tuple[list[str], bool]:
        rows, more = boards.listed(words, page)
        return [each.code for each in rows], more

    assert found() == ([BADUNG, DENPASAR], False)
    assert found(" denPASAR ") == found("51.7") == ([DENPASAR], False)
    for harmless in ("%", "_", "\\", "a\x00b", "'", "51_03"):
        assert found(harmless) == ([], False), harmless
    monkeypatch.setattr(boards, "PAGE", 1)
    assert found() == ([BADUNG], True)
    assert found(page=2) == ([DENPASAR], False)
    assert found(page=3) == ([], False)


def test_synthetic_stock_is_called_so(world: World) -> None:
    deliveries.record_opening(SYSTEM, NOW, uuid4(), BADUNG, BLANK, TODAY, 8, "")
    badung = "(SELECT id FROM offices WHERE code = '51.03')"
    db.session.execute(text(f"UPDATE balances SET synthetic = true WHERE office_id = {badung}"))
    db.session.commit()
    assert boards.show(BADUNG, NOW).synthetic
    assert not boards.show(DENPASAR, NOW).synthetic
