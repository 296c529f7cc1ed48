"""Many callers at once, each with a connection of its own; and a naive audit of what they leave behind.

Run as a program (`python -m tests.concurrent URL FOLDER POSTS NUMBER`) it is that many writers, each a process of its
own that prints one card at a time, POSTS times or for ever when POSTS is 0, and says each request's id once it has been
posted.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from flask import Flask, has_app_context
from sqlalchemy import event, select

from inventory.db import db
from inventory.domain.errors import Refusal
from inventory.domain.ledger import FIGURES, NEVER_NEGATIVE, PLACES, effect_of
from inventory.models import Balance, DailyTotal, Movement

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_SECONDS = 120


def at_once(app: Flask, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make the calls together, each in a thread with its own session; their results or exceptions, in order."""
    outcomes: list[Any] = [TimeoutError("the call did not come back")] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(index: int) -> None:
        with app.app_context():
            db.session.connection()  # connect before the start, so that the calls and not the connecting compete
            db.session.rollback()
            barrier.wait(TIMEOUT_SECONDS)
            try:
                outcomes[index] = calls[index]()
            except Exception as error:
                outcomes[index] = error

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    if has_app_context():
        db.session.rollback()  # what the caller reads next is what is there now
    return outcomes


@contextmanager
def meanwhile(app: Flask, action: Callable[[], Any], *, after: str, nth: int = 1) -> Iterator[threading.Event]:
    """Let another thread do `action` right after the `nth` statement of this thread in which `after` is found.

    Where that statement holds what `action` needs, the action waits for the transaction; the context ends with it.
    The event says whether there was such a statement.
    """
    seen = 0
    happened = threading.Event()
    watched = threading.current_thread()

    def act() -> None:
        with app.app_context():
            action()

    def hook(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        nonlocal seen
        if threading.current_thread() is not watched or not re.search(after, statement, re.DOTALL):
            return
        seen += 1
        if seen == nth:
            happened.set()
            other.start()
            other.join(0.5)

    other = threading.Thread(target=act, daemon=True)
    event.listen(db.engine, "after_cursor_execute", hook)
    try:
        yield happened
    finally:
        event.remove(db.engine, "after_cursor_execute", hook)
        db.session.rollback()
    if happened.is_set():
        other.join(TIMEOUT_SECONDS)


def refused_codes(outcomes: Sequence[Any]) -> Counter[str]:
    """How often each refusal came. Anything else that was raised is raised here."""
    codes: Counter[str] = Counter()
    for outcome in outcomes:
        if isinstance(outcome, Refusal):
            codes[outcome.code] += 1
        elif isinstance(outcome, BaseException):
            raise outcome
    return codes


def done(outcomes: Sequence[Any]) -> list[Any]:
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]


def audit() -> None:
    """Recompute every balance and daily total from the movements, one by one, and hold them against the law."""
    db.session.rollback()
    if db.engine.dialect.name == "postgresql":
        # One picture for all that is compared, also while a killed writer's last posting is still being committed.
        db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    movements: dict[tuple[int, int], list[Movement]] = defaultdict(list)
    for movement in db.session.scalars(select(Movement).order_by(Movement.seq)):
        movements[movement.office_id, movement.item_id].append(movement)
    balances = {(row.office_id, row.item_id): row for row in db.session.scalars(select(Balance))}
    assert set(movements) <= set(balances)
    for key, balance in balances.items():
        found = movements[key]
        assert [m.seq for m in found] == list(range(1, len(found) + 1)), "a gap in the sequence"
        assert balance.last_seq == len(found)
        assert {f: getattr(balance, f) for f in FIGURES} == _figures(found)
        _check_law(_figures(found))
        _check_days(found)
    _check_totals(movements)
    db.session.rollback()


def _figures(movements: Sequence[Movement]) -> dict[str, int]:
    figures: dict[str, int] = dict.fromkeys(FIGURES, 0)
    for movement in movements:
        effect = effect_of(movement.kind, movement.reason)
        for figure in FIGURES:
            figures[figure] += getattr(effect, figure) * movement.quantity
    return figures


def _check_law(figures: dict[str, int]) -> None:
    assert figures["received"] - figures["sent"] == sum(figures[place] for place in PLACES)


def _check_days(movements: Sequence[Movement]) -> None:
    for day in sorted({m.effective_on for m in movements}):
        closing = _figures([m for m in movements if m.effective_on <= day])
        negative = {figure: closing[figure] for figure in NEVER_NEGATIVE if closing[figure] < 0}
        assert not negative, f"{day} closed at {negative}"


def _check_totals(movements: dict[tuple[int, int], list[Movement]]) -> None:
    expected: Counter[tuple[Any, ...]] = Counter()
    served: Counter[tuple[Any, ...]] = Counter()
    for key, found in movements.items():
        for m in found:
            expected[*key, m.effective_on, m.kind, m.reason] += m.quantity
            served[*key, m.effective_on, m.kind, m.reason] += m.served_waiting
    rows = db.session.scalars(select(DailyTotal)).all()
    cells = {(r.office_id, r.item_id, r.day, r.kind, r.reason): (r.quantity, r.served_waiting) for r in rows}
    assert cells == {cell: (expected[cell], served[cell]) for cell in expected}


# --- a writer in a process of its own ----------------------------------------------------------------------------


def start_writer(url: str, folder: Path, posts: int = 0, number: int = 1) -> subprocess.Popen[str]:
    """The writer prints Denpasar's cards; read the ids of its requests from its standard output. Of a number of writers
    the first waits for the others, and fails where one of them does."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.concurrent", url, str(folder), str(posts), str(number)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def _write(url: str, folder: str, posts: int, number: int) -> None:
    from inventory import create_app
    from tests.conftest import NOW, TODAY, test_settings
    from tests.world import World

    app = create_app(test_settings(url, Path(folder)))
    others = _split(number)  # before anything is connected
    with app.app_context():
        world = World(app)
        _say("ready")
        count = 0
        while posts == 0 or count < posts:
            count += 1
            request: UUID = uuid4()
            try:
                world.print(NOW, TODAY, 1, request=request)
            except Refusal as refusal:
                _say(f"refused {refusal.code}")
            else:
                _say(str(request))
    failed = [other for other in others if os.waitpid(other, 0)[1]]
    if failed:
        sys.exit("another writer failed")


def _say(line: str) -> None:
    """At once and in one piece: writers of a number share their standard output."""
    os.write(1, f"{line}\n".encode())


def _split(number: int) -> list[int]:
    """This process becomes so many; the first is told the ids of the others."""
    others: list[int] = []
    while len(others) < number - 1:
        other = os.fork()
        if other == 0:
            return []
        others.append(other)
    return others


if __name__ == "__main__":
    _write(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
