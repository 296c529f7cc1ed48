"""How long the nightly review of a whole country takes on PostgreSQL, from daily totals to alerts written, beside the
projection alone of the very same arrays in memory.

Both are wall-clock time, because the database server's work counts too. The country is made up, and is brought into
the tables in bulk, past the ledger, which is not timed; the review that is timed is the one that runs every night.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import numpy as np

from inventory.bench import Figure
from inventory.bench.processes import figures_from, peak_megabytes, timed
from inventory.bench.projection import worlds
from inventory.bench.projection.worlds import FIRST_DAY, World
from inventory.db import db
from inventory.domain.access import SYSTEM

DAYS = 730
NOW = datetime(2023, 1, 4, 3, tzinfo=UTC)
"""A morning in each of the country's time zones: the history ends with the day before, 730 days after FIRST_DAY."""
SERIES = 1_000
"""Different ones; a country repeats them."""
COVER = np.array([0.0, 2.0, 6.0, 12.0, 20.0, 30.0, 60.0])
"""What is left in the stores, in usual days of demand, in turn: from empty to plenty."""
MIXES = {
    "ktp-wni": {"new": 0.5, "damaged": 0.3, "lost": 0.2},
    "kia": {"new": 0.8, "lost": 0.2},
    "ribbon": {"consumed": 1.0},
    "ktp-wna": {"new": 1.0},
}
"""Items, in the order in which offices come to keep them, and what their prints are made up of."""
RUNS = 5
"""Of which the median is said, as of all that is measured."""


def measure(stocks: int, url: str) -> list[Figure]:
    """The figures for so many office-items on the EMPTY PostgreSQL database at `url`, in a process of its own."""
    return figures_from(["measure-review", str(stocks)], url)


def measure_here(stocks: int) -> list[Figure]:
    """The figures on the application's database, which is filled. For the process that `measure` starts.

    Raises RuntimeError when the database is not an empty PostgreSQL one, or when the review fails.
    """
    from inventory.services import reviews

    _expect_empty()
    rows = fill(stocks)
    seconds: list[float] = []
    for number in range(RUNS):
        # Each with a slot of its own; the first opens all alerts, the others find them open.
        now = NOW + timedelta(seconds=number)
        took, (run, found) = timed(lambda now=now: reviews.review(SYSTEM, lambda: now, "bench"))
        if run.status != "done" or len(found) != stocks:
            raise RuntimeError(f"the review of {len(found)} stocks failed: {run.error}")
        seconds.append(took)
        del found
    peak = peak_megabytes()
    took, alone, reading = median(seconds), _in_memory(), _reading_alone()
    name = f"review of {stocks:,} office-items × {DAYS} days from PostgreSQL ({rows:,} daily totals), "
    return [
        Figure(name + "wall time / projection alone in memory", round(took / alone, 3), 4, 2, at_most=True),
        Figure(name + "wall time / reading the daily totals alone", round(took / reading, 3), 3, 2, at_most=True),
        Figure(name + "the first (all alerts to open) / reading", round(seconds[0] / reading, 3), at_most=True),
        Figure(name + "seconds", round(took, 2), at_most=True),
        Figure(name + "seconds of the first", round(seconds[0], 2), at_most=True),
        Figure(name + "seconds of the projection alone", round(alone, 2), at_most=True),
        Figure(name + "seconds of reading the daily totals alone", round(reading, 2), at_most=True),
        Figure(name + "MB of memory at most, the application's own 100 included", round(peak), at_most=True),
    ]


def _in_memory() -> float:
    """Seconds of the projection alone, of the arrays that the review made it from; the median of some."""
    from inventory.domain.demand import project
    from inventory.services import projection_inputs

    rows = projection_inputs.stocks_in_reach(SYSTEM, None)
    made = projection_inputs.gather(rows, NOW.date() - timedelta(days=1), past=False)
    assert made is not None
    arguments, seasons = (made.history, made.ahead, made.horizon, made.position), made.seasons
    return median(timed(lambda: project(*arguments, seasons=seasons))[0] for _ in range(RUNS))


def _reading_alone() -> float:
    """Seconds until the daily totals of all stocks are arrays; the median of some."""
    from inventory.services import daily_totals, projection_inputs

    rows, through = projection_inputs.stocks_in_reach(SYSTEM, None), NOW.date() - timedelta(days=1)
    first = through - timedelta(days=DAYS - 1)
    return median(timed(lambda: daily_totals.read_days(rows, first, through))[0] for _ in range(RUNS))


def _expect_empty() -> None:
    connection = db.session.connection()
    if connection.dialect.name != "postgresql":
        raise RuntimeError("this is measured on PostgreSQL")
    if connection.exec_driver_sql("SELECT to_regclass('offices')").scalar() is not None:
        raise RuntimeError("the database is not empty, and is left alone")
    db.session.rollback()


# --- the country -------------------------------------------------------------------------------------------------


def fill(stocks: int) -> int:
    """Bring the offices and so many of their stocks into the database; how many daily totals they have."""
    from flask_migrate import upgrade

    from inventory.services import items, offices

    upgrade()
    offices.load(SYSTEM, offices.official_list())
    items.ensure_standard()
    connection = db.session.connection()
    for statement in _STAGE:
        connection.exec_driver_sql(statement)
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy("COPY staged FROM STDIN") as copy:
        for row in _staged(stocks):
            copy.write_row(row)
    for statement in _FILL:
        connection.exec_driver_sql(statement)
    rows = connection.exec_driver_sql("SELECT count(*) FROM daily_totals").scalar_one()
    db.session.commit()
    # As a database is after a night of its own housekeeping.
    driver = db.engine.raw_connection()
    driver.driver_connection.autocommit = True  # type: ignore[union-attr]
    driver.cursor().execute("VACUUM ANALYZE")
    driver.close()
    return rows


def _staged(stocks: int) -> Iterator[tuple[Any, ...]]:
    """Per stock: its office, item, what came, and per kind and reason its quantities by day, 0 where there is none."""
    world = worlds.make(worlds.REPORTING_SEEDS[0], min(SERIES, stocks), DAYS)
    codes = _codes()
    received = receipts(world)
    for number in range(stocks):
        item = list(MIXES)[number // len(codes)]
        row = number % world.open.shape[0]
        printed, waited = world.printed[row, :DAYS], world.served_waiting[row, :DAYS]
        key = codes[number % len(codes)], item
        yield (*key, "receipt", "supplied", _array(received[row]), None)
        for reason, quantity, served in _by_reason(printed, waited, MIXES[item]):
            yield (*key, "print", reason, _array(quantity), _array(served))


def _codes() -> list[str]:
    from inventory.services import offices

    return [row["code"] for row in offices.official_list()]


def receipts(world: World) -> np.ndarray:
    """(S,T) what must have come on each day: after each stock-out what lasts until the next, and at the end COVER."""
    printed, out = world.printed[:, : world.days], world.stocked_out[:, : world.days]
    before = np.column_stack([np.ones(len(out), dtype=bool), out[:, :-1]])
    usual = printed.sum(axis=1) / np.maximum((printed > 0).sum(axis=1), 1)
    left = np.where(out[:, -1], 0, np.round(COVER[np.arange(len(out)) % COVER.size] * usual))
    found = np.zeros_like(printed)
    for row in range(len(out)):
        begins = np.flatnonzero(before[row] & ~out[row])
        found[row, begins] = np.add.reduceat(printed[row], begins) if begins.size else 0
        found[row, begins[-1:]] += int(left[row])
    return found


def _by_reason(printed: np.ndarray, waited: np.ndarray, mix: dict[str, float]) -> Iterator[tuple[str, Any, Any]]:
    """A day's prints in whole cards by reason, which add up to them; those who waited are among the first."""
    left, waiting, share = printed.copy(), waited.copy(), 1.0
    for reason, part in mix.items():
        quantity = np.ceil(left * part / share).astype(np.int64) if part < share else left
        served = np.minimum(waiting, quantity)
        yield reason, quantity, served
        left, waiting, share = left - quantity, waiting - served, max(share - part, 1e-9)


def _array(values: np.ndarray) -> str:
    return "{" + ",".join(map(str, values.tolist())) + "}"


_KEYS = ("fk_daily_totals_office_id", "fk_daily_totals_item_id", "pk_daily_totals")
_STAGE = (
    "CREATE TEMPORARY TABLE staged (office text, item text, kind text, reason text, quantity int[], served int[])",
)
# Keys are checked once all is there; and rows lie as they do after two years of work, day by day.
_FILL = (
    "ANALYZE staged",
    "SET LOCAL work_mem = '256MB'",
    "SET LOCAL maintenance_work_mem = '512MB'",
    *(f"ALTER TABLE daily_totals DROP CONSTRAINT {key}" for key in _KEYS),
    f"""
    INSERT INTO daily_totals (office_id, item_id, day, kind, reason, quantity, served_waiting)
    SELECT o.id, i.id, DATE '{FIRST_DAY}' + (u.n - 1)::int, s.kind, s.reason, u.q, coalesce(u.w, 0)
    FROM staged s JOIN offices o ON o.code = s.office JOIN items i ON i.code = s.item,
        unnest(s.quantity, s.served) WITH ORDINALITY AS u (q, w, n)
    WHERE u.q > 0 ORDER BY 3
    """,
    "ALTER TABLE daily_totals ADD CONSTRAINT pk_daily_totals PRIMARY KEY (office_id, item_id, day, kind, reason)",
    "ALTER TABLE daily_totals ADD CONSTRAINT fk_daily_totals_office_id FOREIGN KEY (office_id) REFERENCES offices",
    "ALTER TABLE daily_totals ADD CONSTRAINT fk_daily_totals_item_id FOREIGN KEY (item_id) REFERENCES items",
    """
    INSERT INTO balances (office_id, item_id, received, store, printed, last_seq, first_on, last_on, synthetic)
    SELECT office_id, item_id, came, came - used, used, movements, first_on, last_on, true FROM (
        SELECT office_id, item_id, min(day) AS first_on, max(day) AS last_on, count(*) AS movements,
            coalesce(sum(quantity) FILTER (WHERE kind = 'receipt'), 0) AS came,
            coalesce(sum(quantity) FILTER (WHERE kind = 'print'), 0) AS used
        FROM daily_totals GROUP BY office_id, item_id
    ) t
    """,
)
