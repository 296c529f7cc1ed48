"""Language at the edge: which one, how numbers and days look in it, and the sentence for each refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, TypeVar

from babel import Locale
from babel.numbers import get_group_symbol
from flask import Flask, current_app, g, has_request_context, session
from flask_babel import Babel, Domain, format_date, format_decimal, get_locale, get_translations, lazy_gettext
from flask_security import current_user
from jinja2 import pass_context

from inventory.domain.errors import Refusal
from inventory.domain.quantities import MAX_QUANTITY, parse_quantity

LANGUAGES = {"id": "Bahasa Indonesia", "en": "English"}
OF_ACCOUNT = "account_language"
"""Where the cookie carries the account's language."""
TRANSLATIONS = str(Path(__file__).parent / "translations")

wtforms_texts = Domain(TRANSLATIONS, "wtforms")

T = TypeVar("T")

_ = lazy_gettext

KINDS = {
    "receipt": _("Receipt"),
    "print": _("Print"),
    "spoil": _("Spoilage"),
    "dispatch": _("Dispatch"),
    "arrival": _("Arrival"),
    "return": _("Return"),
    "destroy": _("Destruction"),
    "count": _("Stocktake"),
}
REASONS = {
    "supplied": _("Delivery"),
    "opening": _("Opening stock"),
    "new": _("New card"),
    "lost": _("Lost card"),
    "damaged": _("Damaged card"),
    "changed_data": _("Changed data"),
    "moved_in": _("Moved in"),
    "consumed": _("Used up"),
    "misprint": _("Misprint"),
    "encoding_failure": _("Encoding failure"),
    "defective": _("Defective"),
    "obsolete": _("Obsolete"),
    "distribution": _("Distribution"),
    "loan": _("Loan"),
    "return": _("Returned loan"),
    "outreach": _("Outreach"),
    "handed_over": _("Handed over"),
    "short": _("Short"),
    "cancelled": _("Cancelled"),
    "arrived": _("Arrived"),
    "arrived_damaged": _("Arrived damaged"),
    "to_supplier": _("To the supplier"),
    "destroyed": _("Destroyed"),
    "found": _("Found"),
}
FIGURES = {
    "received": _("received"),
    "sent": _("sent on"),
    "store": _("in the store"),
    "transit": _("in transit"),
    "printed": _("printed"),
    "spoiled": _("spoiled"),
    "destroyed": _("destroyed"),
    "missing": _("missing"),
}
LEVELS = {
    "ok": _("Safe"),
    "unknown": _("Not enough data"),
    "watch": _("Watch"),
    "low": _("Low"),
    "critical": _("Critical"),
    "out": _("Out of stock"),
}
SUBJECTS = {
    "low_stock": _("Low stock"),
    "overdue_transfer": _("Transfer not received"),
    "spoiled_not_destroyed": _("Spoiled blanks not destroyed"),
    "day_not_closed": _("Day not closed"),
    "day_difference": _("Difference at closing"),
    "count_difference": _("Difference at a count"),
    "consumable_first": _("Ribbon or film runs out before the blanks"),
    "model_worse": _("Projection off the mark"),
    "job_not_run": _("Scheduled job did not run"),
}
JOBS = {
    "low-stock review": _("Low-stock review"),
    "low-stock review by hand": _("Low-stock review by hand"),
    "daily seal": _("Daily seal"),
    "seal by hand": _("Seal by hand"),
    "verification": _("Verification of the books"),
    "backup": _("Backup"),
    "backtest": _("Backtest of the projection"),
    "backtest by hand": _("Backtest of the projection by hand"),
    "stock checks": _("Check of stocks after postings"),
    "messages": _("Sending of messages"),
    "old messages": _("Clearing away of old messages"),
    "old requests": _("Clearing away of old requests"),
    "old log-ins": _("Clearing away of old log-ins"),
}
CASE_STATES = {
    "waiting": _("Waits for somebody"),
    "acknowledged": _("Seen"),
    "snoozed": _("Put off"),
    "resolved": _("Resolved"),
}
CASE_EVENTS = {
    "level": _("Level"),
    "acknowledged": _("Seen"),
    "owner": _("Taken charge of"),
    "snoozed": _("Put off"),
    "woken": _("Due again"),
    "comment": _("Comment"),
    "resolved": _("Resolved"),
    "reopened": _("Opened again"),
}
CASE_ENDS = {
    "ordered": _("Blanks ordered"),
    "allotted": _("Blanks allotted"),
    "lent": _("Blanks lent by another office"),
    "other": _("Something else"),
    "relieved": _("Over by itself"),
}
ROLES = {
    "storekeeper": _("Storekeeper"),
    "manager": _("Manager"),
    "viewer": _("Viewer"),
    "administrator": _("Administrator"),
}
OFFICE_KINDS = {
    "ministry": _("Ministry"),
    "province": _("Province"),
    "regency": _("Regency"),
    "city": _("City"),
    "district": _("District"),
    "outreach": _("Outreach team"),
}
TRANSFER_STATUSES = {
    "dispatched": _("On the way"),
    "received": _("Received"),
    "cancelled": _("Cancelled"),
}
REQUEST_STATUSES = {
    "asked": _("Waiting for an allotment"),
    "allotted": _("Allotted"),
    "received": _("Received"),
    "cancelled": _("Cancelled"),
}
REQUEST_STEPS = {
    "allotted": _("Allotted"),
    "closed": _("Closed: nothing more will come"),
    "cancelled": _("Cancelled"),
}
ALLOTMENT_MODES = {"split": _("Split a delivery"), "loans": _("Loans between offices")}
DRAFT_STATUSES = {"draft": _("To be sent"), "sent": _("Sent"), "recalled": _("Taken back"), "dropped": _("Dropped")}
PURPOSES = {
    "distribution": _("Distribution"),
    "loan": _("Loan"),
    "return": _("Returned loan"),
    "outreach": _("Outreach"),
}
SHIFTS = {"morning": _("Morning shift"), "afternoon": _("Afternoon shift"), "evening": _("Evening shift")}
PROPOSAL_KINDS = {
    "destruction": _("Destruction"),
    "write_off": _("Write-off of obsolete blanks"),
    "reversal": _("Reversal of a receipt"),
}
PROPOSAL_STATUSES = {
    "proposed": _("Waits for approval"),
    "approved": _("Approved"),
    "rejected": _("Rejected"),
    "withdrawn": _("Withdrawn"),
}
METHODS = {"burned": _("Burned"), "shredded": _("Shredded"), "cut": _("Cut up"), "other": _("Another way")}
ANOMALIES = {
    "missing": _("Missing"),
    "gap": _("Left out of the receipt, and known nowhere"),
    "overlap": _("Held twice: written past the ledger"),
    "early": _("Used on a day before they came"),
    "skipped": _("Still in the store while later ones were printed"),
}
IMPORT_KINDS = {
    "opening": _("Opening stock"),
    "deliveries": _("Deliveries"),
    "consumption": _("Daily consumption"),
}
IMPORT_STATUSES = {
    "checked": _("Ready to be imported"),
    "refused": _("Has faults"),
    "imported": _("Imported"),
    "expired": _("Not imported"),
}
DOCUMENT_KINDS = {
    "delivery": _("Record of hand-over"),
    "transfer": _("Record of hand-over"),
    "count_sheet": _("Count sheet"),
    "stocktake": _("Record of stocktake"),
    "destruction": _("Record of destruction"),
    "stock_card": _("Stock card"),
    "monthly_report": _("Monthly report"),
    "late_entries": _("Late entries"),
}
DOCUMENT_FIGURES = {
    "received": _("Received"),
    "defective": _("Defective"),
    "sent": _("Sent"),
    "short": _("Short"),
    "difference": _("Difference"),
    "destroyed": _("Destroyed"),
    "opening": _("Store, opening"),
    "closing": _("Store, closing"),
    "late": _("Number of entries"),
}
ACCOUNTS = {
    "store": _("Store"),
    "spoiled": _("Spoiled, awaiting destruction"),
    "transit": _("On the way to other offices"),
    "missing": _("Missing"),
}
FUNDING_SOURCES = {"apbn": _("State budget (APBN)"), "apbd": _("Regional grant (APBD)")}
STOCKTAKE_STATUSES = {
    "counting": _("Being counted"),
    "counted": _("Waits for approval"),
    "approved": _("Approved"),
    "cancelled": _("Cancelled"),
}
COUNT_REASONS = {"found": _("Found at a count"), "short": _("Missing at a count")}
CLOSING_KINDS = {"store": _("Left in the store"), "printed": _("Cards printed")}
MEASURES = {
    "eligible": _("Eligible residents"),
    "enrolled": _("Enrolled"),
    "not_enrolled": _("Not enrolled"),
    "print_ready": _("Print-ready"),
    "card_holders": _("Card holders"),
    "digital_id": _("Digital identities"),
    "digital_id_target": _("Target of digital identities"),
    "population": _("Population"),
    "villages": _("Villages"),
    "villages_online": _("Villages online"),
}
EQUIPMENT = {"printer": _("Card printers"), "enrolment_set": _("Enrolment sets")}
# What is said beside figures that contradict each other. They are shown as reported, and nothing is corrected.
CONTRADICTIONS: Mapping[str, Any] = {
    "enrolment_sum": _(
        "Enrolled %(enrolled)s and not enrolled %(not_enrolled)s make %(sum)s, but eligible are %(eligible)s: they"
        " differ by %(difference)s."
    ),
    "cards_sum": _(
        "Card holders %(card_holders)s and print-ready %(print_ready)s make %(sum)s, but enrolled are %(enrolled)s:"
        " they differ by %(difference)s."
    ),
    "enrolled_exceed_eligible": _("Enrolled %(enrolled)s are %(difference)s more than the eligible %(eligible)s."),
    "not_enrolled_exceed_eligible": _(
        "Not enrolled %(not_enrolled)s are %(difference)s more than the eligible %(eligible)s."
    ),
    "print_ready_exceed_enrolled": _(
        "Print-ready %(print_ready)s are %(difference)s more than the enrolled %(enrolled)s."
    ),
    "card_holders_exceed_enrolled": _(
        "Card holders %(card_holders)s are %(difference)s more than the enrolled %(enrolled)s."
    ),
    "digital_exceed_enrolled": _(
        "Digital identities %(digital_id)s are %(difference)s more than the enrolled %(enrolled)s."
    ),
    "digital_target_exceeds_enrolled": _(
        "The target of %(digital_id_target)s digital identities is %(difference)s more than the enrolled %(enrolled)s."
    ),
    "eligible_exceed_population": _(
        "Eligible residents %(eligible)s are %(difference)s more than the population %(population)s."
    ),
    "villages_online_exceed_villages": _(
        "Villages online %(villages_online)s are %(difference)s more than the villages %(villages)s."
    ),
    "sources_differ": _("%(measure)s: %(source)s says %(value)s, %(other_source)s says %(other)s."),
    "figure_fell": _(
        "%(measure)s: %(value)s, after %(earlier)s on %(since)s. A fall by %(difference)s is hardly possible."
    ),
}
OUTREACH_STATUSES = {
    "planned": _("Planned"),
    "held": _("Held"),
    "called_off": _("Called off"),
}
EVENT_KINDS = {
    "election": _("Election"),
    "school_enrolment": _("School enrolment"),
    "other": _("Other event"),
}
SEASONS = {"ramadan": _("Ramadan"), "lebaran": _("After Lebaran"), **EVENT_KINDS}
PLAN_STEPS = {
    "added": _("Entered"),
    "changed": _("Changed"),
    "called_off": _("Called off"),
    "held": _("Held"),
    "removed": _("Taken back"),
}
WEEKDAYS = (_("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday"))

# Every code that a rule can refuse with. The sentence says what is wrong and, where there is one, the way out.
REFUSALS: Mapping[str, Any] = {
    "quantity_missing": _("Enter a number."),
    "quantity_negative": _("A quantity cannot be negative."),
    "quantity_fraction": _("Enter a whole number. Thousands are grouped like this: %(example)s."),
    "quantity_not_a_number": _("Enter a whole number with the digits 0 to 9, such as %(example)s."),
    "quantity_not_positive": _("Enter a whole number of at least 1."),
    "quantity_too_large": _("The number is too large: at most %(limit)s in one entry."),
    "text_too_long": _("The text is too long: at most %(limit)s characters."),
    "text_unprintable": _("The text holds a character that cannot be kept."),
    "unknown_movement": _("The ledger has no movement of this kind."),
    "served_waiting_needs_print": _("Only printed cards can serve requests that waited."),
    "served_waiting_exceeds_print": _("Of %(printed)s printed cards, %(served)s cannot have served waiting requests."),
    "day_in_future": _("%(day)s has not come yet: at this office it is %(today)s."),
    "day_too_early": _("%(day)s is too early: entries start on %(first)s."),
    "nothing_entered": _("Nothing was entered. Fill in at least one number."),
    "reason_not_for_item": _("“%(reason)s” does not apply to this item."),
    "return_needs_note": _("Say why the blanks go back."),
    "not_enough_stock": _(
        "Not enough: %(available)s %(figure)s, %(asked)s needed. Nothing was recorded. Check the entry, or record"
        " the delivery that is missing first."
    ),
    "day_below_zero": _(
        "Refused: on %(day)s the figure “%(figure)s” would have closed at %(closing)s. Nothing was recorded. Check"
        " the date, or record what is missing before that day first."
    ),
    "request_id_reused": _(
        "This form was already sent with other figures. Open the page again and enter what is missing."
    ),
    "already_reversed": _("This entry has already been reversed."),
    "reversal_of_reversal": _("A reversal cannot be reversed. Enter the movement anew."),
    "reversal_needs_reason": _("Say why the entry is reversed."),
    "part_of_document": _("This entry belongs to a document and is corrected there."),
    "movement_not_found": _("There is no such entry."),
    "bast_already_recorded": _("A delivery of this item with this record (BAST) number is already recorded."),
    "bast_number_missing": _("Enter the number of the record of hand-over (BAST)."),
    "bast_after_arrival": _("The record (BAST) is dated %(bast_on)s, after the arrival on %(received_on)s."),
    "supplier_missing": _("Enter who supplied the blanks."),
    "defective_exceeds_received": _("Of %(received)s cards received, %(defective)s cannot be defective."),
    "funding_source_unknown": _("Choose a funding source."),
    "opening_not_first": _(
        "This item already has stock on record. Opening stock is entered once, before everything else."
    ),
    "item_not_found": _("There is no item “%(code)s”."),
    "transfer_not_found": _("There is no such transfer among those you may see."),
    "transfer_closed": _("This transfer is closed already: nothing was recorded a second time."),
    "purpose_unknown": _("Choose what the transfer is for."),
    "custodian_missing": _("Enter who carries the blanks."),
    "expected_before_dispatch": _("The blanks cannot be expected on %(expected_on)s: they leave on %(dispatched_on)s."),
    "loan_needs_due_date": _("A loan, and only a loan, has a day on which it is due back, after its arrival."),
    "same_office": _("Sender and receiver are the same office."),
    "loan_not_found": _("There is no such loan between these two offices."),
    "arrived_items_differ": _("Count every item of the transfer, and no other."),
    "more_arrived_than_sent": _("%(arrived)s cannot have arrived: %(sent)s were sent."),
    "arrived_before_dispatch": _("%(day)s is before the blanks left on %(dispatched_on)s."),
    "cancel_needs_reason": _("Say why the transfer is cancelled."),
    "office_not_found": _("There is no office “%(code)s”."),
    "person_not_found": _("There is no such person among those you manage."),
    "alert_not_found": _("There is no such alert among those you may see."),
    "not_allowed": _("Your role does not allow this here."),
    "email_taken": _("There is already an account for %(email)s."),
    "email_format": _("Enter an e-mail address, such as nama@kantor.go.id."),
    "name_missing": _("Enter a name."),
    "own_account": _("You cannot shut yourself out."),
    "period_backwards": _("The period ends before it begins."),
    "period_too_long": _("Choose a period of at most %(limit)s days."),
    "lead_time_range": _("Lead time: from 0 to 250 working days."),
    "review_period_range": _("Review period: from 1 to 250 working days."),
    "service_level_range": _("Service level: from 50 %% to 99.9 %%."),
    "working_days_format": _("Choose at least one working day."),
    "calendar_name_missing": _("Say why the office is open or closed on that day."),
    "file_not_a_table": _("This is not a table of comma-separated values."),
    "column_missing": _("The column “%(column)s” is missing."),
    "office_code_format": _("“%(code)s” is not an office code, such as 51.71.01."),
    "office_code_twice": _("The code %(code)s appears twice in the file."),
    "office_name_length": _("A name has 1 to 120 characters."),
    "office_kind_unknown": _("“%(kind)s” is not a kind of office."),
    "office_kind_changed": _("The office %(code)s is already known as another kind."),
    "office_parent_unknown": _("The parent office “%(parent)s” is neither known nor in the file."),
    "office_parent_changed": _("The office %(code)s already belongs to another one: a list does not move it."),
    "office_parent_kind": _("An office of kind “%(kind)s” cannot belong to one of kind “%(parent)s”."),
    "time_zone_unknown": _("“%(time_zone)s” is not a time zone of the country."),
    "population_not_a_number": _("“%(text)s” is not a number of people."),
    "rate_needs_source": _("Say where the figure comes from."),
    "demo_on_real_data": _(
        "This database holds real entries or accounts: the demonstration is made in an empty one only."
    ),
    "needs_second_person": _("A receipt is reversed only when a second person approves. Ask for its reversal."),
    "not_a_receipt": _("Only the reversal of a receipt needs a second person."),
    "own_proposal": _("Another person has to decide: nobody approves what they proposed."),
    "not_own_proposal": _("Only the person who proposed this can withdraw it."),
    "proposal_decided": _("This was decided already: nothing was recorded a second time."),
    "proposal_not_found": _("There is no such proposal among those you may see."),
    "decision_needs_reason": _("Say why."),
    "reversal_already_asked": _("The reversal of this entry waits for approval already."),
    "witness_missing": _("Name both witnesses, each with a position."),
    "witnesses_same": _("The two witnesses are the same person."),
    "cause_unknown": _("Choose a cause for every line."),
    "breakdown_differs": _("The breakdown adds up to %(breakdown)s, the record says %(total)s. Both must be equal."),
    "not_enough_spoiled": _(
        "“%(reason)s”: only %(available)s lie among the spoiled blanks, %(asked)s cannot be destroyed."
    ),
    "method_unknown": _("Choose how the blanks were destroyed."),
    "place_missing": _("Enter the place."),
    "shift_unknown": _("Choose a shift, for spoiled cards only."),
    "obsolete_needs_write_off": _("Obsolete blanks are written off by a record that a second person approves."),
    "destroy_within_range": _("From 1 to 365 days."),
    "demo_unfinished": _(
        "An earlier demonstration with other settings was interrupted in this database. Start with an empty one."
    ),
    # Delivery requests and hand-overs.
    "delivery_not_found": _("There is no such delivery among those you may see."),
    "delivery_request_not_found": _("There is no such request among those you may see."),
    "delivery_request_closed": _("This request is closed already: nothing was changed."),
    "delivery_request_changed": _("Somebody has changed this request meanwhile. Look at it again, then decide."),
    "delivery_request_received": _(
        "Blanks have already come on this request, so it cannot be cancelled. Close it if nothing more will come."
    ),
    "delivery_request_needs_reason": _("Say why the request ends."),
    "needed_before_asked": _("The blanks cannot be needed by %(needed_by)s: they are asked for on %(asked_on)s."),
    "allotted_items_differ": _("Answer every line of the request, and no other."),
    "arrived_before_asked": _("%(day)s is before the request was made on %(asked_on)s."),
    # Stocktakes and daily closings.
    "moment_in_future": _("That time of day has not come yet."),
    "moment_on_other_day": _("That time is not on %(day)s."),
    "stocktake_not_found": _("There is no such stocktake among those you may see."),
    "stocktake_open": _("A stocktake of this office is open already. Finish it, or cancel it with a reason."),
    "nothing_to_count": _("The book of this office holds nothing to count yet."),
    "count_in_future": _("Nothing can be counted later than now."),
    "count_before_opening": _("Nothing can be counted before the stocktake was opened, or before the first count."),
    "clock_behind": _(
        "The clock of the server was set back: it will be %(minutes)s minutes until the time of the last entries here."
        " Until then no count can be compared with them. Have the clock looked at."
    ),
    "line_counted": _("This item is counted already, or is not asked for. Open the page again."),
    "stocktake_closed": _("This stocktake can no longer be changed."),
    "stocktake_not_counted": _("Not everything is counted yet."),
    "stocktake_not_approved": _("This stocktake is not approved."),
    "own_count": _("You opened this stocktake or counted for it. Somebody else has to approve or cancel it."),
    "differences_changed": _(
        "Nothing was booked: the differences have changed since you opened the page. Look at the new ones and confirm"
        " once more."
    ),
    "nothing_to_correct": _("There is nothing to correct."),
    "stocktake_cancel_needs_reason": _("Say why the stocktake is cancelled."),
    "closing_items_differ": _("Enter what is left of every item, and of blanks the number of cards printed."),
    "day_closed": _("%(day)s is closed already."),
    "day_not_closed": _("%(day)s is not closed."),
    "nothing_to_close": _("The book of this office holds nothing yet."),
    "own_closing": _("You closed this day. Somebody else has to look into its differences."),
    "exception_not_found": _("There is no such difference among those you may see."),
    "exception_cleared": _("This difference is cleared already."),
    "clearing_needs_reason": _("Say how the difference is explained."),
    "reopening_needs_reason": _("Say why the day is opened again."),
    # Number ranges.
    "range_unreadable": _("“%(text)s” is no number or range of numbers, such as A100001–A100500."),
    "range_backwards": _("The range from %(first)s to %(last)s runs backwards."),
    "range_series_differ": _(
        "%(first)s and %(last)s are not of one series: letters and count of digits must be the same."
    ),
    "range_twice": _("The number %(number)s was entered twice."),
    "range_not_part": _("Not among the numbers of the whole: %(ranges)s."),
    "ranges_too_many": _("Too many ranges: at most %(limit)s in one entry."),
    "ranges_missing": _("Enter the number ranges: the numbers of this item are kept, and %(asked)s are needed."),
    "ranges_differ": _("The number ranges hold %(given)s numbers, the quantity says %(asked)s. Nothing was recorded."),
    "ranges_not_kept": _("The numbers of this item are not kept: leave the number ranges empty."),
    "range_not_here": _("Not %(figure)s at this office: %(ranges)s. Nothing was recorded. Check the numbers."),
    "range_known": _("Already in the books: %(ranges)s. A number cannot be received twice. Nothing was recorded."),
    "range_moved_on": _("These numbers have moved on since: %(ranges)s. Nothing was recorded."),
    "item_in_use": _("“%(item)s” has movements already: whether its numbers are kept is chosen before the first one."),
    # Import and export
    "file_too_large": _("The file is too large: at most %(limit)s MB."),
    "file_inflates": _(
        "The file is packed so tightly that it would grow beyond %(limit)s MB, or holds too many parts. Save it anew"
        " as a plain table, or send it as CSV."
    ),
    "rows_too_many": _("The file has more than %(limit)s rows. Split it."),
    "column_unknown": _("The column “%(column)s” is not one of this kind of file."),
    "column_twice": _("The column “%(column)s” appears twice."),
    "cell_empty": _("This cell must not be empty."),
    "cell_without_heading": _("“%(text)s” stands in a column without a heading."),
    "day_not_a_day": _("“%(text)s” is not a day. Write it as 2024-12-31 or 31/12/2024."),
    "row_twice": _("The same appears already in row %(row)s."),
    "import_kind_unknown": _("Choose what the file holds."),
    "import_not_found": _("There is no such import among those you may see."),
    "import_not_ready": _("This file is not waiting to be imported. Send it once more."),
    "file_already_imported": _("This file has already been imported: nothing was recorded a second time."),
    "day_already_imported": _("Another file has just filled in one of these days. Send the file once more."),
    "file_filled_in": _("The file “%(file)s” has filled in this day already, on %(day)s."),
    "export_unknown": _("There is no such table to export."),
    # Documents and reports.
    "document_not_found": _("There is no such document among those you may see."),
    "delivery_reversed": _("This delivery was reversed: there is no record of hand-over of it."),
    "destruction_not_approved": _("The record is made when a second person has approved it."),
    "month_format": _("Choose a month."),
    "month_not_over": _("The month is reported after %(last)s: at this office it is %(today)s."),
    "no_late_entries": _("Nothing has been recorded late for this month since its last document."),
    # Known figures and equipment.
    "measure_unknown": _("“%(measure)s” is not one of the figures that are kept."),
    "source_missing": _("Say where the figures come from."),
    "equipment_unknown": _("Choose what kind of equipment it is."),
    "capacity_missing": _("Say how many cards one working printer can print a day; other equipment prints none."),
    "figure_entry_not_found": _("There is no such file among those you may see, or nobody recorded it within a day."),
    # Outreach plans, events, day caps, clearing and digital identities.
    "outreach_not_found": _("There is no such outreach plan among those you may see."),
    "outreach_of_team": _("A team's outreach is planned by its office: its prints count there."),
    "outreach_day_range": _("Choose a day from %(first)s to %(last)s."),
    "outreach_place_missing": _("Enter where the outreach is."),
    "outreach_hours": _("Enter both hours, the later one last, or neither."),
    "outreach_team_unknown": _("This is no outreach team of this office."),
    "outreach_closed": _("This outreach was held or called off already: nothing was changed."),
    "outreach_changed": _("Somebody has changed this plan meanwhile. Look at it again, then change it."),
    "outreach_needs_reason": _("Say why the outreach is called off."),
    "outreach_not_yet": _("The outreach is on %(day)s: at this office it is %(today)s."),
    "outreach_items_differ": _("Enter the prints of every item that was expected, or of none."),
    "office_closed_on_day": _(
        "The office is closed on %(day)s (%(name)s). Choose another day, or ask the administrator to open it."
    ),
    "event_not_found": _("There is no such event among those you manage."),
    "event_kind_unknown": _("Choose what kind of event it is."),
    "event_name_missing": _("Enter what the event is called."),
    "event_factor_range": _("Demand: from 10 %% to 500 %% of usual, or empty to learn it from history."),
    "event_changed": _("Somebody has changed this event meanwhile. Look at it again, then change it."),
    "event_removed": _("This event was removed already: nothing was changed."),
    "cap_not_found": _("There is no such day cap among those you may see."),
    "cap_too_far": _("A day cap begins within %(limit)s days."),
    "cap_changed": _("Somebody has changed this day cap meanwhile. Look at it again, then change it."),
    "cap_withdrawn": _("This day cap was withdrawn already: nothing was changed."),
    "clearing_of_blanks_only": _("Residents wait for cards: choose a blank, not a consumable."),
    "digital_share_range": _("From 0 %% to 90 %%."),
    # Allotments.
    "pack_range": _("A pack holds at least one."),
    "packs_too_many": _("That is more than %(limit)s packs: choose a larger pack."),
    "reserve_exceeds_quantity": _("%(reserve)s are kept back of %(quantity)s: nothing is left to split."),
    "least_exceeds_quantity": _("The minimum of all offices together is %(least)s, but %(quantity)s can be split."),
    "least_exceeds_most": _("For %(office)s the minimum, in whole packs, is above the most."),
    "nobody_to_allot": _("There is no office to allot to."),
    "too_many_offices": _("At most %(limit)s offices in one plan: begin further down."),
    "plan_exceeds_stock": _("%(office)s would give %(total)s, but has %(available)s for it."),
    "lends_and_borrows": _("%(office)s would both lend and borrow."),
    "not_the_giver": _("In a split only the office that splits sends."),
    "plan_not_found": _("There is no such plan among those you may see."),
    "draft_not_found": _("There is no such draft at this office."),
    "draft_closed": _("This draft has been sent or dropped already."),
    "draft_differs": _("The draft is for another office or another item."),
    # What if.
    "stock_not_found": _("This office has no stock of that item to project."),
    "outreach_day_missing": _("Choose the day of the outreach."),
    "late_days_range": _("From 0 to %(limit)s working days."),
    # Cases.
    "nothing_chosen": _("Choose at least one alert."),
    "case_acknowledged": _("Somebody has marked this alert as seen already."),
    "case_snoozed": _("This alert is put off. Mark it as seen once it is due again."),
    "case_resolved": _("This alert has been resolved."),
    "owner_not_allowed": _("This person may not act on alerts of this office."),
    "snooze_without_end": _("Give a day or a level at which the alert is due again."),
    "snooze_over_already": _("Choose a day after today."),
    "snooze_too_long": _("An alert can be put off for at most %(days)s days."),
    "snooze_level_reached": _("Choose a level worse than the present one."),
    "comment_missing": _("Write a comment."),
    "done_by_itself": _("Say what was done about it."),
    "done_needs_words": _("Write down what was done."),
    # Messages
    "channel_not_found": _("There is no such way for messages among yours."),
    "channel_kind_unknown": _("Choose one of the ways."),
    "channel_ended": _("Messages to this address have been ended. Take them up again first."),
    "channels_too_many": _("At most %(limit)s ways are possible. End one of them first."),
    "quiet_hours_half": _("Enter both when the quiet hours begin and when they end, or neither."),
    "telegram_chat_format": _("Enter the number of a Telegram chat, such as -1001234567890, or its name: @name."),
    "webhook_format": _("Enter an address such as https://kantor.example/hook."),
    "service_unknown": _("Enter an address of one of these services: %(services)s."),
    "message_not_found": _("There is no such message to people whom you manage."),
    # Figures about alerts.
    "too_many_stocks": _("That is more than %(limit)s stocks: choose an office further down."),
    # Entries made without a network.
    "entry_unreadable": _("This entry cannot be read. Nothing was recorded."),
    "entry_of_somebody_else": _("Somebody else made this entry: it is sent when they log in. Nothing was recorded."),
    "counted_meanwhile": _(
        "The stock was counted on %(day)s. Nothing was recorded. Record this on the office's page with its time of"
        " day, so that it stands before or after the count; then discard it here."
    ),
    "day_closed_meanwhile": _(
        "%(day)s has been closed since, without this entry. Nothing was recorded. Record it all the same as a late"
        " entry, or correct its day."
    ),
    # Undo of what was just entered.
    "entry_not_found": _("There is no such entry of yours at this office."),
    "undo_of_somebody_else": _(
        "Only the person who made an entry can undo it here. Otherwise reverse it on the stock card, with a reason."
    ),
    "undo_other_kind": _("An entry of this kind is not undone here. Open it on the stock card, or its own page."),
    "undo_too_late": _(
        "An entry can be undone for %(minutes)s minutes, and these are over. Reverse it on the stock card, with a"
        " reason."
    ),
    "undo_not_newest": _(
        "You have entered something else since. Undo that first, or reverse this one on the stock card, with a reason."
    ),
    "undo_day_closed": _("The day has been closed with this entry. Reverse it on the stock card, with a reason."),
    # Public boards.
    "board_not_found": _("There is no such board."),
    "board_items_missing": _("Choose at least one item to show."),
    "board_item_unknown": _("Choose only items that are in use."),
    "board_changed": _("Somebody has changed the board meanwhile. Open the page again, then change it."),
    # Accounts and second factors
    "passphrase_too_short": _(
        "The password needs at least %(limit)s characters. A sentence does well; spaces are welcome."
    ),
    "passphrase_too_long": _("The password has more than %(limit)s characters."),
    "passphrase_common": _(
        "Many people would choose this password, or it is quickly guessed. Take several words that do not belong"
        " together."
    ),
    "passphrase_known": _("Who knows you guesses this password: it is made of your name, your address or your office."),
    "passphrase_wrong": _("This is not your password."),
    "code_wrong": _("This code does not work: it is mistyped, too old, or used already. Take the one shown now."),
    "factor_tries_many": _(
        "Too many wrong codes. Try again in %(minutes)s minutes; a passkey or a recovery code works at once."
    ),
    "passphrase_tries_many": _("Too many wrong passwords. Try again in %(minutes)s minutes."),
    "passkey_wrong": _("This passkey was not accepted. Try again, or take another way."),
    "passkey_name": _("Give the passkey a name."),
    "passkey_known": _("You have this passkey already, or another one of that name."),
    "passkeys_many": _("You have %(most)s passkeys. Remove one first."),
    "last_factor": _("You must have a second factor, and this is the only one. Set up another one first."),
    "no_factor_yet": _("Recovery codes stand in for a second factor. Set one up first."),
    "own_factors": _("Your own second factors are under My account; another administrator can take them from you."),
    "own_password": _("Change your own password under My account."),
    "password_to_change": _("Somebody else knows your password. Change it first."),
    "own_account_only": _("Only a person has an account of their own."),
    "second_factor_needed": _("Your role needs a second factor. Set one up first, under My account."),
    "fresh_factor_needed": _("Confirm first that it is you: log in again, or open the form anew."),
    # Documents and settings by the API.
    "item_twice": _("“%(item)s” is named twice."),
    # Audit and the database's role
    "role_name": _("A role's name has small letters, digits and _ only, and begins with a letter."),
    "role_needs_postgresql": _("Only PostgreSQL has roles; an SQLite file belongs to whoever may write it."),
    # Backups, and putting them back.
    "backup_recipient": _("Recipient %(number)s is not a public key of age (age1…) or SSH."),
    "backup_identity": _("The key file holds no private key of age or SSH that can be read."),
    "backup_needs_key": _("The backup is encrypted: the file with the private key is needed."),
    "backup_wrong_key": _("The backup was encrypted to other keys than the one given."),
    "backup_exists": _("There is a file called %(file)s already. It was left alone."),
    "backup_folder": _("There is no folder %(folder)s to put the file into."),
    "backup_failed": _("The backup failed (%(why)s), and no file was left."),
    "backup_program": _("The program %(program)s is not installed: it comes with PostgreSQL's client."),
    "backup_not_migrated": _("These are not the tables of this program: there is nothing to back up."),
    "backup_unreadable": _("This is no backup of this program, or its beginning is damaged."),
    "backup_damaged": _("The backup is damaged or was cut off: it is not what was written."),
    "backup_format": _("The backup is of format %(found)s, and this program reads up to %(known)s."),
    "backup_other_kind": _("The backup is of %(found)s and does not go into %(wanted)s."),
    "backup_newer": _("The backup is of version %(version)s, at revision %(revision)s: this program does not know it."),
    "restore_not_empty": _("The database is not empty. Nothing was changed: a backup goes into an empty one only."),
    "restore_leftover": _("There is a file %(file)s left of another database: move it away first."),
    "restore_failed": _("The backup could not be put back (%(why)s), and nothing of it was left."),
    # What the API refuses, and the accounts of machines.
    "request_unreadable": _("This request cannot be read."),
    "nothing_here": _("There is nothing at this address."),
    "method_not_offered": _("This address does not take that kind of request."),
    "form_not_offered": _("There is no answer in the form that was asked for."),
    "request_too_large": _("What was sent is too large. Nothing was recorded."),
    "json_expected": _("Send JSON, with the content type application/json."),
    "too_many_requests": _("Too many requests: wait a moment, and try again. Nothing was recorded."),
    "went_wrong": _("Something went wrong here. Send it again with the same key: nothing is recorded twice."),
    "not_now": _("This cannot be done just now. Try again in a moment."),
    "field_missing": _("This must be given."),
    "field_null": _("This must not be null."),
    "field_unknown": _("There is no such field."),
    "field_type": _("This is not of the right kind."),
    "field_choice": _("This is not one of the words that it can be."),
    "field_wrong": _("This cannot be right."),
    "input_wrong": _("What was sent cannot be right: see the fields. Nothing was recorded."),
    "parameter_twice": _("This parameter was given more than once."),
    "json_too_deep": _("The JSON is nested deeper than %(limit)s levels."),
    "json_malformed": _("This is no JSON: look for a name that is there twice, for NaN, or for a broken character."),
    "log_in_or_token": _("Log in, or show the token of a service account."),
    "token_not_good": _("This token is unknown, expired or revoked."),
    "csrf_token_wrong": _("With a log-in, send the X-CSRFToken that the session tells. Nothing was recorded."),
    "not_for_machines": _("This is for people only."),
    "scope_missing": _("The account lacks the scope for this: %(scope)s."),
    "scope_unknown": _("There is no scope %(scope)s."),
    "scopes_missing": _("Choose at least one scope."),
    "token_lasts": _("A token lasts at most %(days)s days, and ends in the future."),
    "service_account_not_found": _("There is no such service account, or none that you manage."),
    "service_account_closed": _("This service account is closed."),
    "token_made_before": _("This token has been made, and was shown then. If it was lost, revoke it and make another."),
    "token_not_found": _("There is no such token."),
    "idempotency_key_missing": _(
        "Send an Idempotency-Key: new for each thing to record, the same when it is sent again."
    ),
    "idempotency_key_format": _(
        "An Idempotency-Key has 1 to 255 printable ASCII characters, with no space around them."
    ),
    "idempotency_key_reused": _(
        "Another request came under this key. Nothing was recorded: send this one with a key of its own."
    ),
    "request_in_flight": _("The request with this key is being worked on. Send it again in a moment."),
    "cursor_wrong": _("This is not a cursor of this list. Begin without one."),
    "version_missing": _("Say in If-Match which version you saw."),
    "version_stale": _("This was changed meanwhile. Nothing was recorded: look again, then change it."),
    "day_format": _("Give a day of the calendar such as 2024-05-15."),
    "day_out_of_reach": _("This day lies outside of all that is recorded here."),
    "instant_format": _("Give a moment with its offset, such as 2024-05-15T11:00:00+08:00."),
    "item_code_format": _("An item's code has letters, digits, dots and hyphens, such as ktp-wni."),
    "number_out_of_range": _("Give a number from %(least)s to %(most)s."),
    "reason_twice": _("A reason stands there twice. Nothing was recorded: add its quantities up."),
    # what gates refuse
    "sent_from_elsewhere": _("This was sent from another site. Nothing was recorded."),
    # Logging in.
    "log_in_locked": _(
        "There were too many tries. Wait %(minutes)s minutes, or log in on a device from which you have logged in"
        " before, or with a passkey, or ask an administrator."
    ),
    "session_not_found": _("There is no such session of yours."),
    "sign_on_stale": _(
        "This log-in began in another browser, or too long ago. Go back to the log-in page and begin again."
    ),
    "sign_on_refused": _("The provider of the single sign-on did not let you in, or its answer cannot be trusted."),
    "sign_on_unverified": _(
        "The provider of the single sign-on has not verified your e-mail address. Log in with your password, or let the"
        " address be verified there."
    ),
    "sign_on_unknown": _(
        "There is no account here for you that may be used this way. Log in with your password, or ask an"
        " administrator."
    ),
    "sign_on_away": _(
        "The provider of the single sign-on does not answer. Try again in a while, or log in with your password."
    ),
    # what others read by the API
    "cursor_ahead": _(
        "The books here are older than what you have read: a backup was put back. Begin again without “after”, and"
        " compare."
    ),
}


def init_app(app: Flask) -> None:
    Babel(
        app,
        default_translation_directories=TRANSLATIONS,
        default_locale=app.config["SETTINGS"].LANGUAGE,
        locale_selector=language,
        timezone_selector=lambda: None,
    )
    _find_texts_quickly(app)
    app.extensions["per_language"] = {}
    app.extensions["sentence"] = sentence  # for the log-in, which stands beside this module and not above it
    filters = {"number": number, "day": day, "month": month, "decimals": decimals, "percent": percent}
    app.jinja_env.filters.update({name: _at_run_time(filter) for name, filter in filters.items()})
    app.jinja_env.globals.update(
        language=language,
        LANGUAGES=LANGUAGES,
        KINDS=KINDS,
        REASONS=REASONS,
        FIGURES=FIGURES,
        LEVELS=LEVELS,
        SUBJECTS=SUBJECTS,
        JOBS=JOBS,
        CASE_STATES=CASE_STATES,
        CASE_EVENTS=CASE_EVENTS,
        CASE_ENDS=CASE_ENDS,
        ROLES=ROLES,
        OFFICE_KINDS=OFFICE_KINDS,
        DOCUMENT_KINDS=DOCUMENT_KINDS,
        DOCUMENT_FIGURES=DOCUMENT_FIGURES,
        ACCOUNTS=ACCOUNTS,
        FUNDING_SOURCES=FUNDING_SOURCES,
        ANOMALIES=ANOMALIES,
        PURPOSES=PURPOSES,
        TRANSFER_STATUSES=TRANSFER_STATUSES,
        PROPOSAL_KINDS=PROPOSAL_KINDS,
        PROPOSAL_STATUSES=PROPOSAL_STATUSES,
        METHODS=METHODS,
        SHIFTS=SHIFTS,
        REQUEST_STATUSES=REQUEST_STATUSES,
        ALLOTMENT_MODES=ALLOTMENT_MODES,
        DRAFT_STATUSES=DRAFT_STATUSES,
        REQUEST_STEPS=REQUEST_STEPS,
        STOCKTAKE_STATUSES=STOCKTAKE_STATUSES,
        COUNT_REASONS=COUNT_REASONS,
        CLOSING_KINDS=CLOSING_KINDS,
        OUTREACH_STATUSES=OUTREACH_STATUSES,
        EVENT_KINDS=EVENT_KINDS,
        SEASONS=SEASONS,
        PLAN_STEPS=PLAN_STEPS,
        WEEKDAYS=WEEKDAYS,
        MEASURES=MEASURES,
        EQUIPMENT=EQUIPMENT,
        IMPORT_KINDS=IMPORT_KINDS,
        IMPORT_STATUSES=IMPORT_STATUSES,
        in_language=in_language,
        group_separator=group_separator,
    )
    app.extensions["sentence"] = sentence


def _find_texts_quickly(app: Flask) -> None:
    """Have templates look a text up in the catalogue of the locale at once. A page has a hundred of them, and on the
    library's own way each asks the request six times what it is about."""
    catalogues: dict[Any, Any] = {}

    def catalogue() -> Any:
        locale = get_locale()
        found = catalogues.get(locale)
        if found is None:
            found = catalogues[locale] = get_translations()
        return found

    env: Any = app.jinja_env
    env.install_gettext_callables(
        lambda text: catalogue().ugettext(text),
        lambda one, many, number: catalogue().ungettext(one, many, number),
        newstyle=True,
    )
    env.globals["_"] = env.globals["gettext"]


def once_a_language(make: Callable[[], T]) -> Callable[[], T]:
    """What depends on nothing but the reader's language is made once for each."""

    @wraps(make)
    def made() -> T:
        known: dict[Any, Any] = current_app.extensions["per_language"]
        key = make, get_locale()
        if key not in known:
            known[key] = make()
        return known[key]

    return made


def _at_run_time(filter: Callable[..., str]) -> Callable[..., str]:
    """A filter that depends on the reader. Jinja works the filters of constants out once, when a page is compiled: in
    the language of whoever happens to come first. One that asks for the context is worked out for each reader."""

    @pass_context
    @wraps(filter)
    def filtered(_context: Any, *values: Any, **options: Any) -> str:
        return filter(*values, **options)

    return filtered


def language() -> str:
    """The reader's language: asked for with the request, chosen in this session, kept with the account, or the
    installation's."""
    if has_request_context():
        chosen = g.get("language") or session.get("language") or getattr(current_user, "language", None)
        if chosen in LANGUAGES:
            return chosen
    return current_app.config["SETTINGS"].LANGUAGE


def known_language() -> str:
    """The reader's language as far as the request itself says it: for when the database cannot be asked."""
    known = (g.get("language"), session.get("language"), session.get(OF_ACCOUNT))
    return next((each for each in known if each in LANGUAGES), current_app.config["SETTINGS"].LANGUAGE)


def in_language(texts: Mapping[str, str]) -> str:
    """Of texts kept per language (an item's names), the reader's."""
    return texts[language()]


def number(value: int | float) -> str:
    """A whole number, grouped as the reader's language does: 1.639 or 1,639."""
    return _decimal(value, "#,##0")


def decimals(value: float, places: int = 1) -> str:
    return _decimal(value, "#,##0." + "0" * places)


def _decimal(value: int | float, format: str) -> str:
    return _written_number(str(get_locale()), value, type(value), format)


@lru_cache(maxsize=20_000)
def _written_number(_locale: str, value: int | float, _kind: type, format: str) -> str:
    """In the reader's language, which is `_locale`. A table has hundreds of numbers, many of them small ones that all
    tables have."""
    return format_decimal(value, format=format)


def percent(share: float) -> str:
    """A share as a percentage, with a decimal only where there is one: 95 %, 99.5 %."""
    return format_decimal(share * 100, format="#,##0.#") + " %"


def day(value: date, format: str = "long") -> str:
    """A calendar day in words. It is an office's own day, so no time zone touches it."""
    if isinstance(value, datetime):
        raise TypeError("a day, not an instant")
    return _written_day(str(get_locale()), value, format)


@lru_cache(maxsize=5_000)
def _written_day(_locale: str, value: date, format: str) -> str:
    return format_date(value, format=format)


def month(first: date) -> str:
    """A calendar month in words: May 2024."""
    return format_date(first, format="MMMM y")


def group_separator() -> str:
    return get_group_symbol(get_locale() or Locale("id"))


def quantity_from(text: str, limit: int = MAX_QUANTITY) -> int:
    """The whole number that a reader of this language wrote. Raises Invalid, see `parse_quantity`."""
    return parse_quantity(text, group_separator(), limit)


def sentence(refusal: Refusal) -> str:
    """The refusal in the reader's language."""
    return sentence_for(refusal.code, refusal.facts)


def sentence_for(code: str, facts: Mapping[str, object]) -> str:
    shown = {name: _shown(name, value) for name, value in facts.items()}
    shown.setdefault("example", number(1639))
    return str(REFUSALS[code]) % shown


def contradiction(code: str, facts: Mapping[str, object]) -> str:
    """What is wrong with reported figures, in the reader's language."""
    return str(CONTRADICTIONS[code]) % {name: _shown(name, value) for name, value in facts.items()}


def _shown(name: str, value: object) -> str:
    if name == "measure":
        return str(MEASURES.get(str(value), value))
    if name == "figure":
        return str(FIGURES[str(value)])
    if name == "reason":
        return str(REASONS.get(str(value), value))
    if name in ("kind", "parent") and value in OFFICE_KINDS:
        return str(OFFICE_KINDS[str(value)])
    if isinstance(value, date):
        return day(value)
    if isinstance(value, int | float):
        return number(value)
    return str(value)
