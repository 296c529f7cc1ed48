"""What a message says of one change: what there is, since when, and what the reader should do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

from flask import current_app
from flask_babel import get_locale, gettext, ngettext

from inventory import text
from inventory.services.items import ItemView
from inventory.services.messages import Line

Items = Mapping[str, ItemView]
"""By code."""

Said = tuple[list[str], list[str]]
"""Sentences in two parts: what there is, and how long it lasts and what to do. A digest has a line for each part."""


def language() -> str:
    """The language of the message that is being written."""
    locale = get_locale()
    return locale.language if locale and locale.language in text.LANGUAGES else current_app.config["SETTINGS"].LANGUAGE


def item_name(items: Items, code: str | None) -> str:
    """An item in words; its code where it is no longer kept, and nothing where there is none."""
    item = items.get(code or "")
    return item.names[language()] if item else code or ""


def told(line: Line, items: Items) -> Said:
    """What is known of one change, and what to do."""
    facts = line.facts
    if line.subject == "low_stock":
        found, to_do = _stock(line, items)
    elif line.to_level == "ok":
        found, to_do = _over(facts)
    elif all(facts.get(name) is not None for name in _NEEDED.get(line.subject, ())):
        found, to_do = _SUBJECTS[line.subject](line, items)
    else:
        found, to_do = [], [gettext("The page of the alert says what it is about.")]
    if facts.get("synthetic"):
        found = [*found, gettext("The figures are synthetic.")]
    return found, [*to_do, *_before(line)]


def _before(line: Line) -> Iterator[str]:
    if line.from_level == line.to_level:
        yield gettext("This is not new: it is still so.")
    elif line.from_level != "ok":
        yield gettext("Before: %(level)s.", level=text.LEVELS[line.from_level])


# --- a stock -----------------------------------------------------------------------------------------------------


def _stock(line: Line, items: Items) -> Said:
    facts = line.facts
    store, inbound = facts.get("store"), facts.get("inbound") or 0
    found = []
    if store is not None:
        found.append(gettext("Left in the store: %(amount)s.", amount=_amount(store, line, items)))
    if store is not None and inbound:
        found.append(gettext("Coming: %(amount)s.", amount=_amount(inbound, line, items)))
    if line.to_level == "ok":
        return found, []
    if line.to_level == "unknown":
        too_little = gettext("There is too little history to foretell when it runs out.")
        return found, [too_little, gettext("State the usual demand per working day in the settings of the office.")]
    to_do = []
    if facts.get("stockout_on") and line.to_level != "out":
        to_do.append(gettext("Likely to last until %(day)s.", day=_day(facts["stockout_on"])))
    order = facts.get("suggested_order")
    if order:
        to_do.append(gettext("Ask for %(amount)s now.", amount=_amount(order, line, items)))
    elif inbound:
        to_do.append(gettext("See to it that what is coming arrives in time."))
    elif line.to_level in ("out", "critical", "low"):
        to_do.append(gettext("Ask for a delivery, or borrow from an office nearby."))
    return found, to_do


def _amount(quantity: int, line: Line, items: Items) -> str:
    """A quantity with the item's unit: 1,639 cards. Units are kept in the plural, and English would want another word
    for one of them."""
    item, one = items.get(line.item_code or ""), abs(quantity) == 1 and language() == "en"
    return text.number(quantity) if item is None or one else f"{text.number(quantity)} {item.units[language()]}"


# --- what is left undone -----------------------------------------------------------------------------------------


def _over(facts: Mapping[str, Any]) -> Said:
    over = gettext("It is over: nothing more has to be done.")
    if facts.get("days_late") and facts.get("since"):
        return [gettext("It had been so since %(day)s.", day=_day(facts["since"]))], [over]
    return [], [over]


def _waited(facts: Mapping[str, Any]) -> list[str]:
    days = facts.get("days_late")
    return [ngettext("That was %(num)s day ago.", "That was %(num)s days ago.", days)] if days else []


def _overdue_transfer(line: Line, items: Items) -> Said:
    facts = line.facts
    late = gettext(
        "%(amount)s should have arrived on %(day)s, and nobody has recorded that they did.",
        amount=_amount(facts["quantity"], line, items),
        day=_day(facts["since"]),
    )
    to_do = gettext("Ask the receiver to count and record what came; the sender cancels what never left.")
    return [late, *_waited(facts)], [to_do]


def _spoiled_not_destroyed(line: Line, items: Items) -> Said:
    facts = line.facts
    lying = gettext(
        "Spoiled and not destroyed: %(amount)s, the oldest of %(oldest)s. The last day for it was %(day)s.",
        amount=_amount(facts["quantity"], line, items),
        oldest=_day(facts["oldest_on"]),
        day=_day(facts["since"]),
    )
    return [lying, *_waited(facts)], [gettext("Propose their destruction before two witnesses.")]


def _day_not_closed(line: Line, _items: Items) -> Said:
    days = line.facts["days"]
    open_days = ngettext(
        "%(num)s working day was not closed, that of %(day)s.",
        "%(num)s working days were not closed, the first of them on %(day)s.",
        days,
        day=_day(line.facts["since"]),
    )
    return [open_days], [ngettext("Have it closed.", "Have them closed, the oldest first.", days)]


def _day_difference(line: Line, _items: Items) -> Said:
    facts = line.facts
    waiting = ngettext(
        "%(num)s difference between count and book waits for a manager, of %(day)s.",
        "%(num)s differences between count and book wait for a manager, the oldest of %(day)s.",
        facts["quantity"],
        day=_day(facts["since"]),
    )
    return [waiting, *_waited(facts)], [gettext("Look into it with the storekeeper, and clear it with its reason.")]


def _count_difference(line: Line, items: Items) -> Said:
    facts = line.facts
    values = {"amount": _amount(facts["quantity"], line, items), "day": _day(facts["since"])}
    if facts["difference"] < 0:
        found = gettext(
            "A count of %(day)s found %(amount)s fewer than the book says, and waits for approval.", **values
        )
    else:
        found = gettext(
            "A count of %(day)s found %(amount)s more than the book says, and waits for approval.", **values
        )
    to_do = gettext(
        "Go through the stock card with those who counted, and approve or cancel stocktake no. %(number)s.",
        number=facts["stocktake"],
    )
    return [found, *_waited(facts)], [to_do]


def _consumable_first(line: Line, items: Items) -> Said:
    facts = line.facts
    values = {
        "item": item_name(items, line.item_code),
        "day": _day(facts["since"]),
        "blank": item_name(items, facts["blank"]),
    }
    if facts.get("blank_on"):
        ends = gettext(
            "%(item)s: runs out on about %(day)s. %(blank)s: not before %(later)s. In between nothing can be printed.",
            later=_day(facts["blank_on"]),
            **values,
        )
    else:
        ends = gettext(
            "%(item)s: runs out on about %(day)s. %(blank)s: lasts longer. From then on nothing can be printed.",
            **values,
        )
    if line.to_level == "critical":
        return [ends], [gettext("A delivery would come too late: ask for it today, and borrow until it is there.")]
    return [ends], [gettext("Ask for it with the next order.")]


def _model_worse(line: Line, _items: Items) -> Said:
    facts = line.facts
    tried = ngettext(
        "In %(num)s trial up to %(day)s the projection missed the demand by more than the plain average did.",
        "In %(num)s trials up to %(day)s the projection missed the demand by more than the plain average did.",
        facts["windows"],
        day=_day(facts["since"]),
    )
    found = [tried]
    if facts.get("error") is not None and facts.get("average_error") is not None:
        found.append(
            gettext(
                "It was off by %(error)s of the demand, the average by %(average)s; the average now takes its place.",
                error=text.percent(facts["error"]),
                average=text.percent(facts["average_error"]),
            )
        )
    to_do = gettext("Before the next order, look at the outlook and enter what the office knows: outreach, events.")
    return found, [to_do]


def _job_not_run(line: Line, _items: Items) -> Said:
    facts = line.facts
    jobs = ", ".join(str(text.JOBS.get(job, job)) for job in facts["jobs"])
    if facts.get("late"):
        found = [gettext("Not done in time, since %(day)s: %(jobs)s.", day=_day(facts["since"]), jobs=jobs)]
        days = facts.get("days_late")
        found += [ngettext("That is %(num)s day late.", "That is %(num)s days late.", days)] if days else []
    elif facts.get("clock_was_ahead"):
        found = [gettext("Ran ahead of the clock, which was wrong on the server: %(jobs)s.", jobs=jobs)]
    else:
        failed = ngettext(
            "Failed %(num)s time on %(day)s: %(jobs)s.",
            "Failed %(num)s times on %(day)s: %(jobs)s.",
            facts["attempts"],
            day=_day(facts["since"]),
            jobs=jobs,
        )
        found = [failed]
    if facts.get("good_on"):
        found.append(gettext("The last good run was that of %(day)s.", day=_day(facts["good_on"])))
    to_do = gettext("Tell whoever looks after the installation; the page of jobs says what is wrong.")
    return found, [to_do]


def _day(iso: str) -> str:
    return text.day(date.fromisoformat(iso))


_SUBJECTS: Mapping[str, Callable[[Line, Items], Said]] = {
    "overdue_transfer": _overdue_transfer,
    "spoiled_not_destroyed": _spoiled_not_destroyed,
    "day_not_closed": _day_not_closed,
    "day_difference": _day_difference,
    "count_difference": _count_difference,
    "consumable_first": _consumable_first,
    "model_worse": _model_worse,
    "job_not_run": _job_not_run,
}
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "overdue_transfer": ("quantity", "since"),
    "spoiled_not_destroyed": ("quantity", "oldest_on", "since"),
    "day_not_closed": ("days", "since"),
    "day_difference": ("quantity", "since"),
    "count_difference": ("quantity", "difference", "stocktake", "since"),
    "consumable_first": ("since", "blank"),
    "model_worse": ("windows", "since"),
    "job_not_run": ("jobs", "attempts", "since"),
}
"""Facts without which nothing can be said: a message that cannot be written would be tried for days."""
