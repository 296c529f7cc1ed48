"""Runs of the backtest, and the latest scores of each stock."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Date, ForeignKey, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime


class BacktestRun(Base):
    """One run, with the scores of all its stocks together. Runs stay, so that the method's course can be followed:
    one small row a week. What they said of each stock does not: see BacktestScore."""

    __tablename__ = "backtests"
    __table_args__ = (CheckConstraint("stocks >= 0 AND windows >= stocks", name="counts"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    job_run_id: Mapped[int] = mapped_column(ForeignKey("job_runs.id"), unique=True)
    office_id: Mapped[int | None] = mapped_column(ForeignKey("offices.id"))
    """Only this office and those below it; NULL for all."""
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    on_day: Mapped[date] = mapped_column(Date)
    """The last day of the history."""
    stocks: Mapped[int]
    windows: Mapped[int]
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)
    scores: Mapped[dict[str, Any]] = mapped_column(JSON)


class BacktestScore(Base):
    """The latest scores of one stock: each run looks back over a year itself, so that older ones add nothing, and a
    country has tens of thousands of stocks."""

    __tablename__ = "backtest_scores"
    __table_args__ = (
        ForeignKeyConstraint(["office_id", "item_id"], ["balances.office_id", "balances.item_id"]),
        CheckConstraint("windows >= 1", name="windows"),
        CheckConstraint("demand >= 0 AND loss >= 0 AND average_loss >= 0", name="signs"),
        # A stock takes the average only when the model lost to it, over more windows than chance needs.
        CheckConstraint("NOT worse OR (windows >= 6 AND loss > average_loss)", name="worse"),
        Index("ix_backtest_scores_backtest_id", "backtest_id"),
    )

    office_id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(primary_key=True)
    backtest_id: Mapped[int] = mapped_column(ForeignKey("backtests.id"))
    on_day: Mapped[date] = mapped_column(Date)
    windows: Mapped[int]
    demand: Mapped[float]
    """New requests in all windows together; sums below are over the same."""
    loss: Mapped[float]
    """Quantile loss of the model, in cards."""
    average_loss: Mapped[float]
    worse: Mapped[bool]
    """The model lost to the average: the average takes its place."""
    sums: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Of each method, what `domain.backtest.Tally` sums."""
    past: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """The windows one by one, the newest first: what was foretold and what came."""
