"""Transfers through their pages, on both databases: sent from Denpasar, counted in Badung, accounted for at both."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.ledger import Effect
from inventory.services import balances
from tests.conftest import NOW, TODAY
from tests.web.client import csrf_token, fields, in_language, log_in, send
from tests.world import BADUNG, BLANK, DENPASAR, World

LIST, OTHER_LIST = f"/offices/{DENPASAR}/transfers", f"/offices/{BADUNG}/transfers"
NEW = f"{LIST}/new"
TYPED: dict[str, str | list[str]] = {
    "receiver": BADUNG,
    "expected_on": str(TODAY + timedelta(days=1)),
    "custodian": "I Made Kurir",
    "bast_number": "470/12/2024",
    f"sent-{BLANK}": "1,040",
    "note": "two boxes",
}


def client_of(app: Flask, name: str) -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    in_language(client, "en")
    return client


@pytest.fixture
def sender(app: Flask) -> FlaskClient:
    with app.app_context():
        World(app).deliver(NOW, TODAY, 2000)
        db.session.remove()
    return client_of(app, "storekeeper")


@pytest.fixture
def receiver(app: Flask) -> FlaskClient:
    return client_of(app, "other_storekeeper")


def figures(app: Flask, office: str) -> Effect:
    with app.app_context():
        found = [each.figures for each in balances.of_office(SYSTEM, office) if each.item_code == BLANK]
        db.session.remove()
    return found[0] if found else Effect()


def sent(sender: FlaskClient, **typed: Any) -> str:
    """The page of a transfer that is on its way."""
    answer = send(sender, NEW, {**TYPED, **typed})
    assert answer.status_code == 303, answer.text
    return str(answer.location)


def count(client: FlaskClient, page: str, good: str, damaged: str = "") -> Any:
    return send(client, f"{page}/receive", {f"good-{BLANK}": good, f"damaged-{BLANK}": damaged})


def test_what_is_sent_is_counted_and_every_card_accounted_for(
    app: Flask, sender: FlaskClient, receiver: FlaskClient
) -> None:
    page = sent(sender)
    assert "The blanks are on their way." in sender.get(page).text
    assert figures(app, DENPASAR) == Effect(received=2000, store=960, transit=1040)
    assert "On the way" in receiver.get(OTHER_LIST).text
    assert "from Kota Denpasar" in receiver.get(OTHER_LIST).text
    assert f'href="{page}/receive"' in receiver.get(page).text
    assert f'href="{page}/receive"' not in sender.get(page).text

    shown = count(receiver, page, "1,035", "2")
    assert shown.status_code == 422
    assert "Short: <b>3</b>" in shown.text
    assert "3 are short" in shown.text
    assert figures(app, BADUNG) == Effect()
    assert receiver.post(f"{page}/receive", data=fields(shown.text)).status_code == 303

    assert figures(app, DENPASAR) == Effect(received=2000, sent=1037, store=960, missing=3)
    assert figures(app, BADUNG) == Effect(received=1037, store=1035, spoiled=2)
    closed = receiver.get(page).text
    for number in ("1,040", "1,035", "2", "3"):
        assert f'<td class="number">{number}</td>' in closed
    assert f'href="{page}/receive"' not in closed
    assert "On the way" not in sender.get(LIST).text


def test_a_count_without_a_shortage_is_recorded_at_once(app: Flask, sender: FlaskClient, receiver: FlaskClient) -> None:
    assert count(receiver, sent(sender), "1,038", "2").status_code == 303
    assert figures(app, BADUNG) == Effect(received=1040, store=1038, spoiled=2)


def test_a_shortage_that_changes_is_shown_again(app: Flask, sender: FlaskClient, receiver: FlaskClient) -> None:
    page = sent(sender)
    shown = fields(count(receiver, page, "1,030").text)
    again = receiver.post(f"{page}/receive", data=shown | {f"good-{BLANK}": ["1,031"]})
    assert again.status_code == 422
    assert "Short: <b>9</b>" in again.text
    assert figures(app, BADUNG) == Effect()


def test_what_came_beyond_what_was_sent_is_shown_before_it_is_recorded(
    app: Flask, sender: FlaskClient, receiver: FlaskClient
) -> None:
    page = sent(sender)
    answer = count(receiver, page, "1,040", "1")
    assert answer.status_code == 422
    assert "0 are short, 1 more came than were sent" in answer.text
    assert "Over: <b>1</b>" in answer.text
    assert figures(app, BADUNG) == Effect()
    assert receiver.post(f"{page}/receive", data=fields(answer.text)).status_code == 303
    assert figures(app, BADUNG) == Effect(received=1041, store=1040, spoiled=1)


@pytest.mark.parametrize(
    ("good", "damaged", "said"),
    [
        ("", "", "Enter a number."),
        ("-1", "", "A quantity cannot be negative."),
    ],
)
def test_a_count_that_cannot_be_is_shown_again(
    app: Flask, sender: FlaskClient, receiver: FlaskClient, good: str, damaged: str, said: str
) -> None:
    answer = count(receiver, sent(sender), good, damaged)
    assert answer.status_code == 422
    assert said in answer.text
    assert f'id="good-{BLANK}-error"' in answer.text
    kept = fields(answer.text)
    assert (kept[f"good-{BLANK}"], kept[f"damaged-{BLANK}"]) == ([good], [damaged])
    assert figures(app, BADUNG) == Effect()


def test_a_transfer_is_received_once(app: Flask, sender: FlaskClient, receiver: FlaskClient) -> None:
    page = sent(sender)
    form = fields(receiver.get(f"{page}/receive").text) | {f"good-{BLANK}": ["1,040"]}
    for _attempt in range(2):
        answer = receiver.post(f"{page}/receive", data=form)
        assert (answer.status_code, answer.location) == (303, page)
    other: dict[str, Any] = form | {"request_id": ["6f1f4b0e-96f7-4d3c-8a53-0f4c4b1d7a10"]}
    refused = receiver.post(f"{page}/receive", data=other)
    assert refused.status_code == 409
    assert "This transfer is closed already" in refused.text
    assert "can no longer be changed" in receiver.get(f"{page}/receive").text
    assert figures(app, BADUNG) == Effect(received=1040, store=1040)


@pytest.mark.parametrize(
    ("typed", "status", "field"),
    [
        ({f"sent-{BLANK}": "2,001"}, 409, f"sent-{BLANK}"),
        ({f"sent-{BLANK}": "2.5"}, 422, f"sent-{BLANK}"),
        ({"receiver": "99.99"}, 404, "receiver"),
        ({"receiver": DENPASAR}, 422, "receiver"),
        ({"expected_on": str(TODAY - timedelta(days=1))}, 422, "expected_on"),
        ({"dispatched_on": str(TODAY + timedelta(days=1))}, 422, "dispatched_on"),
        ({"purpose": "loan"}, 422, "due_on"),
        ({"purpose": "gift"}, 422, "purpose"),
        ({"custodian": " "}, 422, "custodian"),
        ({f"sent-{BLANK}": ""}, 422, ""),
    ],
)
def test_a_refused_dispatch_keeps_what_was_typed(
    app: Flask, sender: FlaskClient, typed: dict[str, str], status: int, field: str
) -> None:
    answer = send(sender, NEW, {**TYPED, **typed})
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert not field or f'id="{field}-error"' in answer.text
    kept = fields(answer.text)
    for name, value in {**TYPED, **typed}.items():
        assert kept[name] == [value.strip() if isinstance(value, str) else value] or value == "gift"
    assert figures(app, DENPASAR) == Effect(received=2000, store=2000)


def test_a_dispatch_sent_twice_is_one_transfer(app: Flask, sender: FlaskClient) -> None:
    form: dict[str, Any] = {**fields(sender.get(NEW).text), **TYPED}
    first, second = (sender.post(NEW, data=form) for _attempt in range(2))
    assert (first.status_code, second.status_code) == (303, 303)
    assert first.location == second.location
    assert figures(app, DENPASAR) == Effect(received=2000, store=960, transit=1040)
    assert sender.post(NEW, data=form | {"custodian": "Ni Luh Kurir"}).status_code == 409


def test_a_cancelled_transfer_says_why(app: Flask, sender: FlaskClient) -> None:
    page = sent(sender)
    refused = send(sender, f"{page}/cancel", {"why": " "})
    assert refused.status_code == 422
    assert send(sender, f"{page}/cancel", {"why": "the road is flooded"}).status_code == 303
    shown = sender.get(page).text
    assert "two boxes · the road is flooded" in shown
    assert "Cancelled" in shown
    assert f'href="{page}/cancel"' not in shown
    assert figures(app, DENPASAR) == Effect(received=2000, store=2000)


def test_each_end_acts_for_itself_and_strangers_see_nothing(
    app: Flask, sender: FlaskClient, receiver: FlaskClient
) -> None:
    page = sent(sender)
    data = {"csrf_token": csrf_token(sender, NEW)}
    assert sender.get(f"{page}/receive").status_code == 403
    assert sender.post(f"{page}/receive", data=data).status_code == 403
    assert receiver.get(f"{page}/cancel").status_code == 403
    assert receiver.get(LIST).status_code == 403
    assert receiver.get(NEW).status_code == 403
    administrator = client_of(app, "administrator")
    assert administrator.get(page).status_code == 403
    assert administrator.get(LIST).status_code == 403
    assert sender.get("/transfers/999").status_code == 404
    assert sender.get(f"/transfers/{10**30}").status_code == 404


def test_a_transfer_between_others_is_not_found(app: Flask, sender: FlaskClient) -> None:
    page = sent(sender, receiver="16.09")
    viewer = client_of(app, "viewer")
    for path in (page, f"{page}/receive"):
        assert viewer.get(path).status_code in (403, 404)
    assert viewer.get(page).status_code == 404


def test_a_late_transfer_is_marked_in_words(app: Flask, sender: FlaskClient) -> None:
    page = sent(sender)
    assert "Overdue" not in sender.get(LIST).text
    app.config["CLOCK"] = lambda: NOW + timedelta(days=2)
    sender = client_of(app, "storekeeper")
    assert "Overdue" in sender.get(LIST).text
    assert "Overdue" in sender.get(page).text


def test_a_loan_is_owed_until_it_is_given_back(app: Flask, sender: FlaskClient, receiver: FlaskClient) -> None:
    page = sent(sender, purpose="loan", due_on=str(TODAY + timedelta(days=30)))
    assert "Loans not yet given back" not in receiver.get(OTHER_LIST).text
    assert count(receiver, page, "1,040").status_code == 303
    for client, path in ((sender, LIST), (receiver, OTHER_LIST)):
        owed = client.get(path).text.partition("Loans not yet given back")[2]
        assert "1,040 × Citizen card blank" in owed
    give_back = f"{OTHER_LIST}/new?repays={page.rpartition('/')[2]}"
    assert f'href="{give_back}"' in receiver.get(OTHER_LIST).text
    assert "?repays=" not in sender.get(LIST).text

    offered = fields(receiver.get(give_back).text)
    assert (offered["receiver"], offered["purpose"], offered[f"sent-{BLANK}"]) == ([DENPASAR], ["return"], ["1,040"])
    typed = {name: value for name, value in TYPED.items() if name not in ("receiver", f"sent-{BLANK}")}
    returned = send(receiver, give_back, typed | {f"sent-{BLANK}": "1,000"})
    assert returned.status_code == 303, returned.text
    assert count(sender, str(returned.location), "1,000").status_code == 303
    assert "40 × Citizen card blank" in receiver.get(OTHER_LIST).text.partition("Loans not yet given back")[2]


def test_the_home_page_leads_to_the_transfers(sender: FlaskClient) -> None:
    home = sender.get(f"/offices/{DENPASAR}").text
    assert f'href="{LIST}"' in home
    assert f'href="{NEW}"' in home
