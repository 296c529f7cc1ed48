"""How offices stand with one item: what they have and expect, and what is going to be asked of them.

Stocks are those of now; the demand is that of each office's last review, spread over its own working days.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from sqlalchemy import case, func, select
from sqlalchemy.orm import aliased

from inventory.db import db
from inventory.domain.demand import DEFAULTS
from inventory.domain.facts import usual_use
from inventory.domain.offices import OfficeKind
from inventory.models import Balance, Office, StoredProjection, Transfer, TransferLine
from inventory.services import calendars, drafts
from inventory.services.items import ItemView

OUTLOOK_DAYS = 365
NORMAL_80 = 2.5631
"""Standard deviations between the 10 % and the 90 % quantile of a normal curve."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Standing:
    """An office's stock of the item, and the demand it has to last for.

    `usable` is the store less requests that wait and what drafts take from it, with what is under way or with outreach
    teams and what drafts would bring. Open requests are not in it: a promise is no blank, and a split may be what
    answers them. `demand` (H,) is expected up to the end of each calendar day from today on, `opened` (H,) says which
    of them are working days; both None without a projection, and `unknown` then says why: "not_reviewed" or
    "not_enough_data".
    """

    office_id: int
    code: str
    name: str
    path: str
    store: int
    under_way: int
    with_teams: int
    drafts_in: int
    drafts_out: int
    backlog: int
    lead_days: int
    today: date
    unknown: str | None
    demand: np.ndarray | None
    opened: np.ndarray
    level_dispersion: float = 0.0
    daily_dispersion: float = 0.0
    horizon_days: int = 1

    @property
    def usable(self) -> int:
        expected = self.under_way + self.with_teams + self.drafts_in
        return self.store + expected - self.drafts_out - self.backlog

    def until(self, last: date) -> tuple[float, float]:
        """Mean and dispersion of the demand from today to `last`."""
        assert self.demand is not None, "an office without a projection takes no part"
        days = min((last - self.today).days + 1, self.demand.size)
        open_days = max(1, int(self.opened[:days].sum()))
        # As the projection has it: a wrong level stays and, past its horizon, grows; noise of days averages out.
        level = self.level_dispersion * math.sqrt(max(1.0, open_days / self.horizon_days))
        return float(self.demand[days - 1]), level + self.daily_dispersion / open_days

    def working_days(self, cover: float) -> float | None:
        """Working days within so many calendar days; None past the outlook."""
        if cover <= 0:
            return 0.0
        if cover > self.opened.size:
            return None
        whole = min(int(cover), self.opened.size - 1)
        return float(self.opened[:whole].sum() + (cover - whole) * self.opened[whole])

    def out_on(self, cover: float) -> date | None:
        """The day on which so much cover ends; None past the outlook."""
        if cover > self.opened.size:
            return None
        return self.today + timedelta(days=max(1, math.ceil(cover)) - 1 if cover > 0 else 0)

    def calendar_days(self, working_days: int) -> int:
        """Calendar days until so many working days have passed."""
        if working_days <= 0:
            return 0
        columns = np.flatnonzero(self.opened)
        return int(columns[min(working_days, columns.size) - 1]) + 1 if columns.size else 0


def of_offices(office_rows: Iterable[Any], item: ItemView, today: date) -> list[Standing]:
    """The standings of offices (rows of `Office`), in their order. `today` is the same day for all."""
    rows = list(office_rows)
    ids = [row.id for row in rows]
    stores, projections = _stores(item.id, ids), _projections(item.id, ids)
    under_way, teams, planned = _under_way(item.id), _with_teams(item.id), drafts.planned(item.id, ids)
    last = today + timedelta(days=OUTLOOK_DAYS - 1)
    weeks = [(row.id, row.working_days) for row in rows]
    by_office = calendars.of_offices(weeks, today, last)
    flags = {id(each): np.array(each.flags(today, last), dtype=bool) for each in by_office.values()}
    return [
        Standing(
            office_id=row.id,
            code=row.code,
            name=row.name,
            path=row.path,
            store=stores.get(row.id, 0),
            under_way=under_way.get(row.id, 0),
            with_teams=teams.get(row.id, 0),
            drafts_in=planned[row.id][0],
            drafts_out=planned[row.id][1],
            lead_days=row.lead_time_days,
            today=today,
            opened=flags[id(by_office[row.id])],
            **_outlook(projections.get(row.id), flags[id(by_office[row.id])], today),
        )
        for row in rows
    ]


def held_by(office_ids: Sequence[int], item_id: int) -> set[int]:
    """Those of the offices that ever held the item."""
    rows = db.session.scalars(select(Balance.office_id).where(Balance.item_id == item_id, Balance.last_seq > 0))
    return set(rows) & set(office_ids)


def _outlook(facts: Mapping[str, Any] | None, opened: np.ndarray, today: date) -> dict[str, Any]:
    """What a stored projection says of the demand to come."""
    if facts is None:
        return {"backlog": 0, "unknown": "not_reviewed", "demand": None}
    backlog = int(facts.get("backlog") or 0)
    level = usual_use(facts)
    if level is None:
        return {"backlog": backlog, "unknown": "not_enough_data", "demand": None}
    week = [1.0 if weight is None else float(weight) for weight in facts.get("weekday_weights") or [1.0] * 7]
    weights = np.array(week)[(today.weekday() + np.arange(opened.size)) % 7]
    return {
        "backlog": backlog,
        "unknown": None,
        "demand": np.cumsum(level * weights * opened),
        "horizon_days": max(1, int(facts.get("lead_days") or 0) + int(facts.get("review_days") or 0)),
        **_dispersions(facts),
    }


def _dispersions(facts: Mapping[str, Any]) -> dict[str, float]:
    """The parts of the dispersion that stay and that average out. A projection that does not tell them apart has them
    from the width of its 80 % band, all of it as the part that stays."""
    stays, averages_out = facts.get("level_dispersion"), facts.get("daily_dispersion")
    if stays is not None and averages_out is not None:
        return {"level_dispersion": float(stays), "daily_dispersion": float(averages_out)}
    mean, quantiles = float(facts.get("mean_horizon") or 0), facts.get("quantiles") or {}
    low, high = quantiles.get("0.1"), quantiles.get("0.9")
    if mean <= 0 or low is None or high is None:
        return {"level_dispersion": DEFAULTS.usual_dispersion}
    variance = ((float(high) - float(low)) / NORMAL_80) ** 2
    return {"level_dispersion": max(DEFAULTS.least_dispersion, (variance - mean) / mean**2)}


def _stores(item_id: int, office_ids: Sequence[int]) -> dict[int, int]:
    rows = db.session.execute(
        select(Balance.office_id, Balance.store).where(Balance.item_id == item_id, Balance.office_id.in_(office_ids))
    )
    return {row.office_id: row.store for row in rows}


def _projections(item_id: int, office_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    rows = db.session.execute(
        select(StoredProjection.office_id, StoredProjection.facts).where(
            StoredProjection.item_id == item_id, StoredProjection.office_id.in_(office_ids)
        )
    )
    return {row.office_id: row.facts for row in rows}


def _under_way(item_id: int) -> dict[int, int]:
    """What is on its way, by the office that will have it: what goes to a team goes to the team's office."""
    owner = func.coalesce(_team_office(Office), Transfer.receiver_id)
    rows = db.session.execute(
        select(owner, func.sum(TransferLine.sent))
        .select_from(Transfer)
        .join(TransferLine, TransferLine.transfer_id == Transfer.id)
        .join(Office, Office.id == Transfer.receiver_id)
        .where(Transfer.status == "dispatched", TransferLine.item_id == item_id)
        .group_by(owner)
    )
    return {office_id: int(quantity) for office_id, quantity in rows}


def _with_teams(item_id: int) -> dict[int, int]:
    team = aliased(Office)
    rows = db.session.execute(
        select(team.parent_id, func.sum(Balance.store))
        .join(team, team.id == Balance.office_id)
        .where(team.kind == OfficeKind.OUTREACH.value, Balance.item_id == item_id)
        .group_by(team.parent_id)
    )
    return {office_id: int(quantity) for office_id, quantity in rows if office_id is not None}


def _team_office(office: Any) -> Any:
    """SQL: the office of an outreach team; NULL for an office that is none."""
    return case((office.kind == OfficeKind.OUTREACH.value, office.parent_id))
