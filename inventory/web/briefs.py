"""The sentences of a case in words. Each is whole: what a translator sees is what is said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from inventory import text
from inventory.domain.briefs import Sentence
from inventory.web.forms import lazy as _

WORDS: Mapping[str, Any] = {
    # What there is, and how long it lasts.
    "stock_out": _("The store is empty."),
    "stock_out_waiting": _("The store is empty; requests that wait: %(backlog)s."),
    "stock_unknown": _("In the store: %(store)s. How long they last nobody can tell yet."),
    "stock_lasts": _("In the store: %(store)s, enough for about %(cover)s working days, until %(day)s."),
    "stock_lasts_long": _("In the store: %(store)s, enough for more than %(cover)s working days."),
    # Why.
    "why_unknown": _("There are too few days of records for a projection, and nobody has stated a figure."),
    "why_nothing_comes": _(
        "About %(rate)s are used on a working day, a delivery takes %(lead)s working days, and nothing is on its way."
    ),
    "why_comes": _(
        "About %(rate)s are used on a working day, a delivery takes %(lead)s working days, and %(inbound)s are on their"
        " way."
    ),
    "why_comes_on": _(
        "About %(rate)s are used on a working day, a delivery takes %(lead)s working days, and %(inbound)s are on their"
        " way, expected from %(day)s on."
    ),
    "why_comes_too_late": _(
        "About %(rate)s are used on a working day, a delivery takes %(lead)s working days, and the %(inbound)s that are"
        " on their way are not expected before %(day)s, when the stock is used up."
    ),
    "why_is_late": _(
        "About %(rate)s are used on a working day, a delivery takes %(lead)s working days, and of the %(inbound)s that"
        " are on their way some were expected on %(day)s already."
    ),
    # What to do, by when.
    "do_state_a_figure": _(
        "Today: have the usual demand per working day stated in the settings of the office, until there is enough"
        " history."
    ),
    "do_order_by": _("Ask for %(order)s by %(day)s at the latest: then they are there before the stock runs out."),
    "do_order_and_borrow": _(
        "Ask for %(order)s today; they would be there on %(day)s. Borrow for the days between: working days without"
        " stock: %(gap)s."
    ),
    "do_order_now": _("Ask for %(order)s today, and borrow until they are there."),
    "do_order_next": _("Ask for %(order)s with the next order."),
    "do_see_it_arrives": _(
        "No further order is needed: see to it that the %(inbound)s on their way are there by %(day)s."
    ),
    "do_nothing": _("Nothing has to be ordered now; the next review looks at it again."),
    # What is left undone.
    "overdue_transfer_what": _(
        "%(quantity)s were sent off and expected on %(since)s; nobody has recorded that they arrived."
    ),
    "overdue_transfer_plain": _("Blanks were sent off, and nobody has recorded that they arrived."),
    "overdue_transfer_why": _(
        "Until they are counted they are in no store and cannot be used, and the sender answers for them."
    ),
    "overdue_transfer_do": _(
        "Today: have the receiver count and record them; what never left is cancelled by the sender."
    ),
    "spoiled_not_destroyed_what": _(
        "%(quantity)s lie among the spoiled, the oldest of %(oldest_on)s; they should have been destroyed by %(since)s."
    ),
    "spoiled_not_destroyed_plain": _("Spoiled blanks lie longer than the office allows."),
    "spoiled_not_destroyed_why": _("As long as they lie there they can be taken and misused."),
    "spoiled_not_destroyed_do": _(
        "Today: have them destroyed before two witnesses, and the record proposed for approval."
    ),
    "day_not_closed_what": _("Working days not closed: %(days)s, the first of them %(since)s."),
    "day_not_closed_plain": _("Working days were not closed."),
    "day_not_closed_why": _("Before a day is closed nobody sees whether the count and the book agree."),
    "day_not_closed_do": _("Today: have the days closed, the oldest first."),
    "day_difference_what": _(
        "Differences between count and book that wait for a manager: %(quantity)s, the oldest of %(since)s."
    ),
    "day_difference_plain": _("A difference between count and book waits for a manager."),
    "day_difference_why": _("Until it is cleared the book may be wrong, and what is expected of the stock with it."),
    "day_difference_do": _("Today: look into it with the storekeeper, and clear it with its reason."),
    "count_difference_what": _(
        "A count of %(since)s differs from the book by %(quantity)s, and nobody has approved or cancelled it."
    ),
    "count_difference_plain": _("A stocktake found more or less than the book says."),
    "count_difference_why": _(
        "What is missing has been used without a record, or taken; what is over was never booked."
    ),
    "count_difference_do": _("Today: go through the stock card with those who counted, and decide upon the stocktake."),
    "consumable_first_what": _("It runs out on about %(since)s, before the blanks do."),
    "consumable_first_plain": _("A ribbon or film runs out before the blanks do."),
    "consumable_first_why": _("Without it no card is printed, however many blanks there are."),
    "consumable_first_do": _("Ask for it with the next order, or have a neighbour lend it, before it runs out."),
    "model_worse_what": _(
        "The projection of this stock was further off than a plain average; past windows tried: %(windows)s."
    ),
    "model_worse_plain": _("The projection of this stock was further off than a plain average."),
    "model_worse_why": _("What is expected of the stock, and what is suggested to order, may be too high or too low."),
    "model_worse_do": _(
        "Before the next order: look at the outlook, and state what the office knows: outreach, events, a usual demand."
    ),
    "job_not_run_plain": _("The review did not run when it should have."),
    "job_not_run_why": _("Until it runs, levels and outlooks are those of the last one: new shortages stay unseen."),
    "job_not_run_do": _(
        "Today: have whoever looks after the installation see to it; the page of jobs says what failed."
    ),
}
"""By the codes of `domain.briefs`."""


def in_words(sentences: Iterable[Sentence]) -> list[str]:
    """The sentences in the reader's language."""
    return [str(WORDS[each.code]) % {name: _shown(value) for name, value in each.values.items()} for each in sentences]


def _shown(value: Any) -> str:
    if isinstance(value, date):
        return text.day(value)
    return text.decimals(value) if isinstance(value, float) else text.number(value)
