"""Works that are killed in their middle: a posting, a transfer, a stocktake, an import, a review, a seal, a migration.

Run as a program (`python -m tests.killed URL FOLDER`) it is a process that becomes another for each order it reads, so
that none has to load the application again: that one does a work, and again what the database did not answer, until it
is done or killed.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import event, func, select, text

from inventory import create_app
from inventory.db import db, on_postgresql, unavailable
from inventory.domain.access import SYSTEM
from inventory.domain.ledger import Kind, Line
from inventory.domain.stocktakes import Counted
from inventory.domain.transfers import Arrived
from inventory.jobs import run_due
from inventory.models import Import, JobRun, Movement, Office, Seal, Stocktake, StoredProjection, Transfer
from inventory.services import consumption, imports, items, ledger, reviews, runs, seals, stocktakes, transfers
from inventory.services.consumption import Printed
from tests.conftest import NOW, _connect_where_it_points, _pointed_at, test_settings
from tests.files import csv_file
from tests.world import BLANK, DENPASAR, OFFICES, World

NAMES = UUID("6f3c3f0e-6d8b-4a30-9a55-9a3f6f3f3a10")
IMPORTED = 400
PROGRESS = "progress"
ITEMS: tuple[str, ...] = (BLANK, "ktp-wna", "kia")
OLD_REVISION = "20261130_outlooks"
"""Where a migration that is killed sets out from: seals, audit, the API and second persons come after it."""


class Again(Exception):
    """It was not done, and may be tried again."""


def request(work: str, number: int, part: str = "") -> UUID:
    """The id of a request, the same for whoever does this work with this number."""
    return uuid5(NAMES, f"{work} {number} {part}")


def at(number: int) -> datetime:
    """Each work has a day of its own."""
    return NOW + timedelta(days=number)


class Progress:
    """What a process says while it is at work, and what others still know when it was killed: whether it had begun to
    write."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(b"\0")
        with file.open("r+b") as opened:
            self.memory = mmap.mmap(opened.fileno(), 1)

    def has_written(self) -> bool:
        return self.memory[0] > 0

    def forget(self) -> None:
        self.memory[0] = 0

    def watch(self) -> None:
        """From now on, in this process."""
        self.forget()
        event.listen(db.engine, "after_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if WRITES.search(statement):
            self.memory[0] = 1


WRITES = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP)\b")


@dataclass(frozen=True)
class Work:
    """`prepare` makes what `act` needs, and may be repeated as `act` may. `is_done` says whether the work stands in the
    database, from all that it should have left there: it fails where that is half."""

    prepare: Callable[[World, int], Any]
    act: Callable[[World, int, Any], object]
    is_done: Callable[[int], bool]


def whole(*counts: int) -> bool:
    """All or nothing, of pairs of how many there are and how many there should be."""
    pairs = list(zip(counts[::2], counts[1::2], strict=True))
    assert all(have == 0 for have, _ in pairs) or all(have == want for have, want in pairs), f"half done: {pairs}"
    return pairs[0][0] > 0


def count(*conditions: Any) -> int:
    """How many rows meet the conditions."""
    return db.session.scalar(select(func.count()).where(*conditions)) or 0


def nothing(_world: World, _number: int) -> None:
    pass


# --- posting -----------------------------------------------------------------------------------------------------


def printed(number: int) -> dict[str, Printed]:
    """One line, or three."""
    return {reason: Printed(1) for reason in ("new", "lost", "damaged")[: 1 + number % 2 * 2]}


def post(world: World, number: int, _prepared: Any) -> None:
    now, actor = at(number), world.storekeeper
    consumption.post_printed(
        actor, now, request("posting", number), DENPASAR, BLANK, now.date(), printed(number), note=f"day {number}"
    )


def is_posted(number: int) -> bool:
    return whole(count(Movement.request_id == request("posting", number)), len(printed(number)))


# --- transfers ---------------------------------------------------------------------------------------------------


def dispatch(world: World, number: int, _prepared: Any = None, work: str = "dispatch") -> int:
    now = at(number)
    sent = dict.fromkeys(ITEMS, 5)
    return world.send(now, now.date(), 5, request=request(work, number), sent=sent, bast_number=f"{work}/{number}")


def is_dispatched(number: int, work: str = "dispatch") -> bool:
    [found] = db.session.execute(
        select(func.count(), func.min(Transfer.id)).where(Transfer.request_id == request(work, number))
    ).all()
    sent = count(Movement.transfer_id == found[1], Movement.kind == Kind.DISPATCH)
    return whole(found[0], 1, sent, 3)


def receive(world: World, number: int, transfer_id: Any) -> None:
    """Of each five, three came well, one damaged and one not at all."""
    now, actor = at(number), world.actor("other_storekeeper")
    arrived = dict.fromkeys(ITEMS, Arrived(good=3, damaged=1))
    transfers.receive(actor, now, request("receipt", number, "arrival"), transfer_id, now.date(), arrived)


def is_received(number: int) -> bool:
    assert is_dispatched(number, "receipt")
    transfer = db.session.scalars(select(Transfer).where(Transfer.request_id == request("receipt", number))).one()
    came = count(Movement.transfer_id == transfer.id, Movement.kind != Kind.DISPATCH)
    # Of each item: gone from the sender, to the store, to what is spoiled, and missing.
    return whole(int(transfer.status == "received"), 1, came, 3 * 4)


# --- stocktakes --------------------------------------------------------------------------------------------------


def take_stock(world: World, number: int) -> dict[str, Any]:
    """Counted, and counted again, with three cards too few of each item."""
    now, actor = at(number), world.storekeeper
    made = stocktakes.begin(actor, now, request("stocktake", number), DENPASAR)
    for part, enter in (("count", stocktakes.count), ("recount", stocktakes.recount)):
        held = {code: world.figures(code).store for code in ITEMS}
        found = stocktakes.get(actor, now, made)
        if found.status == "counting":
            counts = {code: Counted(quantity=max(0, store - 3)) for code, store in held.items()}
            enter(actor, now, request("stocktake", number, part), made, counts)
    return {"id": made, "shown": dict.fromkeys(ITEMS, -3)}


def approve(world: World, number: int, prepared: Any) -> None:
    manager = world.actor("manager")
    stocktakes.approve(manager, at(number), request("stocktake", number, "approval"), prepared["id"], prepared["shown"])


def is_approved(number: int) -> bool:
    made = db.session.scalars(select(Stocktake).where(Stocktake.request_id == request("stocktake", number))).one()
    assert made.status in ("counted", "approved")
    return whole(int(made.status == "approved"), 1, count(Movement.stocktake_id == made.id), len(ITEMS))


# --- imports -----------------------------------------------------------------------------------------------------

GOT = ("Office code", "Item code", "BAST number", "BAST date", "Day of arrival", "Received", "Defective")
GOT = (*GOT, "Funding source", "Supplier")


def look_through(_world: World, number: int) -> int:
    day = at(number).date()
    rows = [
        (
            OFFICES[2 + each % 4]["code"],
            ITEMS[each % 3],
            f"{number}/{each}",
            day,
            day,
            10,
            "",
            "apbn",
            "Ditjen Dukcapil",
        )
        for each in range(IMPORTED)
    ]
    return imports.check(
        SYSTEM,
        at(number),
        request("import", number),
        DENPASAR,
        "deliveries",
        f"{number}.csv",
        csv_file(GOT, *rows),
        group_separator=".",
        max_bytes=10_000_000,
    )


def bring_in(_world: World, number: int, import_id: Any) -> None:
    imports.run(SYSTEM, at(number), import_id)


def is_imported(number: int) -> bool:
    found = db.session.scalars(select(Import).where(Import.request_id == request("import", number))).one()
    assert found.status in ("checked", "imported")
    return whole(int(found.status == "imported"), 1, count(Movement.import_id == found.id), IMPORTED)


# --- jobs --------------------------------------------------------------------------------------------------------


def job(name: str) -> Callable[[World, int, Any], None]:
    """The job's slot of the day, as the process of the jobs does it."""

    def act(world: World, number: int, _prepared: Any) -> None:
        app = world.app
        app.config["CLOCK"] = lambda: at(number)
        found = next(each for each in app.extensions["jobs"] if each.name == name)
        run = run_due(app, found)
        if (run is None or run.status != "done") and runs.is_due(name, found.schedule.latest_slot(at(number))):
            raise Again

    return act


def ran(name: str, number: int) -> int:
    """The id of the day's run, or 0. One that was under way is not to be seen."""
    runs_of_day = select(JobRun).where(JobRun.job == name, JobRun.started_at == at(number))
    found = db.session.scalars(runs_of_day).one_or_none()
    assert found is None or found.status in ("done", "failed"), found.status
    return found.id if found is not None and found.status == "done" else 0


def is_reviewed(number: int) -> bool:
    made = count(StoredProjection.made_at == at(number))
    return whole(min(ran(reviews.REVIEW, number), 1), 1, made, count(StoredProjection.office_id.is_not(None)))


def post_some(_world: World, number: int) -> None:
    """What is to be sealed: a hundred movements."""
    item = items.get(BLANK).id
    offices = db.session.scalars(select(Office.id).order_by(Office.id).limit(5)).all()
    day = at(number).date() - timedelta(days=1)
    lines = [
        Line(office_id=each, item_id=item, kind=Kind.RECEIPT, reason="supplied", quantity=7, effective_on=day)
        for each in [*offices] * 20
    ]
    ledger.post(SYSTEM, at(number), request("seal", number), lines)


def is_sealed(number: int) -> bool:
    return whole(min(ran(seals.SEALING, number), 1), 1, count(Seal.sealed_at == at(number)), 1)


# --- migration ---------------------------------------------------------------------------------------------------


def migrate(_world: World, _number: int, _prepared: Any) -> None:
    upgrade()


def revision() -> str:
    found = db.session.scalar(text("SELECT version_num FROM alembic_version"))
    db.session.rollback()
    return found or ""


def is_migrated(_number: int) -> bool:
    return revision() == HEAD


def _head() -> str:
    from alembic.script import ScriptDirectory

    found = ScriptDirectory(str(Path(__file__).parent.parent / "migrations")).get_current_head()
    assert found
    return found


HEAD = _head()

WORKS = {
    "posting": Work(nothing, post, is_posted),
    "dispatch": Work(nothing, dispatch, is_dispatched),
    "receipt": Work(lambda world, number: dispatch(world, number, work="receipt"), receive, is_received),
    "stocktake": Work(take_stock, approve, is_approved),
    "import": Work(look_through, bring_in, is_imported),
    "review": Work(nothing, job(reviews.REVIEW), is_reviewed),
    "seal": Work(post_some, job(seals.SEALING), is_sealed),
    "migration": Work(nothing, migrate, is_migrated),
}


# --- the process -------------------------------------------------------------------------------------------------


def do(app: Flask, progress: Progress, name: str, number: int) -> None:
    work, world = WORKS[name], World(app)
    with app.app_context():
        prepared = work.prepare(world, number)
        backend = db.session.scalar(text("SELECT pg_backend_pid()")) if on_postgresql() else 0
        db.session.remove()
        progress.watch()
        say(f"ready {backend}")
        began = time.perf_counter()
        again_until_answered(lambda: work.act(world, number, prepared), say_so_and_wait)
        say(f"done {time.perf_counter() - began}")


def again_until_answered(work: Callable[[], Any], lost: Callable[[], None]) -> Any:
    """As whoever sends the same request once more, when told that the database does not serve."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return work()
        except Exception as error:
            db.session.remove()
            if not (isinstance(error, Again) or unavailable(error)) or time.monotonic() > deadline:
                raise
            lost()
            lost = pause


def pause() -> None:
    time.sleep(0.02)


def say(words: str) -> None:
    os.write(1, f"{words}\n".encode())


def say_so_and_wait() -> None:
    """Until whoever gave the order has looked at what there is, and lets this go on."""
    say("lost")
    os.kill(os.getpid(), signal.SIGSTOP)


def _obey(app: Flask, progress: Progress, order: dict[str, Any]) -> None:
    try:
        with _pointed_at(app, order["url"]):
            do(app, progress, order["work"], order["number"])
    except BaseException as error:
        import traceback

        traceback.print_exc()
        say(f"failed {error!r}"[:300].replace("\n", " "))
        os._exit(1)
    os._exit(0)


def warm_up(app: Flask) -> None:
    """Do all once, so that the processes to come have their modules loaded and their statements compiled: what takes
    them time is then the database."""
    with app.app_context():
        upgrade()  # there is nothing to do
        for work in WORKS.values():
            if work is not WORKS["migration"]:
                work.act(World(app), 0, work.prepare(World(app), 0))
        db.session.remove()
        db.engine.dispose()


def _main(url: str, folder: str) -> None:
    app = create_app(test_settings(url, Path(folder)))
    _connect_where_it_points(app)
    progress = Progress(Path(folder) / PROGRESS)
    warm_up(app)
    say("up")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _obey(app, progress, json.loads(line))
        say(f"pid {child}")
        os.waitpid(child, 0)
        say("ended")


if __name__ == "__main__":
    _main(*sys.argv[1:])
