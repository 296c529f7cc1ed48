"""Where each number on the pages comes from, in a sentence or two for whoever asks beside it."""

from __future__ import annotations

from flask_babel import lazy_gettext as _

EXPLANATIONS = {
    "received": _(
        "Everything that came into the store: the opening stock, and what came from the supplier and from other"
        " offices. Entries taken back no longer count."
    ),
    "sent": _("What other offices have received from here. What is still on its way is not among it."),
    "store": _(
        "What lies in the store by the books: received, less sent on, in transit, printed, spoiled, destroyed and"
        " missing. No entry can bring it below zero. Only a count shows whether the shelf agrees."
    ),
    "transit": _("Sent to another office and not yet received there. Until then it is this office's to answer for."),
    "printed": _("Cards that were printed for residents, by the entries of consumption."),
    "spoiled": _("Spoiled blanks that are still here, waiting to be destroyed with a record."),
    "destroyed": _("Spoiled or damaged blanks that were destroyed with a record, approved by a second person."),
    "missing": _(
        "The difference that approved counts found: what was missing less what was found. A minus sign means that"
        " more was found than was missing."
    ),
    "cover": _(
        "The stock divided by what a working day is likely to use, learnt from this office's own past entries, with"
        " its calendar. Days when the stock was out or rationed do not count as low demand."
    ),
    "stockout": _(
        "The day on which the stock is likely to run out if nothing comes: it is as likely to last longer as"
        " shorter. The outlook shows how sure that is."
    ),
    "level": _(
        "Safe: the stock outlasts the next delivery as surely as the office asks for. Watch: soon to be asked for."
        " Low: ask now. Critical: likely to run out before a delivery can come. Out: nothing is left."
    ),
    "on_order": _("Asked for, allotted or sent to this office, and not yet received."),
    "use": _("What a working day is likely to use, learnt from this office's own past entries."),
    "reorder_point": _(
        "When the stock falls to this, it is time to ask: it covers what is likely to be used until a delivery comes,"
        " with a reserve for busy days that follows from the service level in the office's settings."
    ),
    "printable": _("How many cards the blanks, ribbons and films in the store suffice for: the scarcest decides."),
}
"""By the name under which a page asks for it; the eight figures of the ledger's law are among them."""

NAMES = {
    "cover": _("How long it lasts"),
    "stockout": _("The day it runs out"),
    "level": _("The level"),
    "on_order": _("On order"),
    "use": _("Use a working day"),
    "reorder_point": _("Reorder point"),
    "printable": _("Printable cards"),
}
"""Of what is explained and is none of the eight figures."""

GUIDES = {
    "storekeeper": _("A storekeeper's first steps"),
    "manager": _("A manager's first steps"),
    "viewer": _("A viewer's first steps"),
    "administrator": _("An administrator's first steps"),
}

STEPS = {
    "opening": (
        _("Enter what lies in the store"),
        _("Count once and enter it as the opening stock. From then on the books know where every blank is."),
    ),
    "consumption": (
        _("Record a day's printing"),
        _("One number for each reason. A mistake can be taken back; nothing is ever overwritten."),
    ),
    "closing": (
        _("Close the day"),
        _("Say what is left without looking at the books. A difference is found on the day on which it arose."),
    ),
    "stocktake": (
        _("Count the stock for the first time"),
        _("Two people count, a manager approves. Printing goes on meanwhile."),
    ),
    "channel": (
        _("Choose where alerts reach you"),
        _("By e-mail, Telegram or others, with hours in which only the urgent comes through."),
    ),
    "case": (
        _("Answer your first alert"),
        _("Say that it is seen, whose it is, and what was done. What nobody answers is passed on."),
    ),
    "outreach": (
        _("Plan an outreach"),
        _("A day in a village uses as much as a week at the counter: planned, it is in the outlook before it happens."),
    ),
    "look": (
        _("See what every office has"),
        _("The offices below yours with their stock and how long it lasts, the worst first if you like."),
    ),
    "run_outs": (
        _("See who runs out next"),
        _("By day, so that a delivery can go where it is needed first."),
    ),
    "settings": (
        _("Set each office's lead time"),
        _("How long a delivery takes, how often the office asks, and how sure the stock should be to last."),
    ),
    "people": (
        _("Give people their roles"),
        _("Each with an account of their own: who did what is then known, and nobody approves their own entry."),
    ),
    "events": (
        _("Enter what changes demand"),
        _("Elections, school enrolment, holidays of the region: with a factor, or learnt from the past."),
    ),
}
"""Of each first step: what to do, and why."""
