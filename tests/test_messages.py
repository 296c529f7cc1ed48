"""What messages say: every subject and level in both languages, whole, and with nothing of the other language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask_babel import force_locale

from inventory import text
from inventory.domain.alerts import Level, Subject
from inventory.domain.notices import LINES, ChannelKind, MessageKind, channel_of
from inventory.message_words import told
from inventory.messages import Dispatcher
from inventory.services.messages import Line, Outgoing
from tests.conftest import NOW
from tests.world import World

in_both = pytest.mark.parametrize("language", ["id", "en"])
DAYS = {"since": "2024-05-03", "oldest_on": "2024-04-01", "days_late": 12}
FACTS: dict[str, dict[str, Any]] = {
    # Denpasar's 1,639 blanks: the figure of inventory/data/reported.csv.
    "low_stock": {"store": 1639, "inbound": 500, "stockout_on": "2024-06-03", "suggested_order": 2500},
    "overdue_transfer": DAYS | {"quantity": 1500, "transfers": [31]},
    "spoiled_not_destroyed": DAYS | {"quantity": 42},
    "day_not_closed": DAYS | {"days": 12},
    "day_difference": DAYS | {"quantity": 3},
    "count_difference": DAYS | {"quantity": 1250, "difference": -1250, "stocktake": 88},
    "consumable_first": {"since": "2024-05-03", "days_late": 0, "blank": "ktp-wni", "blank_on": "2024-06-21"},
    "model_worse": {"since": "2024-05-03", "days_late": 0, "windows": 26, "error": 0.412, "average_error": 0.305},
    "job_not_run": {"since": "2024-05-03", "days_late": 12, "jobs": ["daily seal", "backtest"], "late": ["backtest"]}
    | {"attempts": 0, "clock_was_ahead": False, "good_on": "2024-04-30"},
}
"""What the alert of each subject carries: `services.custody`, `services.watchers` and the projection."""
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "low_stock": [{"inbound": 0, "suggested_order": 0}, {"store": 1, "inbound": 1, "suggested_order": 0}],
    "overdue_transfer": [{"quantity": 1, "days_late": 1}],
    "spoiled_not_destroyed": [{"quantity": 1, "days_late": 1}],
    "day_not_closed": [{"days": 1, "days_late": 1}],
    "day_difference": [{"quantity": 1, "days_late": 1}],
    "count_difference": [{"difference": 1250}, {"quantity": 1, "difference": -1, "days_late": 1}],
    "consumable_first": [{"blank_on": None}],
    "model_worse": [{"windows": 1, "error": None, "average_error": None}],
    "job_not_run": [
        {"late": [], "attempts": 1, "days_late": 0},
        {"late": [], "attempts": 3, "days_late": 0, "good_on": None},
        {"late": [], "clock_was_ahead": True, "days_late": 0},
    ],
}
"""Other facts that the same subjects have: one of a thing, or none, and the other way round."""
OF_ITEMS = {"low_stock": "ktp-wni", "overdue_transfer": "ktp-wni", "spoiled_not_destroyed": "ktp-wni"} | {
    "count_difference": "ktp-wni",
    "consumable_first": "ribbon",
    "model_worse": "ktp-wni",
}
# What of the facts a reader needs: quantities, shares and days, as each language writes them.
TOLD: dict[str, dict[str, tuple[str, ...]]] = {
    "low_stock": {"en": ("1,639", "500", "June 3, 2024", "2,500"), "id": ("1.639", "500", "3 Juni 2024", "2.500")},
    "overdue_transfer": {
        "en": ("1,500 cards", "May 3, 2024", "12 days"),
        "id": ("1.500 keping", "3 Mei 2024", "12 hari"),
    },
    "spoiled_not_destroyed": {
        "en": ("42 cards", "April 1, 2024", "May 3, 2024", "12 days"),
        "id": ("42 keping", "1 April 2024", "3 Mei 2024", "12 hari"),
    },
    "day_not_closed": {"en": ("12 working days", "May 3, 2024"), "id": ("12 hari", "3 Mei 2024")},
    "day_difference": {"en": ("3 differences", "May 3, 2024", "12 days"), "id": ("3 selisih", "3 Mei 2024", "12 hari")},
    "count_difference": {
        "en": ("1,250 cards fewer", "May 3, 2024", "12 days", "no. 88"),
        "id": ("1.250 keping lebih sedikit", "3 Mei 2024", "12 hari", "no. 88"),
    },
    "consumable_first": {
        "en": ("Ribbon", "May 3, 2024", "Citizen card blank", "June 21, 2024"),
        "id": ("Ribbon", "3 Mei 2024", "Blangko KTP-el WNI", "21 Juni 2024"),
    },
    "model_worse": {
        "en": ("26 trials", "May 3, 2024", "41.2 %", "30.5 %"),
        "id": ("26 uji", "3 Mei 2024", "41,2 %", "30,5 %"),
    },
    "job_not_run": {
        "en": ("Daily seal, Backtest of the projection", "May 3, 2024", "12 days", "April 30, 2024"),
        "id": ("Segel harian, ", "3 Mei 2024", "12 hari", "30 April 2024"),
    },
}
LEVELS = [level for level in Level if level is not Level.OK]
WORDS = {
    "en": ("the", "store", "Ask", "Before", "Likely", "closed", "Low", "Critical", "Nobody", "alerts"),
    "id": ("gudang", "Sisa", "Mintalah", "Sebelumnya", "Kritis", "Menipis", "Habis", "kantor", "peringatan"),
}
"""Words that only one of the languages has."""


@pytest.fixture
def dispatcher(world: World) -> Iterator[Dispatcher]:
    settings = replace(world.app.config["SETTINGS"], PUBLIC_URL="https://blangko.example")
    made = Dispatcher(settings, "kunci", lambda: NOW)
    yield made
    made.close()


def line(subject: Subject, before: Level, to: Level, **facts: Any) -> Line:
    return Line(
        alert_id=7,
        office_code="51.71",
        office_name="Kota Denpasar",
        item_code=OF_ITEMS.get(subject.value),
        subject=subject.value,
        from_level=before.value,
        to_level=to.value,
        facts=FACTS[subject.value] | facts,
    )


def outgoing(*lines: Line, kind: MessageKind = MessageKind.CHANGE, total: int = 0, **values: Any) -> Outgoing:
    counts: dict[str, int] = {}
    for each in lines:
        counts[each.to_level] = counts.get(each.to_level, 0) + 1
    return Outgoing(
        id=1,
        key="k" * 32,
        attempts=1,
        kind=kind,
        created_at=NOW,
        channel_id=3,
        channel=ChannelKind.EMAIL,
        target="kepala@denpasar.test",
        secret=None,
        language=None,
        name="Kadek",
        time_zone="Asia/Makassar",
        region_code="51",
        region_name="Bali",
        total=total or len(lines),
        counts=counts,
        lines=lines[:LINES],
        facts=values.get("facts", {}),
    )


def said(dispatcher: Dispatcher, language: str, message: Outgoing) -> tuple[str, str]:
    with force_locale(language):
        return dispatcher.said(message)


def check_language(words: str, language: str) -> None:
    other = WORDS["id" if language == "en" else "en"]
    found = set(words.replace(".", " ").replace(":", " ").replace(",", " ").split())
    assert found.isdisjoint(other), (language, found & set(other))
    assert "%(" not in words
    assert "None" not in words


@in_both
@pytest.mark.parametrize("subject", list(Subject))
@pytest.mark.parametrize("to", list(Level))
def test_every_change_is_told_whole_in_both_languages(
    dispatcher: Dispatcher, language: str, subject: Subject, to: Level
) -> None:
    for before in Level:
        if before is not to or before is not Level.OK:
            subject_line, body = said(dispatcher, language, outgoing(line(subject, before, to)))
            check_language(f"{subject_line}\n{body}", language)
            assert "Kota Denpasar" in subject_line
            assert "https://blangko.example/alerts/7" in body
            assert len(subject_line) < 140


@in_both
@pytest.mark.parametrize("subject", list(Subject))
def test_every_subject_says_its_numbers_and_what_to_do(dispatcher: Dispatcher, language: str, subject: Subject) -> None:
    for before, to in ((Level.OK, Level.WATCH), (Level.WATCH, Level.CRITICAL)):
        change = line(subject, before, to)
        for message in (outgoing(change), outgoing(change, change, kind=MessageKind.ESCALATION, facts={"hours": 4})):
            _, body = said(dispatcher, language, message)
            missing = [each for each in TOLD[subject.value][language] if each not in body]
            assert not missing, (missing, body)


@in_both
@pytest.mark.parametrize("subject", list(Subject))
@pytest.mark.parametrize("to", list(Level))
def test_no_message_is_only_its_headline(dispatcher: Dispatcher, language: str, subject: Subject, to: Level) -> None:
    for facts in ({}, *VARIANTS[subject.value]):
        with force_locale(language):
            found, to_do = told(line(subject, Level.LOW, to, **facts), dispatcher.items)
        assert found or to is Level.OK, "a change says what there is"
        assert len([*found, *to_do]) >= 2, "and what to do, or what was before"
        for sentence in (*found, *to_do):
            check_language(sentence, language)
            assert sentence.endswith(".")
            assert sentence[0].isupper() or sentence[0].isdigit()
            assert not re.search(r"\b1 (cards|days|times|trials|differences|working days)\b|\b0 ", sentence), sentence


@in_both
@pytest.mark.parametrize("subject", list(Subject))
def test_a_change_without_its_facts_is_told_all_the_same(
    dispatcher: Dispatcher, language: str, subject: Subject
) -> None:
    """What cannot be written would be tried for days."""
    bare = replace(line(subject, Level.OK, Level.CRITICAL), facts={})
    with force_locale(language):
        found, to_do = told(bare, dispatcher.items)
    assert [*found, *to_do]


@in_both
def test_a_low_stock_says_where_what_how_many_until_when_and_what_to_do(dispatcher: Dispatcher, language: str) -> None:
    critical = line(Subject.LOW_STOCK, Level.LOW, Level.CRITICAL)
    subject, body = said(dispatcher, language, outgoing(critical))
    wanted = {
        "en": (
            "Blangko: Critical: Kota Denpasar, Citizen card blank",
            "Critical: Kota Denpasar, Citizen card blank\n"
            "Left in the store: 1,639 cards.\n"
            "Coming: 500 cards.\n"
            "Likely to last until June 3, 2024.\n"
            "Ask for 2,500 cards now.\n"
            "Before: Low.\n"
            "\n"
            "https://blangko.example/alerts/7\n",
        ),
        "id": (
            "Blangko: Kritis: Kota Denpasar, Blangko KTP-el WNI",
            "Kritis: Kota Denpasar, Blangko KTP-el WNI\n"
            "Sisa di gudang: 1.639 keping.\n"
            "Akan datang: 500 keping.\n"
            "Diperkirakan cukup sampai 3 Juni 2024.\n"
            "Mintalah 2.500 keping sekarang.\n"
            "Sebelumnya: Menipis.\n"
            "\n"
            "https://blangko.example/alerts/7\n",
        ),
    }[language]
    assert subject == wanted[0]
    assert body.startswith(wanted[1])


@in_both
def test_an_empty_store_names_no_day_until_which_it_lasts(dispatcher: Dispatcher, language: str) -> None:
    _, body = said(dispatcher, language, outgoing(line(Subject.LOW_STOCK, Level.CRITICAL, Level.OUT, store=0)))
    assert "2024" not in body
    assert "2.500" in body or "2,500" in body


@in_both
def test_a_digest_counts_by_level_names_the_worst_and_says_how_many_more(dispatcher: Dispatcher, language: str) -> None:
    lines = [line(Subject.LOW_STOCK, Level.OK, LEVELS[number % len(LEVELS)]) for number in range(30)]
    subject, body = said(dispatcher, language, outgoing(*lines, total=12_000))
    check_language(f"{subject}\n{body}", language)
    with force_locale(language):
        assert str(text.LEVELS["critical"]) in body
    assert body.count("• ") == LINES
    assert ("11,980" if language == "en" else "11.980") in body
    assert ("12,000" if language == "en" else "12.000") in subject
    assert len(body.splitlines()) < 130


@in_both
@pytest.mark.parametrize("number", [1, 5])
def test_an_escalation_says_that_nobody_answered(dispatcher: Dispatcher, language: str, number: int) -> None:
    lines = [line(Subject.LOW_STOCK, Level.OK, Level.LOW)] * number
    message = outgoing(*lines, kind=MessageKind.ESCALATION, facts={"hours": 4})
    subject, body = said(dispatcher, language, message)
    check_language(f"{subject}\n{body}", language)
    wanted = {"en": "Nobody has acknowledged this for 4 working hours.", "id": "Belum ada yang menanggapi selama 4 jam"}
    assert wanted[language] in body
    assert "Bali" in subject


@in_both
def test_every_message_ends_with_a_way_out(dispatcher: Dispatcher, language: str) -> None:
    for message in (outgoing(kind=MessageKind.TEST), outgoing(line(Subject.LOW_STOCK, Level.OK, Level.LOW))):
        subject, body = said(dispatcher, language, message)
        check_language(f"{subject}\n{body}", language)
        link = next(word for word in body.split() if "/messages/unsubscribe/" in word)
        assert channel_of("kunci", link.rpartition("/")[2]) == 3
        assert "Kadek" in body


@in_both
def test_without_a_public_address_there_are_no_links(dispatcher: Dispatcher, language: str) -> None:
    dispatcher.settings = replace(dispatcher.settings, PUBLIC_URL="")
    _, body = said(dispatcher, language, outgoing(line(Subject.LOW_STOCK, Level.OK, Level.LOW)))
    assert "/" not in body
    assert dispatcher.unsubscribe_link(outgoing()) is None


def test_a_broken_word_of_a_name_makes_no_header_of_its_own(dispatcher: Dispatcher) -> None:
    odd = replace(line(Subject.LOW_STOCK, Level.OK, Level.LOW), office_name="Kota\r\nBcc: x@y.test")
    subject, _ = said(dispatcher, "en", outgoing(odd))
    from tests.notices import SENDER, MailServer

    with MailServer() as server:
        from inventory.adapters.notifications import Mailer

        mailer = Mailer(server.url, SENDER)
        mailer.send("a@kantor.test", subject, "Isi", {})
        mailer.close()
    assert server.mails[0]["Bcc"] is None
    assert "Kota Bcc: x@y.test" in server.mails[0]["Subject"]
