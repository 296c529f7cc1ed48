"""A case in three sentences: what there is and how long it lasts, why, and what to do by when.

Sentences are codes with values; the edges put them into words. Which ones are said is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from inventory.domain.alerts import Subject
from inventory.domain.facts import is_known

FARTHEST = timedelta(days=2 * 366)
"""How far a day is looked for in an office's calendar."""


@dataclass(frozen=True)
class Sentence:
    """`values` are days, whole numbers, and numbers with decimals, by the names that the words give them."""

    code: str
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])


Brief = tuple[Sentence, Sentence, Sentence]


@dataclass(frozen=True, kw_only=True)
class Around:
    """What is known beside the facts of a case: the office's today, which days it is open, and the day on which the
    first of what is under way is expected, if any is."""

    today: date
    is_open: Callable[[date], bool]
    arrives_on: date | None = None


def brief(subject: Subject, facts: Mapping[str, Any], around: Around) -> Brief:
    """The three sentences of a case. `facts` are those of its alert: plain values, days as ISO text."""
    first = what_there_is(subject, facts)
    if subject is Subject.LOW_STOCK:
        return first, _why_it_is_low(facts, around), _what_to_order(facts, around)
    return first, Sentence(f"{subject.value}_why"), Sentence(f"{subject.value}_do")


def what_there_is(subject: Subject, facts: Mapping[str, Any]) -> Sentence:
    """The first of the three, which needs no calendar."""
    if subject is Subject.LOW_STOCK:
        return _what_is_left(facts)
    name, named = subject.value, _NAMED.get(subject, ())
    if not named or any(facts.get(each) is None for each in named):
        return Sentence(f"{name}_plain")
    return Sentence(f"{name}_what", {each: _value(facts[each]) for each in named})


_NAMED: Mapping[Subject, tuple[str, ...]] = {
    Subject.OVERDUE_TRANSFER: ("quantity", "since"),
    Subject.SPOILED_NOT_DESTROYED: ("quantity", "oldest_on", "since"),
    Subject.DAY_NOT_CLOSED: ("days", "since"),
    Subject.DAY_DIFFERENCE: ("quantity", "since"),
    Subject.COUNT_DIFFERENCE: ("quantity", "since"),
    Subject.CONSUMABLE_FIRST: ("since",),
    Subject.MODEL_WORSE: ("windows",),
}
"""The facts that the first sentence of a subject names. Without them it is said plainly, as of those that name none."""


def last_day_to_ask(runs_out_on: date, lead_days: int, around: Around) -> date | None:
    """The last open day on which to ask for a delivery that takes `lead_days` working days, so that it is there on the
    day on which the stock runs out; None when that is past, or the office is closed all the time until then."""
    day, left = runs_out_on, lead_days
    while left > 0 and day >= around.today:
        left -= around.is_open(day)
        day -= timedelta(days=1)
    while day >= around.today and not around.is_open(day):
        day -= timedelta(days=1)
    return day if day >= around.today else None


def arrival_if_asked_today(lead_days: int, around: Around) -> date | None:
    """The day on which a delivery is there that is asked for today; None when the office stays closed for too long."""
    day, left = around.today, lead_days
    while left > 0 and day - around.today < FARTHEST:
        day += timedelta(days=1)
        left -= around.is_open(day)
    return None if left else day


# --- the three sentences of a stock ------------------------------------------------------------------------------


def _what_is_left(facts: Mapping[str, Any]) -> Sentence:
    store, backlog = int(facts.get("store") or 0), int(facts.get("backlog") or 0)
    if store <= 0:
        return Sentence("stock_out_waiting", {"backlog": backlog}) if backlog else Sentence("stock_out")
    cover, day = facts.get("cover_days"), _day(facts, "stockout_on")
    if not is_known(facts) or cover is None:
        return Sentence("stock_unknown", {"store": store})
    if day is None or facts.get("cover_capped"):
        return Sentence("stock_lasts_long", {"store": store, "cover": float(cover)})
    return Sentence("stock_lasts", {"store": store, "cover": float(cover), "day": day})


def _why_it_is_low(facts: Mapping[str, Any], around: Around) -> Sentence:
    rate = facts.get("level_per_day")
    if not is_known(facts) or rate is None:
        return Sentence("why_unknown")
    said = {"rate": float(rate), "lead": int(facts.get("lead_days") or 0)}
    inbound, arrives, out = int(facts.get("inbound") or 0), around.arrives_on, _day(facts, "stockout_on")
    if inbound <= 0:
        return Sentence("why_nothing_comes", said)
    if arrives is None:
        return Sentence("why_comes", said | {"inbound": inbound})
    if arrives < around.today:
        return Sentence("why_is_late", said | {"inbound": inbound, "day": arrives})
    too_late = int(facts.get("store") or 0) <= 0 or (out is not None and arrives > out)
    code = "why_comes_too_late" if too_late else "why_comes_on"
    return Sentence(code, said | {"inbound": inbound, "day": arrives})


def _what_to_order(facts: Mapping[str, Any], around: Around) -> Sentence:
    if not is_known(facts):
        return Sentence("do_state_a_figure")
    order, inbound = int(facts.get("suggested_order") or 0), int(facts.get("inbound") or 0)
    out = around.today if int(facts.get("store") or 0) <= 0 else _day(facts, "stockout_on")
    if order <= 0:
        if inbound > 0 and out is not None:
            return Sentence("do_see_it_arrives", {"inbound": inbound, "day": max(out, around.today)})
        return Sentence("do_nothing")
    if out is None:
        return Sentence("do_order_next", {"order": order})
    lead = int(facts.get("lead_days") or 0)
    latest = last_day_to_ask(out, lead, around)
    if latest is not None:
        return Sentence("do_order_by", {"order": order, "day": latest})
    return _order_and_borrow(order, lead, out, around)


def _order_and_borrow(order: int, lead: int, out: date, around: Around) -> Sentence:
    """It is too late for a delivery to come in time: the days between want a loan."""
    arrives = arrival_if_asked_today(lead, around)
    if arrives is None:
        return Sentence("do_order_now", {"order": order})
    first = around.today if out <= around.today else out + timedelta(days=1)
    without = sum(around.is_open(first + timedelta(days=number)) for number in range((arrives - first).days))
    return Sentence("do_order_and_borrow", {"order": order, "day": arrives, "gap": without})


def _day(facts: Mapping[str, Any], name: str) -> date | None:
    written = facts.get(name)
    return date.fromisoformat(written) if written else None


def _value(fact: Any) -> Any:
    return date.fromisoformat(fact) if isinstance(fact, str) else int(fact)


STOCK_CODES = (
    ("stock_out", "stock_out_waiting", "stock_unknown", "stock_lasts_long", "stock_lasts"),
    ("why_unknown", "why_nothing_comes", "why_comes", "why_is_late", "why_comes_too_late", "why_comes_on"),
    (
        "do_state_a_figure",
        "do_see_it_arrives",
        "do_nothing",
        "do_order_next",
        "do_order_by",
        "do_order_now",
        "do_order_and_borrow",
    ),
)


def codes() -> tuple[str, ...]:
    """The code of every sentence there is: each has words in every language."""
    of_stock = [code for part in STOCK_CODES for code in part]
    others = [subject for subject in Subject if subject is not Subject.LOW_STOCK]
    parts = [f"{subject.value}_{part}" for subject in others for part in ("plain", "why", "do")]
    return (*of_stock, *parts, *(f"{subject.value}_what" for subject in _NAMED))
