"""The backtest of the stocks in an actor's reach: run, kept with its scores, and read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, and_, delete, func, insert, select, tuple_
from sqlalchemy.orm import Session

from inventory.db import db, insert_or
from inventory.domain.access import JOB, Action, Actor, may_somewhere, reach
from inventory.domain.backtest import (
    AVERAGE,
    BANDS,
    BINS,
    METHODS,
    MODEL,
    ORIGINS,
    STEP_DAYS,
    Backtest,
    Foreknowing,
    Record,
    Tally,
    backtest,
    scores,
)
from inventory.domain.demand import History, Horizon, Settings
from inventory.domain.errors import NotAllowed
from inventory.domain.offices import local_day
from inventory.domain.schedules import Schedule
from inventory.models import BacktestRun, BacktestScore, Balance, Item, Office
from inventory.models.offices import within
from inventory.services import known_demand, offices, projection_inputs, runs
from inventory.services.offices import OfficeView, in_reach
from inventory.services.runs import RunView

BACKTEST = "backtest"
BACKTEST_BY_HAND = "backtest by hand"

PAGE = 50
"""Stocks on a page of the list."""

ROWS_AT_ONCE = 1000
"""Scores that are made and written at a time: those of a country would fill the memory with their windows."""

Pair = tuple[int, int]
"""An office's id and an item's."""


@dataclass(frozen=True, eq=False)
class _Inputs:
    """Stocks whose history ends with the same day."""

    stocks: Sequence[Any]
    through: date
    history: History
    horizon: Horizon
    foreknowing: Foreknowing


def _inputs(actor: Actor, now: datetime, on: date | None, office_path: str | None) -> Iterator[_Inputs]:
    """The histories that the projection would see, in groups by their last day: each office's own yesterday, or `on`.

    A stock that came later than that has nothing to be tried on.
    """
    by_day: dict[date, list[Any]] = defaultdict(list)
    for row in projection_inputs.stocks_in_reach(actor, office_path):
        by_day[on or local_day(now, row.time_zone) - timedelta(days=1)].append(row)
    for through, rows in by_day.items():
        found = projection_inputs.histories(rows, through)
        if found is not None:
            stocks, history, horizon = found
            knowing = known_demand.as_it_was_known(stocks, history.first_day, through)
            yield _Inputs(stocks, through, history, horizon, knowing)


@dataclass(frozen=True, eq=False)
class _Tried:
    """What was found for stocks whose history ends with the same day."""

    stocks: Sequence[Any]
    through: date
    found: Backtest
    record: Record


# --- running it --------------------------------------------------------------------------------------------------


def run_slot(slot: datetime, schedule: Schedule, clock: Callable[[], datetime], worker: str) -> RunView | None:
    """The scheduled backtest of all stocks for one slot; None when the slot is taken. See `runs.run_slot`."""

    def work(session: Session, run_id: int) -> dict[str, Any]:
        return _run(session, run_id, clock(), JOB, None, None)

    return runs.run_slot(BACKTEST, slot, schedule, clock, worker, work)


def run(
    actor: Actor,
    clock: Callable[[], datetime],
    worker: str,
    *,
    on: date | None = None,
    office_code: str | None = None,
) -> RunView:
    """Try the projection by hand on the stocks at or below an office, as of now or of the close of a day.

    Scores are kept, except those of stocks for which a later day was tried before. Raises NotAllowed, NotFound.
    """
    if not may_somewhere(actor, Action.VIEW_JOBS):
        raise NotAllowed("not_allowed", action=Action.VIEW_JOBS.value)
    office = offices.get(actor, Action.VIEW_ALERT, office_code) if office_code else None

    def work(session: Session, run_id: int) -> dict[str, Any]:
        return _run(session, run_id, clock(), actor, on, office)

    made = runs.run_slot(BACKTEST_BY_HAND, clock(), None, clock, worker, work)
    assert made is not None, "a run by hand has its instant to itself"
    return made


def _run(
    session: Session, run_id: int, now: datetime, actor: Actor, on: date | None, office: OfficeView | None
) -> dict[str, Any]:
    settings = Settings()
    groups: list[_Tried] = []
    for each in _inputs(actor, now, on, office.path if office else None):
        found = backtest(each.history, each.horizon, foreknowing=each.foreknowing, settings=settings)
        groups.append(_Tried(each.stocks, each.through, found, found.record))
    whole = scores(_joined([group.record for group in groups]))
    last = max((group.through for group in groups), default=on)
    made = {
        "job_run_id": run_id,
        "office_id": office.id if office else None,
        "made_at": now,
        "on_day": last or local_day(now, "UTC"),
        "stocks": whole["stocks"],
        "windows": whole["windows"],
        "settings": {"origins": ORIGINS, "step_days": STEP_DAYS, "bands": BANDS} | asdict(settings),
        "scores": whole,
    }
    backtest_id = session.execute(insert(BacktestRun).values(made).returning(BacktestRun.id)).scalar_one()
    for group in groups:
        _keep(session, backtest_id, _score_rows(group))
    _drop_what_was_not_tried(session, backtest_id, made["on_day"], actor, office)
    return {"tried": whole["stocks"], "windows": whole["windows"], "worse": whole["worse"], "backtest_id": backtest_id}


def _score_rows(group: _Tried) -> Iterator[dict[str, Any]]:
    """A row for each stock that has a window at all."""
    found, record = group.found, group.record
    for i in np.flatnonzero(record.windows).tolist():
        stock = group.stocks[i]
        yield {
            "office_id": stock.office_id,
            "item_id": stock.item_id,
            "on_day": group.through,
            "windows": int(record.windows[i]),
            "demand": float(record.demand[i]),
            "loss": float(record.tallies[MODEL].loss[i]),
            "average_loss": float(record.tallies[AVERAGE].loss[i]),
            "worse": bool(record.worse[i]),
            "sums": {method: _sums(record.tallies[method], i) for method in METHODS},
            "past": [_window(found, i, j) for j in np.flatnonzero(found.valid[i]).tolist()],
        }


def _sums(tally: Tally, i: int) -> dict[str, Any]:
    bins = [[number, *tally.bins[i, number].tolist()] for number in np.flatnonzero(tally.bins[i, :, 0]).tolist()]
    plain = {name: getattr(tally, name)[i].tolist() for name in ("loss", "miss", "lean", "hits", "brier")}
    return plain | {"bins": bins}


def _window(found: Backtest, i: int, j: int) -> dict[str, Any]:
    """What was foretold at one origin and what came, in whole cards."""
    level = found.probabilities
    quantiles = found.forecasts[MODEL].quantiles[i, j]
    said = {name: round(float(forecast.mean[i, j])) for name, forecast in found.forecasts.items()}
    return {
        "through": found.through[j].isoformat(),
        "demand": round(float(found.demand[i, j])),
        "share": round(float(found.share[i, j]), 3),
        "low": round(float(quantiles[level.index(0.1)])),
        "high": round(float(quantiles[level.index(0.9)])),
        "stock": int(found.stock[i, j]),
        "chance": round(float(found.forecasts[MODEL].chance[i, j]), 4),
        **said,
    }


def _joined(records: Sequence[Record]) -> Record:
    if not records:
        return _record([])

    def joined(parts: Sequence[Any]) -> Any:
        return np.concatenate(parts)

    return Record(
        windows=joined([each.windows for each in records]),
        demand=joined([each.demand for each in records]),
        worse=joined([each.worse for each in records]),
        tallies={
            method: Tally(
                *(joined([getattr(each.tallies[method], field.name) for each in records]) for field in fields(Tally))
            )
            for method in METHODS
        },
    )


def _keep(session: Session, backtest_id: int, rows: Iterator[dict[str, Any]]) -> None:
    table = BacktestScore.__table__
    statement = insert_or(session, table)
    new = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    statement = statement.on_conflict_do_update(
        index_elements=["office_id", "item_id"], set_=new, where=table.c.on_day <= statement.excluded.on_day
    )
    while some := [{**row, "backtest_id": backtest_id} for row in islice(rows, ROWS_AT_ONCE)]:
        session.execute(statement, some)


def _drop_what_was_not_tried(
    session: Session, backtest_id: int, on_day: date, actor: Actor, office: OfficeView | None
) -> None:
    """Scores of stocks that this run looked at and could say nothing of any more would be of another time."""
    tried = select(Office.id).where(in_reach(reach(actor, Action.VIEW_ALERT)))
    if office is not None:
        tried = tried.where(within(office.path))
    session.execute(
        delete(BacktestScore).where(
            BacktestScore.backtest_id != backtest_id,
            BacktestScore.on_day <= on_day,
            BacktestScore.office_id.in_(tried),
        )
    )


# --- what others ask ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class StockError:
    """How far the projection of a stock was off in its windows: mean absolute error as a share of the demand, None
    where nothing was asked for; and the average's. `worse`: the average takes its place."""

    windows: int
    error: float | None
    average_error: float | None
    worse: bool


def worse_than_average(pairs: Collection[Pair]) -> set[Pair]:
    """Of these stocks, those whose own backtest shows the projection to be worse than the average monthly
    consumption. For services: it looks beyond nobody's reach that the caller did not."""
    rows = db.session.execute(
        select(BacktestScore.office_id, BacktestScore.item_id).where(BacktestScore.worse, _among(pairs))
    )
    wanted = set(pairs)
    return {(office_id, item_id) for office_id, item_id in rows if (office_id, item_id) in wanted}


def errors_of(pairs: Collection[Pair]) -> dict[Pair, StockError]:
    """The errors of these stocks, of those that have any. For services, as above."""
    columns = BacktestScore.office_id, BacktestScore.item_id, BacktestScore.demand, BacktestScore.windows
    rows = db.session.execute(select(*columns, BacktestScore.worse, BacktestScore.sums).where(_among(pairs)))
    wanted = set(pairs)
    return {
        (office_id, item_id): StockError(
            windows=windows,
            error=_share(sums[MODEL]["miss"], demand),
            average_error=_share(sums[AVERAGE]["miss"], demand),
            worse=worse,
        )
        for office_id, item_id, demand, windows, worse, sums in rows
        if (office_id, item_id) in wanted
    }


@dataclass(frozen=True, kw_only=True)
class WorseStock:
    """A stock that is projected from the average: the shares of demand by which the model and the average missed it,
    in so many windows up to `on_day`."""

    on_day: date
    windows: int
    error: float | None
    average_error: float | None


def worse_stocks() -> dict[Pair, WorseStock]:
    """All stocks in offices that are open whose own backtest shows the projection to be worse than the average. For
    services: it looks beyond anybody's reach."""
    columns = BacktestScore.office_id, BacktestScore.item_id, BacktestScore.on_day, BacktestScore.windows
    rows = db.session.execute(
        select(*columns, BacktestScore.demand, BacktestScore.sums)
        .join(Office, Office.id == BacktestScore.office_id)
        .where(BacktestScore.worse, Office.active)
    )
    return {
        (row.office_id, row.item_id): WorseStock(
            on_day=row.on_day,
            windows=row.windows,
            error=_share(row.sums[MODEL]["miss"], row.demand),
            average_error=_share(row.sums[AVERAGE]["miss"], row.demand),
        )
        for row in rows
    }


def _among(pairs: Collection[Pair]) -> ColumnElement[bool]:
    """SQL: rows of these stocks; of all where they are many, for the caller to choose from."""
    key = tuple_(BacktestScore.office_id, BacktestScore.item_id)
    return key.in_(list(pairs)) if len(pairs) <= 200 else BacktestScore.windows >= 1


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


# --- reading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class StockScores:
    """The latest scores of one stock.

    `scores` are those of `domain.backtest.scores` for it alone. `past` (of one stock only) are its windows, the
    newest first: `through`, the last day known (ISO); `demand`, new requests after it, scaled up from the `share`
    that was seen; what was foretold: `model`, `average`, `naive`, and from `low` to `high` in eight cases of ten.
    """

    office_code: str
    office_name: str
    item_code: str
    on_day: date
    worse: bool
    synthetic: bool
    scores: Mapping[str, Any]
    past: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Overview:
    """All scores in reach together (None before the first run), and a page of the stocks, the worst first."""

    scores: Mapping[str, Any] | None
    on_day: date | None
    synthetic: bool
    stocks: tuple[StockScores, ...]
    page: int
    pages: int


def overview(actor: Actor, office_code: str | None = None, page: int = 1) -> Overview:
    """How good the projection was in the actor's reach, at or below an office where one is given: stocks that take
    the average first, then by quantile loss per card. Raises NotAllowed, NotFound."""
    if not may_somewhere(actor, Action.VIEW_ALERT):
        raise NotAllowed("not_allowed", action=Action.VIEW_ALERT.value)
    inside = in_reach(reach(actor, Action.VIEW_ALERT))
    if office_code:
        inside = and_(inside, within(offices.get(actor, Action.VIEW_ALERT, office_code).path))
    record, on_day, synthetic = _all(inside)
    count = record.windows.size
    pages = max(1, -(-count // PAGE))
    page = min(max(1, page), pages)
    worst = (BacktestScore.loss / func.nullif(BacktestScore.demand, 0)).desc().nulls_last()
    order = BacktestScore.worse.desc(), worst, Office.code, Item.position
    rows = db.session.execute(_readable().where(inside).order_by(*order).offset((page - 1) * PAGE).limit(PAGE))
    return Overview(
        scores=scores(record) if count else None,
        on_day=on_day,
        synthetic=synthetic,
        stocks=tuple(_view(row) for row in rows),
        page=page,
        pages=pages,
    )


def of_stock(actor: Actor, office_code: str, item_code: str) -> StockScores | None:
    """The scores of one stock with its windows; None where there are none. Raises NotAllowed, NotFound."""
    office = offices.get(actor, Action.VIEW_ALERT, office_code)
    mine = BacktestScore.office_id == office.id, Item.code == item_code
    row = db.session.execute(_readable(BacktestScore.past).where(*mine)).one_or_none()
    return _view(row, tuple(row.past)) if row is not None else None


def _readable(*more: Any) -> Any:
    score = BacktestScore
    return (
        select(
            Office.code.label("office_code"),
            Office.name.label("office_name"),
            Item.code.label("item_code"),
            Balance.synthetic,
            *(score.on_day, score.windows, score.demand, score.worse, score.sums),
            *more,
        )
        .select_from(score)
        .join(Office, Office.id == score.office_id)
        .join(Item, Item.id == score.item_id)
        .join(Balance, and_(Balance.office_id == score.office_id, Balance.item_id == score.item_id))
    )


def _view(row: Any, past: tuple[Mapping[str, Any], ...] = ()) -> StockScores:
    return StockScores(
        office_code=row.office_code,
        office_name=row.office_name,
        item_code=row.item_code,
        on_day=row.on_day,
        worse=row.worse,
        synthetic=row.synthetic,
        scores=scores(_record([row])),
        past=past,
    )


def _all(inside: ColumnElement[bool]) -> tuple[Record, date | None, bool]:
    rows = db.session.execute(_readable().where(inside)).all()
    return _record(rows), max((row.on_day for row in rows), default=None), any(row.synthetic for row in rows)


def _record(rows: Sequence[Any]) -> Record:
    """The sums of stored rows, as the domain scores them."""
    return Record(
        windows=np.array([row.windows for row in rows], dtype=np.int64),
        demand=np.array([row.demand for row in rows], dtype=np.float64),
        worse=np.array([row.worse for row in rows], dtype=np.bool_),
        tallies={method: _tally([row.sums[method] for row in rows]) for method in METHODS},
    )


def _tally(sums: Sequence[Mapping[str, Any]]) -> Tally:
    def of(name: str, *shape: int) -> np.ndarray:
        return np.array([each[name] for each in sums], dtype=np.float64).reshape(-1, *shape)

    bins = np.zeros((len(sums), BINS, 3))
    for i, each in enumerate(sums):
        for number, *values in each["bins"]:
            bins[i, number] = values
    plain = {name: of(name) for name in ("loss", "miss", "lean", "brier")}
    return Tally(**plain, hits=of("hits", len(BANDS)), bins=bins)
