"""Whatever is posted in whatever order, the ledger says what a plain list of movements says."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

import psycopg
import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from psycopg import sql
from sqlalchemy import insert, select

from inventory import create_app
from inventory.db import db
from inventory.domain.access import Actor, Grant, Role
from inventory.domain.errors import Invalid, Refusal
from inventory.domain.ledger import Effect, Kind, Line
from inventory.domain.offices import OfficeSettings
from inventory.models import DailyTotal, Movement, Office
from inventory.services import balances, consumption, deliveries, items, ledger, proposals, reversals, stock_cards
from inventory.services.consumption import Printed
from inventory.services.deliveries import Handover
from tests.conftest import NOW, TODAY, dispose, test_settings
from tests.world import BLANK, World

DAYS = [TODAY - timedelta(days=back) for back in range(9, -1, -1)]
TOMORROW = TODAY + timedelta(days=1)

# The law, written a second time: what one unit adds to each figure.
ADDS: dict[tuple[str, str], dict[str, int]] = {
    ("receipt", "supplied"): {"received": 1, "store": 1},
    ("receipt", "defective"): {"received": 1, "spoiled": 1},
    ("print", "new"): {"store": -1, "printed": 1},
    ("print", "lost"): {"store": -1, "printed": 1},
    ("print", "damaged"): {"store": -1, "printed": 1},
    ("print", "changed_data"): {"store": -1, "printed": 1},
    ("print", "moved_in"): {"store": -1, "printed": 1},
    ("spoil", "misprint"): {"store": -1, "spoiled": 1},
    ("spoil", "encoding_failure"): {"store": -1, "spoiled": 1},
    ("spoil", "obsolete"): {"store": -1, "spoiled": 1},
    ("return", "to_supplier"): {"store": -1, "sent": 1},
    ("dispatch", "distribution"): {"store": -1, "transit": 1},
    ("arrival", "handed_over"): {"transit": -1, "sent": 1},
    ("arrival", "short"): {"transit": -1, "missing": 1},
    ("arrival", "cancelled"): {"transit": -1, "store": 1},
    ("arrival", "arrived"): {"received": 1, "store": 1},
    ("arrival", "arrived_damaged"): {"received": 1, "spoiled": 1},
    ("destroy", "destroyed"): {"spoiled": -1, "destroyed": 1},
    ("count", "found"): {"store": 1, "missing": -1},
    ("count", "short"): {"store": -1, "missing": 1},
}
FIGURES = ("received", "sent", "store", "transit", "printed", "spoiled", "destroyed", "missing")
DOCUMENTS = sorted(key for key in ADDS if key[0] in ("dispatch", "arrival", "destroy", "count"))
APPROVED = {("destroy", "destroyed"), ("spoil", "obsolete"), ("count", "found"), ("count", "short")}
"""What only an approved document can post: the documents' own property test has them."""
PRINTED = sorted(reason for kind, reason in ADDS if kind == "print")
SPOILED = sorted(cause for kind, cause in ADDS if kind == "spoil" and (kind, cause) not in APPROVED)


# --- the model: a list of movements ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    kind: str
    reason: str
    quantity: int
    day: date
    served: int = 0
    id: int = 0
    seq: int = 0
    known_at: datetime = NOW
    undoes: int = 0
    delivery: UUID | None = None


def sums(entries: list[Entry]) -> dict[str, int]:
    figures: dict[str, int] = dict.fromkeys(FIGURES, 0)
    for entry in entries:
        for figure, each in ADDS[entry.kind, entry.reason].items():
            figures[figure] += each * entry.quantity
    return figures


def negative(figures: dict[str, int]) -> bool:
    return any(figures[figure] < 0 for figure in FIGURES if figure != "missing")


@dataclass
class Book:
    entries: list[Entry] = field(default_factory=list)

    def until(self, day: date, known_at: datetime | None = None) -> dict[str, int]:
        return sums([e for e in self.entries if e.day <= day and (known_at is None or e.known_at <= known_at)])

    def refuses(self, new: list[Entry]) -> str | None:
        """The code of the refusal that these entries together deserve, if any."""
        after = Book(self.entries + new)
        if negative(after.until(TOMORROW)):
            return "not_enough_stock"
        if any(negative(after.until(day)) for day in DAYS):
            return "day_below_zero"
        return None

    def refuses_reversal(self, entry: Entry) -> str | None:
        if entry.undoes:
            return "reversal_of_reversal"
        if any(other.undoes == entry.id for other in self.entries):
            return "already_reversed"
        if (entry.kind, entry.reason) in DOCUMENTS:
            return "part_of_document"
        return self.refuses(self.reversal(entry))

    def reversal(self, entry: Entry) -> list[Entry]:
        whole = [e for e in self.entries if e.delivery == entry.delivery and not e.undoes]
        return [
            replace(e, quantity=-e.quantity, served=-e.served, undoes=e.id)
            for e in (whole if entry.delivery else [entry])
        ]

    def add(self, new: list[Entry], posting: ledger.Posting, at: datetime) -> None:
        for entry, written in zip(new, posting.movements, strict=True):
            self.entries.append(replace(entry, id=written.id, seq=written.seq, known_at=at))


# --- the ledger, one office at a time ----------------------------------------------------------------------------


@dataclass
class Desk:
    """A storekeeper's desk in an office of its own, so that examples do not see each other's stock."""

    actor: Actor
    manager: Actor
    office: str
    office_id: int
    item_id: int

    _numbers: ClassVar[Iterator[int]] = itertools.count(1)

    @classmethod
    def open(cls) -> Desk:
        parent = db.session.scalars(select(Office).where(Office.code == "51.71")).one()
        number = next(cls._numbers)
        path = f"{parent.path}z.{number}/"
        row = {"code": f"z.{number}", "name": "Uji", "kind": "district", "parent_id": parent.id, "path": path}
        row |= {"time_zone": "Asia/Makassar", "active": True, **vars(OfficeSettings())}
        office_id = db.session.execute(insert(Office).values(row).returning(Office.id)).scalar_one()
        db.session.commit()
        person = World(None).storekeeper.person_id  # type: ignore[arg-type]
        actor = Actor(person, "Uji", (Grant(Role.STOREKEEPER, path),))
        person = World(None).actor("manager").person_id  # type: ignore[arg-type]
        manager = Actor(person, "Kepala", (Grant(Role.MANAGER, path),))
        return cls(actor, manager, row["code"], office_id, items.get(BLANK).id)

    def line(self, entry: Entry) -> Line:
        return Line(
            office_id=self.office_id,
            item_id=self.item_id,
            kind=Kind(entry.kind),
            reason=entry.reason,
            quantity=entry.quantity,
            served_waiting=entry.served,
            effective_on=entry.day,
        )

    def post(self, at: datetime, request: UUID, entries: list[Entry]) -> ledger.Posting:
        return ledger.post(self.actor, at, request, [self.line(entry) for entry in entries])

    def deliver(self, at: datetime, request: UUID, day: date, good: int, defective: int) -> ledger.Posting:
        handover = Handover(
            bast_number=f"470/{request}",
            bast_on=day,
            received_on=day,
            asked=None,
            received=good + defective,
            defective=defective,
            funding_source="apbn",
            supplier="Ditjen Dukcapil",
        )
        return deliveries.record(self.actor, at, request, self.office, BLANK, handover)

    def as_of(self, day: date) -> Effect:
        return balances.as_of(self.actor, self.office, BLANK, day)

    def balance(self) -> Effect:
        found = balances.of_office(self.actor, self.office)
        return found[0].figures if found else Effect()


# --- the machine -------------------------------------------------------------------------------------------------

some_day = st.sampled_from(DAYS)
quantity = st.integers(1, 30)
pick = st.integers(0, 10**6)
served_prints = st.dictionaries(
    st.sampled_from(PRINTED),
    st.tuples(st.integers(1, 30), st.integers(0, 30)).map(lambda pair: (pair[0], min(pair))),
    min_size=1,
    max_size=3,
)
mixed_lines = st.lists(
    st.tuples(st.sampled_from(sorted(set(ADDS) - APPROVED)), quantity, some_day), min_size=1, max_size=5
).map(lambda lines: [Entry(*key, quantity, day) for key, quantity, day in lines])


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk.open()
        self.book = Book()
        self.clock = NOW
        self.sent: list[tuple[UUID, Callable[[UUID], ledger.Posting], list[int]]] = []

    # What people do.

    @rule(day=some_day, good=st.integers(0, 60), defective=st.integers(0, 5))
    def deliver(self, day: date, good: int, defective: int) -> None:
        request = uuid4()
        parts = (("supplied", good), ("defective", defective))
        new = [Entry("receipt", why, count, day, delivery=request) for why, count in parts if count]
        if new:
            self.send(new, lambda request: self.desk.deliver(self.clock, request, day, good, defective), request)

    @rule(day=some_day, printed=served_prints)
    def print_cards(self, day: date, printed: dict[str, tuple[int, int]]) -> None:
        counts = {reason: Printed(*pair) for reason, pair in printed.items()}
        order = [reason for reason in consumption.PRINT_REASONS if reason in printed]
        new = [Entry("print", reason, printed[reason][0], day, printed[reason][1]) for reason in order]
        desk = self.desk
        self.send(
            new,
            lambda request: consumption.post_printed(desk.actor, self.clock, request, desk.office, BLANK, day, counts),
        )

    @rule(day=some_day, cause=st.sampled_from(SPOILED), count=quantity)
    def spoil(self, day: date, cause: str, count: int) -> None:
        desk = self.desk
        self.send(
            [Entry("spoil", cause, count, day)],
            lambda request: consumption.post_spoiled(
                desk.actor, self.clock, request, desk.office, BLANK, day, {cause: count}
            ),
        )

    @rule(day=some_day, count=quantity)
    def give_back(self, day: date, count: int) -> None:
        desk = self.desk
        self.send(
            [Entry("return", "to_supplier", count, day)],
            lambda request: consumption.post_returned(
                desk.actor, self.clock, request, desk.office, BLANK, day, count, "wrong type"
            ),
        )

    @rule(lines=mixed_lines)
    def post_a_document(self, lines: list[Entry]) -> None:
        self.send(lines, lambda request: self.desk.post(self.clock, request, lines))

    @precondition(lambda self: self.book.entries)
    @rule(which=pick)
    def reverse(self, which: int) -> None:
        entry = self.book.entries[which % len(self.book.entries)]
        refusal, desk = self.book.refuses_reversal(entry), self.desk
        if entry.kind != "receipt" or refusal in ("reversal_of_reversal", "already_reversed"):
            self.send(
                self.book.reversal(entry),
                lambda request: ledger.reverse(desk.actor, self.clock, request, entry.id, "a slip"),
                refusal=refusal,
            )
            return
        asked = reversals.ask(desk.actor, self.clock, uuid4(), entry.id, "a slip")
        self.send(
            self.book.reversal(entry),
            lambda request: reversals.approve(desk.manager, self.clock, request, asked),
            refusal=refusal,
        )
        if refusal:
            proposals.reject(desk.manager, self.clock, asked, "the blanks are used")

    # What goes wrong.

    @precondition(lambda self: self.sent)
    @rule(which=pick)
    def send_again(self, which: int) -> None:
        request, call, ids = self.sent[which % len(self.sent)]
        again = call(request)
        assert again.replayed
        assert [movement.id for movement in again.movements] == ids

    @precondition(lambda self: self.sent)
    @rule(which=pick)
    def send_other_figures_under_a_used_id(self, which: int) -> None:
        request, _, _ = self.sent[which % len(self.sent)]
        with pytest.raises(Refusal, match="request_id_reused"):
            self.desk.post(self.clock, request, [Entry("print", "new", 999, TODAY)])

    @rule(day=some_day, more=quantity)
    def print_more_than_there_is(self, day: date, more: int) -> None:
        there = self.book.until(TOMORROW)["store"]
        with pytest.raises(Refusal, match="not_enough_stock") as refused:
            self.desk.post(self.clock, uuid4(), [Entry("print", "new", there + more, day)])
        assert refused.value.facts["available"] == there

    @rule(count=quantity)
    def post_for_tomorrow(self, count: int) -> None:
        with pytest.raises(Invalid, match="day_in_future"):
            self.desk.deliver(self.clock, uuid4(), TOMORROW, count, 0)

    def send(
        self,
        new: list[Entry],
        call: Callable[[UUID], ledger.Posting],
        request: UUID | None = None,
        refusal: str | None = None,
    ) -> None:
        """Post, and expect of the ledger what the book expects."""
        request = request or uuid4()
        refusal = refusal or self.book.refuses(new)
        self.clock += timedelta(minutes=1)
        if refusal:
            with pytest.raises(Refusal) as refused:
                call(request)
            assert refused.value.code == refusal
            return
        at = self.clock
        posting = call(request)
        assert not posting.replayed
        self.book.add(new, posting, at)
        self.sent.append((request, call, [movement.id for movement in posting.movements]))

    # What must hold.

    @invariant()
    def the_balance_is_the_sum_of_the_movements_and_obeys_the_law(self) -> None:
        found = self.desk.balance()._asdict()
        assert found == sums(self.book.entries)
        places = ("store", "transit", "printed", "spoiled", "destroyed", "missing")
        assert found["received"] - found["sent"] == sum(found[place] for place in places)
        assert not negative(found)

    def teardown(self) -> None:
        self.check_days()
        self.check_totals()
        self.check_sequence()
        self.check_card()
        db.session.rollback()

    def check_days(self) -> None:
        for day in [DAYS[0] - timedelta(days=1), *DAYS, TOMORROW]:
            assert self.desk.as_of(day)._asdict() == self.book.until(day)
            assert not negative(self.book.until(day))
        instants = [NOW - timedelta(days=1), *sorted({e.known_at for e in self.book.entries})[::4]]
        for instant, day in itertools.product(instants, DAYS[::3]):
            known = balances.as_known_at(self.desk.actor, self.desk.office, BLANK, day, instant)
            assert known._asdict() == self.book.until(day, instant)

    def check_totals(self) -> None:
        rows = db.session.execute(
            select(
                DailyTotal.day,
                DailyTotal.kind,
                DailyTotal.reason,
                DailyTotal.quantity,
                DailyTotal.served_waiting,
            ).where(DailyTotal.office_id == self.desk.office_id)
        )
        expected: dict[tuple[date, str, str], tuple[int, int]] = {}
        for e in self.book.entries:
            total, waiting = expected.get((e.day, e.kind, e.reason), (0, 0))
            expected[e.day, e.kind, e.reason] = (total + e.quantity, waiting + e.served)
        assert {(day, kind, reason): (total, waiting) for day, kind, reason, total, waiting in rows} == expected

    def check_sequence(self) -> None:
        query = select(Movement.seq, Movement.id).where(Movement.office_id == self.desk.office_id)
        found = [tuple(row) for row in db.session.execute(query.order_by(Movement.seq))]
        assert found == [(number, entry.id) for number, entry in enumerate(self.book.entries, start=1)]

    def check_card(self) -> None:
        desk = self.desk
        card = stock_cards.read(desk.actor, self.clock, desk.office, BLANK, DAYS[2], TODAY)
        left = self.book.until(DAYS[1])["store"]
        assert card.opening == left
        ordered = sorted((e for e in self.book.entries if e.day >= DAYS[2]), key=lambda e: (e.day, e.seq))
        assert [line.movement_id for line in card.lines] == [entry.id for entry in ordered]
        for line, entry in zip(card.lines, ordered, strict=True):
            left += sums([entry])["store"]
            assert line.left == left
        assert card.closing == left == self.book.until(TOMORROW)["store"]


# --- running it --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sqlite_app(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("properties")
    shutil.copy(sqlite_template, folder / "blangko.sqlite3")
    app = create_app(test_settings(f"sqlite:///{folder / 'blangko.sqlite3'}", folder))
    yield app
    dispose(app)


@pytest.fixture(scope="module")
def postgres_app(
    postgres_url: str, postgres_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    name = f"blangko_properties_{uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        names = (sql.Identifier(name), sql.Identifier(postgres_template))
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        app = create_app(test_settings(postgres_url.rsplit("/", 1)[0] + "/" + name, tmp_path_factory.mktemp("pg")))
        yield app
        dispose(app)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_app(request: pytest.FixtureRequest) -> Iterator[Flask]:
    """One database for all examples of this file: each example opens an office of its own."""
    app = request.getfixturevalue("sqlite_app" if request.param == "sqlite" else "postgres_app")
    with app.app_context():
        if request.param == "sqlite":
            spare_the_disk()
        yield app


def spare_the_disk() -> None:
    """SQLite waits for the disk at every commit; thousands of examples need not."""
    pooled = db.engine.raw_connection()
    pooled.driver_connection.execute("PRAGMA synchronous = OFF")  # type: ignore[union-attr]
    pooled.close()


def sequences(*, sqlite: int, postgresql: int) -> int:
    return sqlite if db.engine.dialect.name == "sqlite" else postgresql


def profile(examples: int, steps: int = 30) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


def test_the_ledger_agrees_with_a_plain_list_of_movements(shared_app: Flask) -> None:
    run_state_machine_as_test(LedgerMachine, settings=profile(sequences(sqlite=10, postgresql=5)))


@pytest.mark.slow
def test_the_ledger_agrees_with_a_plain_list_of_movements_in_many_sequences(shared_app: Flask) -> None:
    run_state_machine_as_test(LedgerMachine, settings=profile(sequences(sqlite=350, postgresql=150), steps=40))


def post_all(desk: Desk, entries: list[Entry]) -> None:
    """Post each by itself, in order; what is refused waits until the others are in."""
    waiting = entries
    while waiting:
        refused = [entry for entry in waiting if not posted(desk, entry)]
        assert len(refused) < len(waiting), "nothing more can be posted"
        waiting = refused


def posted(desk: Desk, entry: Entry) -> bool:
    try:
        desk.post(NOW, uuid4(), [entry])
    except Refusal:
        return False
    return True


def check_permutations(examples: int) -> None:
    uses = st.tuples(
        st.sampled_from([("print", "new"), ("spoil", "misprint"), ("return", "to_supplier")]),
        st.integers(1, 10),
        some_day,
    ).map(lambda use: Entry(*use[0], use[1], use[2]))

    @given(
        uses=st.lists(uses, max_size=6), receipts=st.lists(st.tuples(quantity, some_day), max_size=4), data=st.data()
    )
    @profile(examples)
    def check(uses: list[Entry], receipts: list[tuple[int, date]], data: Any) -> None:
        entries = [Entry("receipt", "supplied", 70, DAYS[0])]
        entries += [Entry("receipt", "supplied", count, day) for count, day in receipts] + uses
        desks = [Desk.open(), Desk.open()]
        post_all(desks[0], entries)
        post_all(desks[1], data.draw(st.permutations(entries)))
        for day in DAYS:
            assert desks[0].as_of(day) == desks[1].as_of(day)
            assert desks[0].as_of(day)._asdict() == Book(entries).until(day)

    check()


def test_any_order_of_the_same_dated_movements_gives_the_same_days(shared_app: Flask) -> None:
    check_permutations(sequences(sqlite=12, postgresql=6))


@pytest.mark.slow
def test_any_order_of_many_dated_movements_gives_the_same_days(shared_app: Flask) -> None:
    check_permutations(sequences(sqlite=300, postgresql=75))


# --- one posting of many lines -----------------------------------------------------------------------------------


def two_desks() -> tuple[Desk, Desk]:
    first, second = Desk.open(), Desk.open()
    return first, replace(second, actor=first.actor)


def receipts(desks: tuple[Desk, Desk]) -> list[Line]:
    """Lines of two offices in turn, the later office first."""
    return [
        desk.line(Entry("receipt", "supplied", count, TODAY))
        for count, desk in enumerate([desks[1], desks[0], desks[1], desks[0]], start=1)
    ]


def test_movements_come_back_in_the_order_of_their_lines(shared_app: Flask) -> None:
    desks, request = two_desks(), uuid4()
    lines = receipts(desks)
    first = ledger.post(desks[0].actor, NOW, request, lines)
    assert [(m.office_id, m.quantity) for m in first.movements] == [(x.office_id, x.quantity) for x in lines]


def test_a_request_sent_again_brings_back_the_same_movements_in_the_same_order(shared_app: Flask) -> None:
    desks, request = two_desks(), uuid4()
    first = ledger.post(desks[0].actor, NOW, request, receipts(desks))
    again = ledger.post(desks[0].actor, NOW, request, receipts(desks))
    assert again.replayed
    assert again.movements == first.movements


def test_a_posting_without_lines_is_refused(shared_app: Flask) -> None:
    with pytest.raises(Invalid, match="nothing_entered"):
        ledger.post(Desk.open().actor, NOW, uuid4(), [])


@pytest.mark.parametrize(("again", "waiting"), [(10, 5), (12, 12), (14, 3), (9, 9)])
def test_an_entry_taken_back_and_entered_anew_in_one_posting_counts_once(
    shared_app: Flask, again: int, waiting: int
) -> None:
    desk = Desk.open()
    desk.deliver(NOW, uuid4(), TODAY, 100, 0)
    wrong = desk.line(Entry("print", "new", 10, TODAY))
    written = ledger.post(desk.actor, NOW, uuid4(), [wrong]).movements[0]
    undo = replace(wrong, quantity=-10, reverses_id=written.id)
    ledger.post(desk.actor, NOW, uuid4(), [undo, desk.line(Entry("print", "new", again, TODAY, waiting))])
    assert desk.balance() == Effect(received=100, store=100 - again, printed=again)
    query = select(DailyTotal.quantity, DailyTotal.served_waiting).where(
        DailyTotal.office_id == desk.office_id, DailyTotal.kind == "print"
    )
    assert [tuple(row) for row in db.session.execute(query)] == [(again, waiting)]


# --- texts -------------------------------------------------------------------------------------------------------

long_or_strange = st.one_of(
    st.text(max_size=30), st.integers(400, 700).map(lambda n: "é" * n), st.just("a\x00b"), st.just("a\u2028b")
)


def test_a_note_is_kept_as_it_was_written_or_refused(shared_app: Flask) -> None:
    desk = Desk.open()
    desk.deliver(NOW, uuid4(), TODAY, 100_000, 0)

    @given(note=long_or_strange)
    @profile(60)
    def check(note: str) -> None:
        counts = {"new": Printed(1)}
        try:
            posting = consumption.post_printed(desk.actor, NOW, uuid4(), desk.office, BLANK, TODAY, counts, note)
        except Invalid:
            return
        kept = db.session.scalar(select(Movement.note).where(Movement.id == posting.movements[0].id))
        assert kept == note.strip()
        assert len(note.strip()) <= 500

    check()


@pytest.mark.parametrize(
    "changes",
    [
        {"bast_number": "9" * 81},
        {"supplier": "x" * 121},
        {"handed_over_by": "x" * 121},
        {"taken_over_by": "x" * 121},
        {"note": "x" * 501},
        {"bast_number": "470\x00"},
        {"supplier": "x\x00"},
        {"note": "x\x00"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_record_of_hand_over_that_cannot_be_kept_is_refused(shared_app: Flask, changes: dict[str, Any]) -> None:
    desk = Desk.open()
    values: dict[str, Any] = {
        "bast_number": f"470/{uuid4()}",
        "bast_on": TODAY,
        "received_on": TODAY,
        "asked": None,
        "received": 10,
        "defective": 0,
        "funding_source": "apbn",
        "supplier": "Ditjen Dukcapil",
    }
    with pytest.raises(Invalid):
        deliveries.record(desk.actor, NOW, uuid4(), desk.office, BLANK, Handover(**values | changes))
    assert desk.balance() == Effect()
