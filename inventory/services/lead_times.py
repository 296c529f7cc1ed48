"""How long offices waited for what they asked for, and what that says of the next delivery."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from sqlalchemy import func, or_, select

from inventory.db import db
from inventory.domain.access import Action, Actor
from inventory.domain.calendars import OfficeCalendar
from inventory.domain.lead_times import LeadTimes, Waits, learn
from inventory.models import Delivery, DeliveryRequest, Movement, Office
from inventory.services import calendars, offices, open_requests

LOOK_BACK_DAYS = 730
MOST_REQUESTS = 40
"""Of an office, the newest: two years of one every two weeks or so."""
MOST_IN_A_LIST = 500


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """An office's lead time in its working days.

    `deliveries` came within the last two years and took `shortest` to `longest`, `average` on average (None without
    any); `overdue` open requests have waited for longer than usual. `mean` is what the next delivery is expected to
    take, in eight cases of ten between `low` and `high`; without either they are all the setting.
    """

    setting: int
    deliveries: int
    overdue: int
    shortest: int | None
    longest: int | None
    average: float | None
    mean: float
    low: int
    high: int

    @property
    def facts(self) -> dict[str, Any]:
        """As a projection keeps it, in plain values."""
        return {
            "deliveries": self.deliveries,
            "overdue": self.overdue,
            "low": self.low,
            "high": self.high,
            "mean": round(self.mean, 1),
        }


@dataclass(frozen=True, eq=False)
class OfficeLeadTimes:
    """The lead times of offices by their ids; `learnt` holds those that have something to learn from."""

    row_of: Mapping[int, int]
    times: LeadTimes
    learnt: Mapping[int, Learnt]

    def weights_of(self, office_ids: Sequence[int]) -> np.ndarray:
        """(S,M) chances of an order taking 0, 1 … M-1 open days, one row per id given; ids may repeat."""
        return self.times.weights[[self.row_of[office_id] for office_id in office_ids]]


def of_offices(settings: Mapping[int, int], through: date) -> OfficeLeadTimes:
    """The lead times of offices, given as id → setting in working days, as known at the close of `through` (the
    offices' own day).

    Learnt from the requests of the two years before: from the day after asking to the first arrival, in the office's
    own calendar. One query and one for the calendars, however many offices. It asks for no permission: callers have.
    """
    waits = _waits(settings, through)
    ids = list(settings)
    times = learn([waits[office_id] for office_id in ids])
    return OfficeLeadTimes(
        row_of={office_id: row for row, office_id in enumerate(ids)},
        times=times,
        learnt={
            office_id: _learnt(waits[office_id], times, row)
            for row, office_id in enumerate(ids)
            if times.deliveries[row] or times.overdue[row]
        },
    )


def of_office(actor: Actor, action: Action, office_code: str, through: date) -> Learnt | None:
    """One office's lead time; None while nothing is known but its setting. Raises NotFound, NotAllowed."""
    office = offices.get(actor, action, office_code)
    return of_offices({office.id: office.settings.lead_time_days}, through).learnt.get(office.id)


def _learnt(waits: Waits, times: LeadTimes, row: int) -> Learnt:
    taken = waits.taken
    return Learnt(
        setting=waits.setting,
        deliveries=len(taken),
        overdue=int(times.overdue[row]),
        shortest=min(taken, default=None),
        longest=max(taken, default=None),
        average=sum(taken) / len(taken) if taken else None,
        mean=float(times.mean[row]),
        low=int(times.low[row]),
        high=int(times.high[row]),
    )


def _waits(settings: Mapping[int, int], through: date) -> dict[int, Waits]:
    rows = [row for row in _requests(settings, through) if row.office_id in settings]
    taken: dict[int, list[int]] = defaultdict(list)
    waiting: dict[int, list[int]] = defaultdict(list)
    for row, days in zip(rows, _open_days(rows, through), strict=True):
        kept = taken if row.arrived is not None else waiting
        kept[row.office_id].append(days)
    return {
        office_id: Waits(setting=days, taken=tuple(taken[office_id]), waiting=tuple(waiting[office_id]))
        for office_id, days in settings.items()
    }


def _requests(settings: Mapping[int, int], through: date) -> Sequence[Any]:
    """The newest requests of each office with the day of their first arrival; None for one that was open and had
    brought nothing at the close of `through`."""
    arrived = func.min(Movement.effective_on)
    newest = func.row_number().over(
        partition_by=DeliveryRequest.office_id, order_by=(DeliveryRequest.asked_on.desc(), DeliveryRequest.id.desc())
    )
    came = (Delivery.delivery_request_id == DeliveryRequest.id) & open_requests.STANDS
    in_time = (Movement.delivery_id == Delivery.id) & (Movement.effective_on <= through)
    ends = DeliveryRequest.closed_on
    found = (
        select(
            DeliveryRequest.office_id.label("office_id"),
            Office.working_days.label("working_days"),
            DeliveryRequest.asked_on.label("asked_on"),
            arrived.label("arrived"),
            newest.label("number"),
        )
        .join(Office, Office.id == DeliveryRequest.office_id)
        .outerjoin(Delivery, came)
        .outerjoin(Movement, in_time)
        .where(DeliveryRequest.asked_on.between(through - timedelta(days=LOOK_BACK_DAYS), through))
        .group_by(DeliveryRequest.id, DeliveryRequest.office_id, Office.working_days, DeliveryRequest.asked_on, ends)
        # What was called off before anything came tells no wait.
        .having(or_(arrived.is_not(None), ends.is_(None), ends > through))
    )
    if len(settings) <= MOST_IN_A_LIST:  # else nearly all are wanted anyway, and a list would only slow the query
        found = found.where(DeliveryRequest.office_id.in_(settings))
    each = found.subquery()
    return db.session.execute(select(each).where(each.c.number <= MOST_REQUESTS)).all()


def _open_days(rows: Iterable[Any], through: date) -> list[int]:
    """Working days of each row's office from the day after asking to the day of arrival, or else to `through`."""
    rows = list(rows)
    if not rows:
        return []
    first = min(row.asked_on for row in rows)
    by_office = calendars.of_offices({row.office_id: row.working_days for row in rows}.items(), first, through)
    counted: dict[int, np.ndarray] = {}

    def until(calendar: OfficeCalendar, day: date) -> int:
        """Open days from `first` to `day`; offices with one calendar share the counting."""
        if id(calendar) not in counted:
            counted[id(calendar)] = np.cumsum(calendar.flags(first, through))
        return int(counted[id(calendar)][(day - first).days])

    found = []
    for row in rows:
        calendar = by_office[row.office_id]
        found.append(until(calendar, row.arrived or through) - until(calendar, row.asked_on))
    return found
