"""Whatever is done to numbered blanks in whatever order, each number is where a plain table says it is."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

import psycopg
import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from psycopg import sql
from sqlalchemy import select

from inventory import create_app
from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.errors import Refusal
from inventory.domain.ledger import PLACES
from inventory.domain.ranges import Range, Ranges, check_ranges
from inventory.domain.transfers import Arrived
from inventory.models import Item, NumberRange, Office
from inventory.services import balances, consumption, ledger, reversals, transfers
from inventory.services.transfers import Dispatch
from tests.conftest import NOW, TODAY, dispose, test_settings
from tests.services import numbers as act
from tests.world import BADUNG, BLANK, DENPASAR, World

WIDTH = 3
OFFICES = {DENPASAR: "storekeeper", BADUNG: "other_storekeeper"}
NEW = None
"""Where a number is that nobody has received yet."""

chosen = st.lists(st.tuples(st.integers(0, 59), st.integers(0, 14)), min_size=1, max_size=3).map(
    lambda parts: frozenset(n for first, more in parts for n in range(first, min(first + more, 59) + 1))
)
office = st.sampled_from([DENPASAR, BADUNG])
pick = st.integers(0, 10**6)


class NumbersMachine(RuleBasedStateMachine):
    """Sixty numbers of a series of its own, in two offices."""

    _series: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.prefix = letters(next(self._series))
        self.world = World(None)  # type: ignore[arg-type]
        self.where: dict[int, tuple[str, str, int | None]] = {}
        self.open: dict[int, tuple[str, frozenset[int]]] = {}
        self.undoable: list[tuple[str, int, dict[int, Any], dict[int, Any], bool]] = []
        self.crossed: dict[int, int] = {}
        self.sent: list[Callable[[], Any]] = []

    # --- what people do ---

    @rule(at=office, bring=chosen)
    def receive(self, at: str, bring: frozenset[int]) -> None:
        free = all(self.where.get(n, NEW) is NEW or self.where[n][1] == "outside" for n in bring)
        call = lambda request: act.deliver(  # noqa: E731
            self.world, self.typed(bring), who=OFFICES[at], office=at, request=request
        )
        self.post(at, call, bring, "store", None if free else "range_known", crossing=True)

    @rule(at=office, take=chosen, how=st.sampled_from(["new", "lost"]))
    def print_cards(self, at: str, take: frozenset[int], how: str) -> None:
        call = lambda request: consumption.post_printed(  # noqa: E731
            self.actor(at), NOW, request, at, BLANK, TODAY, {}, ranges={how: self.ranges(take)}
        )
        self.post(at, call, take, "printed", self.refusal(at, take))

    @rule(at=office, take=chosen)
    def spoil(self, at: str, take: frozenset[int]) -> None:
        call = lambda request: consumption.post_spoiled(  # noqa: E731
            self.actor(at), NOW, request, at, BLANK, TODAY, {}, ranges={"misprint": self.ranges(take)}
        )
        self.post(at, call, take, "spoiled", self.refusal(at, take))

    @rule(at=office, take=chosen)
    def give_back(self, at: str, take: frozenset[int]) -> None:
        call = lambda request: consumption.post_returned(  # noqa: E731
            self.actor(at), NOW, request, at, BLANK, TODAY, 0, "recalled", ranges=self.ranges(take)
        )
        self.post(at, call, take, "outside", self.refusal(at, take), crossing=True)

    @rule(at=office, take=chosen)
    def dispatch(self, at: str, take: frozenset[int]) -> None:
        out = Dispatch(
            receiver_code=BADUNG if at == DENPASAR else DENPASAR,
            purpose="distribution",
            dispatched_on=TODAY,
            expected_on=TODAY,
            sent={},
            custodian="I Made Kurir",
            bast_number="470/1",
            ranges={BLANK: self.ranges(take)},
        )
        refusal = self.refusal(at, take)
        if refusal:
            self.refused(refusal, lambda: transfers.dispatch(self.actor(at), NOW, uuid4(), at, out))
            return
        transfer_id = transfers.dispatch(self.actor(at), NOW, uuid4(), at, out)
        self.open[transfer_id] = at, take
        self.where |= dict.fromkeys(take, (at, "transit", transfer_id))

    @precondition(lambda self: self.open)
    @rule(which=pick, broken=chosen, lost=chosen)
    def arrive(self, which: int, broken: frozenset[int], lost: frozenset[int]) -> None:
        transfer_id = sorted(self.open)[which % len(self.open)]
        sender, sent = self.open.pop(transfer_id)
        lost = lost & sent
        broken = (broken & sent) - lost
        to = BADUNG if sender == DENPASAR else DENPASAR
        came = Arrived(
            good=len(sent - lost - broken),
            damaged_ranges=self.ranges(broken),
            short_ranges=self.ranges(lost),
        )
        transfers.receive(self.actor(to), NOW, uuid4(), transfer_id, TODAY, {BLANK: came})
        self.where |= dict.fromkeys(sent - lost - broken, (to, "store", None))
        self.where |= dict.fromkeys(broken, (to, "spoiled", None))
        self.where |= dict.fromkeys(lost, (sender, "missing", None))
        for number in sent - lost:
            self.crossed[number] = self.crossed.get(number, 0) + 1

    @precondition(lambda self: self.open)
    @rule(which=pick)
    def cancel(self, which: int) -> None:
        transfer_id = sorted(self.open)[which % len(self.open)]
        sender, sent = self.open.pop(transfer_id)
        transfers.cancel(self.actor(sender), NOW, uuid4(), transfer_id, TODAY, "flooded")
        self.where |= dict.fromkeys(sent, (sender, "store", None))

    @precondition(lambda self: self.undoable)
    @rule(which=pick)
    def reverse(self, which: int) -> None:
        """Possible while the numbers lie where the movement put them and have not been across a border since."""
        index = which % len(self.undoable)
        at, movement_id, before, crossed, crossing = self.undoable[index]
        call = lambda: self.take_back(at, movement_id)  # noqa: E731
        target, source = before["target"], before["source"]  # type: ignore[index]
        moved = before["numbers"]  # type: ignore[index]
        stays = all(self.where[n] == (at, target, None) for n in moved)
        if not stays or any(self.crossed.get(n, 0) != crossed[n] for n in moved):
            with pytest.raises(Refusal) as refused:
                call()
            assert refused.value.code in ("range_moved_on", "not_enough_stock", "day_below_zero")
            return
        call()
        del self.undoable[index]
        self.where |= dict.fromkeys(moved, (at, source, None))
        if crossing:
            for number in moved:
                self.crossed[number] -= 1

    def take_back(self, at: str, movement_id: int) -> None:
        if reversals.needs_approval(self.actor(at), movement_id):
            self.world.reverse_receipt(NOW, movement_id, asked_by=OFFICES[at])
        else:
            ledger.reverse(self.actor(at), NOW, uuid4(), movement_id, "a slip")

    @precondition(lambda self: self.sent)
    @rule(which=pick)
    def send_again(self, which: int) -> None:
        assert self.sent[which % len(self.sent)]().replayed

    # --- helpers ---

    def actor(self, at: str) -> Any:
        return self.world.actor(OFFICES[at])

    def ranges(self, found: frozenset[int]) -> Ranges:
        return check_ranges(Range(self.prefix, WIDTH, n, n) for n in found)

    def typed(self, found: frozenset[int]) -> str:
        return " ".join(f"{self.prefix}{n:0{WIDTH}}" for n in sorted(found))

    def refusal(self, at: str, take: frozenset[int]) -> str | None:
        return None if all(self.where.get(n) == (at, "store", None) for n in take) else "range_not_here"

    def refused(self, code: str, call: Callable[[], Any]) -> None:
        with pytest.raises(Refusal) as refused:
            call()
        assert refused.value.code in (code, "not_enough_stock")

    def post(
        self,
        at: str,
        call: Callable[[UUID], ledger.Posting],
        found: frozenset[int],
        target: str,
        refusal: str | None,
        *,
        crossing: bool = False,
    ) -> None:
        request = uuid4()
        if refusal:
            self.refused(refusal, lambda: call(request))
            return
        posting = call(request)
        self.sent.append(lambda: call(request))
        source = "outside" if target == "store" else "store"
        self.where |= dict.fromkeys(found, (at, target, None))
        for number in found:
            self.crossed[number] = self.crossed.get(number, 0) + crossing
        facts = {"target": target, "source": source, "numbers": found}
        seen = {number: self.crossed[number] for number in found}
        self.undoable.append((at, posting.movements[0].id, facts, seen, crossing))  # type: ignore[arg-type]

    # --- what must hold ---

    @invariant()
    def every_number_is_where_it_should_be(self) -> None:
        db.session.rollback()
        rows = db.session.execute(
            select(NumberRange, Office.code)
            .join(Office, Office.id == NumberRange.office_id)
            .where(NumberRange.prefix == self.prefix)
            .order_by(NumberRange.first)
        ).all()
        found: dict[int, tuple[str, str, int | None]] = {}
        for row, code in rows:
            for number in range(row.first, row.last + 1):
                assert number not in found
                found[number] = (code, row.place, row.transfer_id)
        assert found == self.where
        for (one, at), (next_one, next_at) in itertools.pairwise(rows):
            joined = one.last + 1 == next_one.first and (at, one.place, one.transfer_id) == (
                next_at,
                next_one.place,
                next_one.transfer_id,
            )
            assert not joined, "neighbours in one place are two rows"

    @invariant()
    def quantities_agree_with_numbers(self) -> None:
        for at in OFFICES:
            held: dict[str, int] = dict.fromkeys(PLACES, 0)
            rows = db.session.execute(
                select(NumberRange.place, NumberRange.first, NumberRange.last)
                .join(Office, Office.id == NumberRange.office_id)
                .where(Office.code == at, NumberRange.place != "outside")
            )
            for place, first, last in rows:
                held[place] += last - first + 1
            found = [each.figures for each in balances.of_office(SYSTEM, at) if each.item_code == BLANK]
            assert held == ({place: getattr(found[0], place) for place in PLACES} if found else held)

    def teardown(self) -> None:
        db.session.rollback()


def letters(number: int) -> str:
    """A prefix of its own for each example: AA, AB, …"""
    found = ""
    for _ in range(4):
        number, rest = divmod(number, 26)
        found = chr(ord("A") + rest) + found
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """One database for all examples: each has a series of its own."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "blangko.sqlite3")
        app = create_app(test_settings(f"sqlite:///{tmp_path / 'blangko.sqlite3'}", tmp_path))
        with app.app_context():
            spare_the_disk()
            keep_numbers()
            yield app
        dispose(app)
        return
    url = request.getfixturevalue("postgres_url")
    name = f"blangko_numbers_{uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        names = (sql.Identifier(name), sql.Identifier(request.getfixturevalue("postgres_template")))
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        app = create_app(test_settings(url.rsplit("/", 1)[0] + "/" + name, tmp_path))
        with app.app_context():
            keep_numbers()
            yield app
        dispose(app)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def keep_numbers() -> None:
    act.keep_numbers()
    assert db.session.scalar(select(Item.numbered).where(Item.code == BLANK))


def spare_the_disk() -> None:
    """SQLite waits for the disk at every commit; thousands of examples need not."""
    pooled = db.engine.raw_connection()
    pooled.driver_connection.execute("PRAGMA synchronous = OFF")  # type: ignore[union-attr]
    pooled.close()


def run(sqlite: int, postgresql: int, steps: int) -> None:
    examples = sqlite if db.engine.dialect.name == "sqlite" else postgresql
    profile = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    run_state_machine_as_test(NumbersMachine, settings=profile)
    act.audit()


def test_every_number_is_where_a_plain_table_says(shared_app: Flask) -> None:
    run(sqlite=6, postgresql=3, steps=25)


@pytest.mark.slow
def test_every_number_is_where_a_plain_table_says_in_many_sequences(shared_app: Flask) -> None:
    run(sqlite=150, postgresql=80, steps=40)
