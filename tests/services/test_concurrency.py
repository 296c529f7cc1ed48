"""What holds when many write at once, when a writer dies, and when the database asks for another try."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from uuid import UUID, uuid4

import psycopg
import pytest
from flask import Flask
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import OperationalError

from inventory.db import ATTEMPTS, db, write
from inventory.domain.access import SYSTEM, Action, Actor
from inventory.domain.errors import Refusal
from inventory.domain.ledger import Effect, Kind, Line
from inventory.models import Balance, Delivery, Movement
from inventory.services import balances, consumption, deliveries, items, ledger, offices, reversals
from inventory.services.consumption import Printed
from tests.concurrent import at_once, audit, done, meanwhile, refused_codes, start_writer
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

MONDAY, TUESDAY = TODAY - timedelta(days=2), TODAY - timedelta(days=1)
BULK_OFFICES = (DENPASAR, BADUNG, "51.71.01", "51.71.02", "16.09")
BULK_ITEMS = (BLANK, "ktp-wna", "kia")


@pytest.fixture
def app(crowded_app: Flask) -> Flask:
    return crowded_app


def printing(actor: Actor, day: date, quantity: int, request: UUID | None = None) -> Any:
    return consumption.post_printed(actor, NOW, request or uuid4(), DENPASAR, BLANK, day, {"new": Printed(quantity)})


def movements_of(request: UUID) -> int:
    counted = select(func.count()).select_from(Movement).where(Movement.request_id == request)
    return db.session.scalar(counted) or 0


# --- taking the same blanks --------------------------------------------------------------------------------------


def test_of_two_requests_that_take_all_blanks_exactly_one_succeeds(world: World) -> None:
    actor = world.storekeeper
    for _ in range(10):
        world.deliver(NOW, TODAY, 5)
        outcomes = at_once(world.app, [lambda: printing(actor, TODAY, 5)] * 2)
        assert refused_codes(outcomes) == {"not_enough_stock": 1}
        assert world.figures().store == 0
    audit()


def test_sixteen_clients_cannot_take_more_than_two_hundred_blanks(world: World) -> None:
    actor = world.storekeeper
    world.deliver(NOW, TODAY, 200)

    def client() -> tuple[int, int]:
        outcomes: list[Any] = []
        for _ in range(25):
            try:
                outcomes.append(printing(actor, TODAY, 1))
            except Refusal as refusal:
                outcomes.append(refusal)
        return len(done(outcomes)), refused_codes(outcomes)["not_enough_stock"]

    outcomes = at_once(world.app, [client] * 16)
    assert not refused_codes(outcomes)
    assert sum(taken for taken, _ in outcomes) == 200
    assert sum(refused for _, refused in outcomes) == 200
    assert world.figures() == Effect(received=200, printed=200)
    audit()


def test_writers_in_processes_of_their_own_share_one_stock(world: World, database_url: str, tmp_path: Path) -> None:
    world.deliver(NOW, TODAY, 50)
    writers = start_writer(database_url, tmp_path, posts=25, number=3)
    out, errors = writers.communicate(timeout=120)
    assert writers.returncode == 0, errors
    said = [line for line in out.splitlines() if line != "ready"]
    assert out.count("ready") == 3
    assert said.count("refused not_enough_stock") == 25
    assert len([line for line in said if not line.startswith("refused")]) == 50
    db.session.rollback()
    assert world.figures() == Effect(received=50, printed=50)
    audit()


def test_a_receipt_and_an_issue_at_the_same_moment_leave_the_figures_right(world: World) -> None:
    actor = world.storekeeper
    world.deliver(NOW, TODAY, 100)
    for _ in range(30):
        outcomes = at_once(
            world.app, [lambda: world.deliver(NOW, TODAY, 10, defective=1), lambda: printing(actor, TODAY, 3)]
        )
        assert not refused_codes(outcomes)
    assert world.figures() == Effect(received=400, store=280, printed=90, spoiled=30)
    audit()


def test_the_first_receipts_of_an_item_may_come_together(world: World) -> None:
    outcomes = at_once(world.app, [lambda: world.deliver(NOW, TODAY, 10)] * 12)
    assert not refused_codes(outcomes)
    assert world.figures().store == 120
    audit()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # a SQLite writer is alone
def test_a_receipt_at_any_moment_of_a_posting_that_lacks_blanks_makes_it_succeed_or_be_refused(
    world: World, database_url: str
) -> None:
    actor, moments = world.storekeeper, 0
    world.deliver(NOW, TODAY, 1)
    for nth in range(1, 6):
        too_many = world.figures().store + 50
        with meanwhile(world.app, lambda: world.deliver(NOW, TODAY, 100), after="balances", nth=nth) as overtaken:
            outcome = attempt(lambda quantity=too_many: printing(actor, TODAY, quantity))
        assert set(refused_codes([outcome])) <= {"not_enough_stock"}
        moments += overtaken.is_set()
    assert moments >= 2
    audit()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_blanks_that_come_and_go_during_a_posting_make_it_succeed_or_be_refused(
    world: World, database_url: str
) -> None:
    actor, app = world.storekeeper, world.app
    world.deliver(NOW, TODAY, 1)
    come = meanwhile(app, lambda: world.deliver(NOW, TODAY, 100), after="^UPDATE balances")
    gone = meanwhile(app, lambda: attempt(lambda: printing(actor, TODAY, 80)), after="^SELECT .*balances")
    with come as delivered, gone as printed:
        outcome = attempt(lambda: printing(actor, TODAY, 50))
    assert delivered.is_set()
    assert printed.is_set()
    assert set(refused_codes([outcome])) <= {"not_enough_stock"}
    audit()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_refusal_does_not_wait_for_a_transaction_that_only_refers_to_the_balance(
    world: World, database_url: str
) -> None:
    """Such as the nightly review, whose projections refer to every balance until it commits."""
    actor, app = world.storekeeper, world.app
    world.deliver(NOW, TODAY, 5)
    said: list[Any] = []
    asking = threading.Thread(target=lambda: said.extend(at_once(app, [lambda: printing(actor, TODAY, 6)])))
    with psycopg.connect(database_url) as other:
        other.execute("SELECT 1 FROM balances FOR KEY SHARE")
        asking.start()
        asking.join(3)
        in_time = list(said)
    asking.join()
    assert refused_codes(in_time) == {"not_enough_stock": 1}


def attempt(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return error


@pytest.mark.parametrize("figure_day", [MONDAY, TUESDAY])
def test_a_past_day_reads_the_same_while_today_is_posted(world: World, figure_day: date) -> None:
    actor = world.storekeeper
    world.deliver(NOW, MONDAY, 100)
    with meanwhile(world.app, lambda: world.print(NOW, TODAY, 30), after="^SELECT .*balances") as posted:
        seen = balances.as_of(actor, DENPASAR, BLANK, figure_day)
    assert posted.is_set()
    assert seen == Effect(received=100, store=100)


# --- once only ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stock", [7, 1000], ids=["just enough for one", "plenty"])
def test_fifty_equal_posts_are_one_movement(world: World, stock: int) -> None:
    actor, request = world.storekeeper, uuid4()
    world.deliver(NOW, TODAY, stock)
    outcomes = at_once(world.app, [lambda: printing(actor, TODAY, 7, request)] * 50)
    assert not refused_codes(outcomes)
    assert len({posting.movements[0].id for posting in outcomes}) == 1
    assert [posting.replayed for posting in outcomes].count(False) == 1
    assert movements_of(request) == 1
    assert world.figures() == Effect(received=stock, store=stock - 7, printed=7)
    audit()


def test_fifty_equal_deliveries_are_one_delivery(world: World) -> None:
    request = uuid4()
    outcomes = at_once(
        world.app, [lambda: world.deliver(NOW, TODAY, 100, defective=3, request=request, bast="470/50")] * 50
    )
    assert not refused_codes(outcomes)
    assert len({tuple(movement.id for movement in posting.movements) for posting in outcomes}) == 1
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == 1
    assert world.figures() == Effect(received=100, store=97, spoiled=3)
    audit()


def test_one_request_id_with_many_bodies_at_once_posts_one_of_them(world: World) -> None:
    actor, request = world.storekeeper, uuid4()
    world.deliver(NOW, TODAY, 1000)
    calls = [lambda quantity=quantity: printing(actor, TODAY, quantity, request) for quantity in range(1, 13)]
    outcomes = at_once(world.app, calls)
    assert refused_codes(outcomes) == {"request_id_reused": 11}
    assert movements_of(request) == 1
    audit()


def test_a_record_of_hand_over_entered_by_many_at_once_counts_once(world: World) -> None:
    outcomes = at_once(world.app, [lambda: world.deliver(NOW, TODAY, 100, bast="470/1")] * 10)
    assert refused_codes(outcomes) == {"bast_already_recorded": 9}
    assert world.figures().store == 100
    audit()


def test_opening_stock_entered_by_many_at_once_counts_once(world: World) -> None:
    actor = world.storekeeper
    outcomes = at_once(
        world.app,
        [lambda: deliveries.record_opening(actor, NOW, uuid4(), DENPASAR, BLANK, TODAY, 40, "counted")] * 10,
    )
    assert refused_codes(outcomes) == {"opening_not_first": 9}
    assert world.figures().store == 40
    audit()


def test_opening_stock_entered_by_many_at_once_counts_once_where_a_mistake_was_taken_back(world: World) -> None:
    actor = world.storekeeper
    mistake = world.deliver(NOW, TODAY, 7).movements[0].id
    world.reverse_receipt(NOW, mistake)
    outcomes = at_once(
        world.app,
        [lambda: deliveries.record_opening(actor, NOW, uuid4(), DENPASAR, BLANK, TODAY, 40, "counted")] * 10,
    )
    assert refused_codes(outcomes) == {"opening_not_first": 9}
    assert world.figures().store == 40
    audit()


def test_opening_stock_never_comes_after_a_delivery_of_the_same_moment(world: World) -> None:
    actor = world.storekeeper
    outcomes = at_once(
        world.app,
        [
            lambda: deliveries.record_opening(actor, NOW, uuid4(), DENPASAR, BLANK, TODAY, 40, "counted"),
            lambda: world.deliver(NOW, TODAY, 5),
        ],
    )
    refused = refused_codes(outcomes)
    assert set(refused) <= {"opening_not_first"}
    assert world.figures().store == (5 if refused else 45)
    reasons = db.session.scalars(select(Movement.reason).order_by(Movement.seq)).all()
    assert reasons in (["supplied"], ["opening", "supplied"])


# --- reversal and days -------------------------------------------------------------------------------------------


def test_a_print_reversed_by_ten_at_once_is_reversed_once(world: World) -> None:
    actor = world.storekeeper
    world.deliver(NOW, TODAY, 100)
    world.print(NOW, TODAY, 50)
    wrong = world.print(NOW, TODAY, 10).movements[0].id
    calls = [lambda: ledger.reverse(actor, NOW, uuid4(), wrong, "typed twice")] * 10
    assert refused_codes(at_once(world.app, calls)) == {"already_reversed": 9}
    assert world.figures() == Effect(received=100, store=50, printed=50)
    audit()


def test_the_only_print_reversed_by_ten_at_once_says_that_it_is_already_reversed(world: World) -> None:
    actor = world.storekeeper
    world.deliver(NOW, TODAY, 100)
    for _ in range(5):
        wrong = world.print(NOW, TODAY, 10).movements[0].id
        calls = [lambda wrong=wrong: ledger.reverse(actor, NOW, uuid4(), wrong, "typed twice")] * 10
        assert refused_codes(at_once(world.app, calls)) == {"already_reversed": 9}
    assert world.figures() == Effect(received=100, store=100)
    audit()


def test_a_delivery_reversed_by_ten_at_once_is_reversed_once(world: World) -> None:
    manager = world.actor("manager")
    wrong = world.deliver(NOW, TODAY, 100, defective=2).movements[0].id
    asked = reversals.ask(world.storekeeper, NOW, uuid4(), wrong, "wrong item")
    calls = [lambda: reversals.approve(manager, NOW, uuid4(), asked)] * 10
    refused = refused_codes(at_once(world.app, calls))
    assert sum(refused.values()) == 9
    assert set(refused) <= {"already_reversed", "proposal_decided"}
    assert world.figures() == Effect()
    audit()


def test_a_receipt_is_not_reversed_while_its_blanks_are_taken(world: World) -> None:
    actor, manager = world.storekeeper, world.actor("manager")
    for _ in range(10):
        before = world.figures().store
        receipt = world.deliver(NOW, TODAY, 10 - before).movements[0].id
        asked = reversals.ask(actor, NOW, uuid4(), receipt, "wrong office")
        calls = [
            lambda asked=asked: reversals.approve(manager, NOW, uuid4(), asked),
            lambda: printing(actor, TODAY, 10),
        ]
        assert sum(refused_codes(at_once(world.app, calls)).values()) == 1
    audit()


def test_a_back_dated_print_and_a_later_one_cannot_both_take_what_was_there(world: World) -> None:
    """On Tuesday there are 10; today's delivery hides from the balance that two prints of 8 are too many."""
    actor = world.storekeeper
    world.deliver(NOW, TODAY, 1000)
    for _ in range(15):
        there = balances.as_of(actor, DENPASAR, BLANK, TUESDAY).store
        world.deliver(NOW, MONDAY, 10 - there)
        calls = [lambda: printing(actor, MONDAY, 8), lambda: printing(actor, TUESDAY, 8)]
        assert refused_codes(at_once(world.app, calls)) == {"day_below_zero": 1}
        assert balances.as_of(actor, DENPASAR, BLANK, TUESDAY).store == 2
    audit()


# --- bulk --------------------------------------------------------------------------------------------------------


def line(office_id: int, item_id: int, kind: Kind, reason: str, quantity: int, day: date = TODAY) -> Line:
    return Line(office_id=office_id, item_id=item_id, kind=kind, reason=reason, quantity=quantity, effective_on=day)


def bulk_keys() -> list[tuple[int, int]]:
    places = [offices.get(SYSTEM, Action.VIEW_STOCK, code).id for code in BULK_OFFICES]
    return [(place, items.get(code).id) for place in places for code in BULK_ITEMS]


def bulk_lines(seed: int) -> list[Line]:
    """3,000 lines over fifteen stocks and three days, in no order; every stock gains 800 and loses 200."""
    lines = []
    for key in bulk_keys():
        lines += [line(*key, Kind.RECEIPT, "supplied", 8, MONDAY) for _ in range(100)]
        lines += [line(*key, Kind.PRINT, "new", 2, TUESDAY) for _ in range(50)]
        lines += [line(*key, Kind.PRINT, "lost", 2, TODAY) for _ in range(50)]
    random.Random(seed).shuffle(lines)
    return lines


@contextmanager
def traffic(app: Flask, count: int) -> Iterator[list[BaseException]]:
    """Threads that post over the same stocks in other orders, for as long as the context lasts; what they raised."""
    stop, raised = threading.Event(), []
    keys = bulk_keys()

    def post(seed: int) -> None:
        dice = random.Random(seed)
        with app.app_context():
            while not stop.is_set():
                some = dice.sample(keys, 6)
                lines = [line(*key, Kind.RECEIPT, "supplied", 3, dice.choice([MONDAY, TODAY])) for key in some]
                lines += [line(*key, Kind.PRINT, "damaged", 1) for key in reversed(some)]
                try:
                    ledger.post(SYSTEM, NOW, uuid4(), lines)
                except Exception as error:
                    raised.append(error)
                stop.wait(0.01)

    threads = [threading.Thread(target=post, args=(seed,), daemon=True) for seed in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield raised
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def test_three_thousand_lines_are_posted_beside_live_traffic(world: World) -> None:
    with traffic(world.app, 4) as raised:
        time.sleep(0.2)
        outcomes = at_once(
            world.app,
            [lambda seed=seed: ledger.post(SYSTEM, NOW, uuid4(), bulk_lines(seed)) for seed in range(2)],
        )
    assert not refused_codes(outcomes)
    assert not raised
    for posting in outcomes:
        assert len(bulk_lines(0)) == len(posting.movements) == 3000
        assert movements_of(request_of(posting)) == 3000
    audit()
    assert deadlocks() == 0


def deadlocks() -> int:
    """How many the server has broken up in this database."""
    if db.engine.dialect.name == "sqlite":
        return 0
    db.session.remove()
    db.engine.dispose()  # a connection tells what it saw when it ends
    time.sleep(0.2)
    return db.session.scalar(text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")) or 0


def request_of(posting: ledger.Posting) -> UUID:
    found = select(Movement.request_id).where(Movement.id == posting.movements[0].id)
    return db.session.scalars(found).one()


def test_three_thousand_lines_with_one_impossible_are_none(world: World) -> None:
    request, key = uuid4(), bulk_keys()[7]
    lines = bulk_lines(3)
    lines.insert(1234, line(*key, Kind.PRINT, "new", 601))
    with traffic(world.app, 2) as raised:
        outcome = attempt(lambda: ledger.post(SYSTEM, NOW, request, [*lines, *impossible(key)]))
    assert refused_codes([outcome]) == {"not_enough_stock": 1}
    assert not raised
    assert movements_of(request) == 0
    audit()


def impossible(key: tuple[int, int]) -> list[Line]:
    """More than all the traffic of a test can bring."""
    return [line(*key, Kind.PRINT, "new", 1_000_000)]


def test_one_impossible_day_among_three_thousand_lines_leaves_nothing(world: World) -> None:
    key = bulk_keys()[11]
    lines = [*bulk_lines(4), line(*key, Kind.PRINT, "new", 1, MONDAY - timedelta(days=1))]
    with pytest.raises(Refusal, match="day_below_zero"):
        ledger.post(SYSTEM, NOW, uuid4(), lines)
    assert db.session.scalar(select(func.count()).select_from(Movement)) == 0
    assert not db.session.scalars(select(Balance)).all()


# --- a writer that dies ------------------------------------------------------------------------------------------


def kill_writers(url: str, folder: Path, dice: random.Random, count: int) -> list[list[str]]:
    """Start writers and kill each at a moment of its own; the requests that each had acknowledged."""
    with ExitStack() as stack:
        writers = [stack.enter_context(start_writer(url, folder)) for _ in range(count)]
        outputs = [writer.stdout for writer in writers if writer.stdout]
        assert [output.readline() for output in outputs] == ["ready\n"] * count
        for writer in writers:
            time.sleep(dice.uniform(0.05, 0.3))
            writer.kill()
        return [output.read().split("\n")[:-1] for output in outputs]


def check_killed_writers(world: World, url: str, folder: Path, seed: int, *, rounds: int, writers: int) -> None:
    """What was acknowledged is there once; beside it, at most what each writer had under way when it died."""
    dice = random.Random(seed)
    world.deliver(NOW, TODAY, 1_000_000)
    by_writer = [acks for _ in range(rounds) for acks in kill_writers(url, folder, dice, writers)]
    acknowledged = [ack for acks in by_writer for ack in acks]
    assert acknowledged, "the writers were killed before they wrote"
    db.session.rollback()
    requests = db.session.scalars(select(Movement.request_id).where(Movement.kind == "print")).all()
    assert len(set(requests)) == len(requests)
    assert {UUID(ack) for ack in acknowledged} <= set(requests)
    assert len(requests) <= len(acknowledged) + len(by_writer)
    audit()


def test_a_killed_writer_has_posted_what_it_acknowledged(world: World, database_url: str, tmp_path: Path) -> None:
    check_killed_writers(world, database_url, tmp_path, seed=1, rounds=1, writers=2)


@pytest.mark.slow
def test_writers_killed_again_and_again_have_posted_what_they_acknowledged(
    world: World, database_url: str, tmp_path: Path
) -> None:
    check_killed_writers(world, database_url, tmp_path, seed=2, rounds=3, writers=3)


# --- another try -------------------------------------------------------------------------------------------------


class Asked(Exception):
    """What PostgreSQL says when it wants a transaction again."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("original", "tries"),
    [
        (Asked("40001"), ATTEMPTS),
        (Asked("40P01"), ATTEMPTS),
        (sqlite3.OperationalError("database is locked"), ATTEMPTS),
        (Asked("57014"), 1),
        (sqlite3.OperationalError("disk I/O error"), 1),
    ],
    ids=["serialization", "deadlock", "busy", "cancelled", "broken disk"],
)
def test_a_transaction_is_tried_again_a_bounded_number_of_times(world: World, original: Exception, tries: int) -> None:
    calls = 0

    def work(session: Any) -> None:
        nonlocal calls
        calls += 1
        session.execute(text("UPDATE offices SET name = 'half done' WHERE code = '51.71'"))
        raise OperationalError("statement", {}, original)

    with pytest.raises(OperationalError):
        write(work)
    assert calls == tries
    assert offices.get(SYSTEM, Action.VIEW_OFFICE, DENPASAR).name == "Kota Denpasar"


def test_a_transaction_that_succeeds_at_a_later_try_is_kept_once(world: World) -> None:
    calls = 0

    def work(session: Any) -> str:
        nonlocal calls
        calls += 1
        session.execute(text("UPDATE offices SET population = coalesce(population, 0) + 1 WHERE code = '51.71'"))
        if calls < ATTEMPTS:
            raise OperationalError("statement", {}, Asked("40001"))
        return "done"

    assert write(work) == "done"
    assert offices.get(SYSTEM, Action.VIEW_OFFICE, DENPASAR).population == 1


def test_two_transactions_that_wait_for_each_other_both_come_through(world: World) -> None:
    if db.engine.dialect.name == "sqlite":
        pytest.skip("one writer at a time cannot wait for another in a circle")
    meeting = threading.Barrier(2)
    tries: list[int] = []

    def crossing(first: str, second: str) -> Callable[[], None]:
        def work(session: Any) -> None:
            tries.append(1)
            add_one = "UPDATE offices SET population = coalesce(population, 0) + 1 WHERE code = :code"
            session.execute(text(add_one), {"code": first})
            if len(tries) <= 2:
                meeting.wait(10)
            session.execute(text(add_one), {"code": second})

        return lambda: write(work)

    outcomes = at_once(world.app, [crossing(DENPASAR, BADUNG), crossing(BADUNG, DENPASAR)])
    assert not refused_codes(outcomes)
    assert len(tries) == 3
    for code in (DENPASAR, BADUNG):
        assert offices.get(SYSTEM, Action.VIEW_OFFICE, code).population == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_transaction_that_reads_before_it_writes_is_not_overtaken(world: World, database_url: str) -> None:
    tries: list[int] = []

    def count_up(session: Any) -> None:
        tries.append(1)
        before = session.scalar(text("SELECT coalesce(population, 0) FROM offices WHERE code = '51.71'"))
        time.sleep(0.01)
        session.execute(text("UPDATE offices SET population = :n WHERE code = '51.71'"), {"n": before + 1})

    assert not refused_codes(at_once(world.app, [lambda: write(count_up)] * 8))
    assert offices.get(SYSTEM, Action.VIEW_OFFICE, DENPASAR).population == len(tries) == 8


def shorten_patience(milliseconds: int) -> None:
    db.session.execute(text(f"PRAGMA busy_timeout = {milliseconds}"))
    db.session.rollback()


@contextmanager
def locked(url: str) -> Iterator[sqlite3.Connection]:
    """Another program holds the SQLite file for writing."""
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        other.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_that_stays_busy_is_told_after_bounded_tries(world: World, database_url: str) -> None:
    world.deliver(NOW, TODAY, 10)
    actor = world.storekeeper
    shorten_patience(20)
    with locked(database_url):
        refused = Mock(return_value=None)
        event.listen(db.engine, "handle_error", refused)
        with pytest.raises(OperationalError, match="locked"):
            printing(actor, TODAY, 1)
        event.remove(db.engine, "handle_error", refused)
        assert refused.call_count == ATTEMPTS
    printing(actor, TODAY, 1)
    assert world.figures().store == 9
    audit()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_that_is_busy_for_longer_than_one_wait_is_tried_again(world: World, database_url: str) -> None:
    world.deliver(NOW, TODAY, 10)
    actor = world.storekeeper
    shorten_patience(60)
    with locked(database_url) as other:
        release = threading.Timer(0.1, lambda: other.execute("COMMIT"))
        release.start()
        outcome = attempt(lambda: printing(actor, TODAY, 1))
        release.join()
    assert not refused_codes([outcome])
    assert world.figures().store == 9


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_connection_cut_before_the_commit_leaves_nothing(world: World, database_url: str) -> None:
    world.deliver(NOW, TODAY, 10)
    request = uuid4()

    def cut(session: Any) -> dict[str, int]:
        backend = session.scalar(text("SELECT pg_backend_pid()"))
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (backend,))
        return {}

    with pytest.raises(OperationalError):
        ledger.post(SYSTEM, NOW, request, [line(*bulk_keys()[0], Kind.PRINT, "new", 1)], document=cut)
    assert movements_of(request) == 0
    assert world.figures().store == 10
    audit()
