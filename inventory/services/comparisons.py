"""A few offices beside each other, each with all below it: what they have, use, spoil, wait for and leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import and_, func, select
from sqlalchemy.orm import aliased

from inventory.db import db
from inventory.domain.access import Action, Actor, reach
from inventory.models import Balance, Office
from inventory.services import closings, items, lead_times, offices, stock_overview, subtree_trends
from inventory.services.items import ItemView
from inventory.services.lead_times import Learnt
from inventory.services.offices import OfficeView, in_reach
from inventory.services.stock_overview import Figures

MOST = 6
"""Offices whose lines can still be told apart on one picture."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """An office with all below it. `figures` are None where nobody ever held the item. `stores` are the closings of
    the last days up to `stores_on`. `spoiled` is the share of all blanks used that became no card. `learnt` is what
    the office's own requests say of its lead time, None where they say nothing. `days_missed` counts working days of
    the last five that offices left unclosed, `never_closed` the offices that never closed one."""

    office: OfficeView
    figures: Figures | None
    alone: bool
    stores: tuple[int, ...]
    stores_on: date
    spoiled: float | None
    learnt: Learnt | None
    days_missed: int
    never_closed: int

    def store_on(self, day: date) -> int | None:
        """What was in the stores at the close of a day; None where that is not known. What is known may end up to
        two days ago, as the country has three time zones and the review runs after midnight; until then it stands."""
        back = (self.stores_on - day).days
        if back < -2 or back >= len(self.stores):
            return None
        return self.stores[-1 - max(back, 0)]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """`days` are those of which the closings are told, the latest last."""

    item: ItemView
    offices: tuple[Compared, ...]
    days: tuple[date, ...]


def of_offices(actor: Actor, now: datetime, item_code: str, office_codes: Sequence[str]) -> Comparison:
    """The first MOST of the offices, each once. The number of queries does not grow with what is below them.

    Raises NotFound `office_not_found`, `item_not_found`; NotAllowed.
    """
    item = items.get(item_code)
    wanted = list(dict.fromkeys(office_codes))[:MOST]
    chosen = [offices.get(actor, Action.VIEW_STOCK, code) for code in wanted]
    if not chosen:
        return Comparison(item=item, offices=(), days=())
    today = max(office.today(now) for office in chosen)
    figures = stock_overview.of_subtrees(actor, chosen, item.id)
    alone = {office.id for office in chosen if office.path in figures and figures[office.path][1]}
    several = [office.id for office in chosen if office.id not in alone and stock_overview.sees_all(actor, office.path)]
    trends = dict(subtree_trends.of_offices(several, item.id))
    trends |= {id: (today, stores) for id, stores in stock_overview.closings(list(alone), item.id, today).items()}
    learnt = lead_times.of_offices({office.id: office.settings.lead_time_days for office in chosen}, today).learnt
    spoiled = _spoiled(actor, chosen, item.id)
    unclosed = closings.unclosed_by(actor, now, [office.path for office in chosen])
    return Comparison(
        item=item,
        offices=tuple(
            Compared(
                office=office,
                figures=figures[office.path][0] if office.path in figures else None,
                alone=office.id in alone,
                stores=tuple(trends[office.id][1]) if office.id in trends else (),
                stores_on=trends[office.id][0] if office.id in trends else today,
                spoiled=spoiled.get(office.id),
                learnt=learnt.get(office.id),
                days_missed=days,
                never_closed=never,
            )
            for office, (days, never) in zip(chosen, unclosed, strict=True)
        ),
        days=tuple(today - timedelta(days=back) for back in reversed(range(stock_overview.RECENT_DAYS))),
    )


def _spoiled(actor: Actor, chosen: Sequence[OfficeView], item_id: int) -> dict[int, float]:
    """Of all blanks that were used, the share that became no card, since the books began."""
    top = aliased(Office)
    lost = func.sum(Balance.spoiled + Balance.destroyed)
    used = func.sum(Balance.printed + Balance.spoiled + Balance.destroyed)
    rows = db.session.execute(
        select(top.id, lost, used)
        .select_from(Balance)
        .join(Office, Office.id == Balance.office_id)
        .join(top, and_(Office.path >= top.path, Office.path < top.path + "~"))
        .where(
            Balance.item_id == item_id,
            top.id.in_([office.id for office in chosen]),
            in_reach(reach(actor, Action.VIEW_STOCK)),
        )
        .group_by(top.id)
    )
    return {office_id: float(part) / float(whole) for office_id, part, whole in rows if whole}
