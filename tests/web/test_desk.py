"""The managers' desk and the page of a case: filters kept, many marked as seen at once, next steps that lead on."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.alerts import Subject
from inventory.domain.briefs import codes
from inventory.models import Alert
from inventory.services import alerts, reviews, stated_rates
from inventory.services.desk import PER_PAGE
from inventory.text import LANGUAGES
from inventory.web import briefs
from tests.conftest import NOW, TODAY
from tests.services.test_desk import _many_alerts, open_alert
from tests.services.test_run_out_calendar import on
from tests.web.client import csrf_token, fields, in_language, log_in
from tests.world import BADUNG, BLANK, DENPASAR, World


def client_of(app: Flask, name: str) -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    return client


def page_in(client: FlaskClient, language: str, path: str) -> Any:
    """A page in one of the languages; the client keeps to it."""
    in_language(client, language)
    return client.get(path)


@pytest.fixture
def manager(app: Flask) -> FlaskClient:
    return client_of(app, "manager")


def opened(app: Flask, *args: Any, **kwargs: Any) -> int:
    with app.app_context():
        return open_alert(*args, **kwargs)


def mark(client: FlaskClient, address: str = "/alerts/seen", **typed: Any) -> Any:
    typed = {"request_id": str(uuid4()), "csrf_token": csrf_token(client, "/alerts"), "which": "ticked"} | typed
    return client.post(address, data=typed)


def seen(app: Flask) -> set[int]:
    with app.app_context():
        return {each.id for each in alerts.open_alerts(SYSTEM) if each.acknowledged_at}


def links(page: str) -> list[str]:
    return [html.unescape(address) for address in re.findall(r'href="([^"]+)"', page)]


def test_the_list_says_what_where_when_and_whose(app: Flask, manager: FlaskClient) -> None:
    out = opened(app, DENPASAR, "out", runs_out=on(1), store=0, backlog=7)
    soon = opened(app, "51.71.01", "low", runs_out=on(4), **stock_facts(stockout_on=on(4).isoformat()))
    opened(app, BADUNG, "out", runs_out=on(1), store=0)
    page = page_in(manager, "en", "/alerts").text
    assert page.index(f'href="/alerts/{out}"') < page.index(f'href="/alerts/{soon}"')
    assert "The store is empty; requests that wait: 7." in page
    assert "2 things to decide, of which hurt already: 1." in page
    assert "Badung" not in page
    assert "May 19, 2024" in page


def test_filters_are_kept_in_the_links_of_a_list_in_pages(app: Flask, manager: FlaskClient) -> None:
    with app.app_context():
        _many_alerts(PER_PAGE + 3)
    page = manager.get(f"/alerts?office={DENPASAR}&level=low&owner=nobody").text
    [following] = [each for each in links(page) if "page=2" in each]
    assert all(part in following for part in (f"office={DENPASAR}", "level=low", "owner=nobody"))
    second = manager.get(following).text
    assert len(re.findall(r'name="alert"', second)) == 3
    [action] = re.findall(r'action="(/alerts/seen[^"]*)"', second)
    assert all(part in html.unescape(action) for part in ("page=2", f"office={DENPASAR}", "level=low"))


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ("office=99.99", 404, "99.99"),
        (f"office={BADUNG}", 403, "Your role does not allow this here."),
        ("office=a%00b", 404, "a b"),
        ("level=terrible", 422, "Not a valid choice"),
        ("item=nichts", 422, "Not a valid choice"),
        ("owner=everybody", 422, "Not a valid choice"),
        ("about=weather", 422, "Not a valid choice"),
    ],
)
def test_an_unknown_filter_is_said_and_not_taken_for_an_empty_list(
    app: Flask, manager: FlaskClient, query: str, status: int, sentence: str
) -> None:
    opened(app, DENPASAR, runs_out=on(3), **stock_facts())
    page_in(manager, "en", "/alerts")
    found = manager.get(f"/alerts?{query}")
    assert found.status_code == status
    assert sentence in found.text
    assert "Nothing" not in found.text.replace("Nothing was recorded", "")


def test_the_list_is_narrowed_to_one_person_and_carries_that_on(app: Flask, manager: FlaskClient) -> None:
    mine = opened(app, DENPASAR, runs_out=on(2))
    opened(app, "51.71.01", runs_out=on(3))
    foreign = opened(app, BADUNG, runs_out=on(3))
    with app.app_context():
        world = World(app)
        person_id = world.actor("manager").person_id
        other_id = world.actor("viewer").person_id
        db.session.execute(update(Alert).where(Alert.id == mine).values(owner_id=person_id))
        db.session.execute(update(Alert).where(Alert.id == foreign).values(owner_id=other_id))
        db.session.commit()
    page = page_in(manager, "en", f"/alerts?owner={person_id}").text
    assert f'href="/alerts/{mine}"' in page
    assert "1 thing to decide" in page
    assert re.search(rf'<option selected value="{person_id}">Manager</option>', page)
    assert f'value="{other_id}"' not in page, "nobody is named for what the reader may not see"
    [action] = re.findall(r'action="(/alerts/seen[^"]*)"', page)
    assert f"owner={person_id}" in action
    assert manager.get(f"/alerts?owner={other_id}").status_code == 422


def test_odd_pages_are_no_errors(manager: FlaskClient) -> None:
    for page in ("0", "-1", "x", "99999999999", "٣"):
        assert manager.get(f"/alerts?page={page}").status_code == 200


def test_an_empty_list_says_what_to_do(manager: FlaskClient) -> None:
    assert "Have a look at who runs out next" in page_in(manager, "en", "/alerts").text
    assert "Show everything" in manager.get("/alerts?level=low").text
    assert "Lihat siapa yang akan kehabisan" in page_in(manager, "id", "/alerts").text


def test_many_are_marked_as_seen_at_once_and_the_list_comes_back(app: Flask, manager: FlaskClient) -> None:
    first, second = opened(app, DENPASAR, runs_out=on(2)), opened(app, "51.71.01", runs_out=on(3))
    third = opened(app, "51.71.02", runs_out=on(4))
    answer = mark(manager, "/alerts/seen?level=low&page=1", alert=[first, second])
    assert answer.status_code == 303
    assert "level=low" in answer.headers["Location"]
    assert seen(app) == {first, second}
    page = manager.get("/alerts").text
    assert re.findall(r'name="alert" value="(\d+)"', page) == [str(third)]
    assert fields(page)["shown"] == [str(third)]
    assert mark(manager, which="page", shown=[third]).status_code == 303
    assert seen(app) == {first, second, third}


def test_a_form_that_names_more_than_a_thousand_marks_them_all(app: Flask, manager: FlaskClient) -> None:
    with app.app_context():
        _many_alerts(1_200)
        ids = [each.id for each in alerts.open_alerts(SYSTEM)]
    page_in(manager, "en", "/alerts")
    answer = mark(manager, which="page", shown=ids)
    assert answer.status_code == 303
    assert "1200 alerts are marked as seen." in manager.get("/alerts").text
    assert seen(app) == set(ids)


def test_the_same_form_sent_twice_does_it_once(app: Flask, manager: FlaskClient) -> None:
    alert = opened(app, DENPASAR, runs_out=on(2))
    once = str(uuid4())
    assert mark(manager, request_id=once, alert=[alert]).status_code == 303
    assert mark(manager, request_id=once, alert=[alert]).status_code == 303
    assert mark(manager, alert=[alert]).status_code == 409


def test_nothing_ticked_is_said(app: Flask, manager: FlaskClient) -> None:
    opened(app, DENPASAR, runs_out=on(2))
    page_in(manager, "en", "/alerts")
    answer = mark(manager)
    assert answer.status_code == 422
    assert "Choose at least one alert." in answer.text
    assert mark(manager, alert=["x", "-1"]).status_code == 422
    assert seen(app) == set()


def test_one_out_of_reach_spoils_all_of_them(app: Flask, manager: FlaskClient) -> None:
    mine, foreign = opened(app, DENPASAR, runs_out=on(2)), opened(app, BADUNG, runs_out=on(2))
    answer = mark(manager, alert=[mine, foreign])
    assert answer.status_code == 404
    assert seen(app) == set()
    assert f'value="{mine}" aria-label' in answer.text
    assert re.search(rf'value="{mine}"[^>]* checked', answer.text)


def test_who_only_looks_cannot_mark(app: Flask) -> None:
    alert = opened(app, DENPASAR, runs_out=on(2))
    for name in ("storekeeper", "regional"):
        client = client_of(app, name)
        page = client.get("/alerts").text
        assert f'href="/alerts/{alert}"' in page
        assert 'name="alert"' not in page
        answer = client.post("/alerts/seen", data={"csrf_token": csrf_token(client, "/alerts"), "alert": [alert]})
        assert answer.status_code == 403
    assert seen(app) == set()


def stock_facts(**changes: Any) -> dict[str, Any]:
    """What a review says of 60 cards that last a day and a half."""
    usual = {
        "on_day": TODAY.isoformat(),
        "store": 60,
        "usable": 60,
        "backlog": 0,
        "inbound": 0,
        "known": True,
        "level_per_day": 40.0,
        "cover_days": 1.5,
        "cover_capped": False,
        "lead_days": 14,
        "suggested_order": 1_000,
        "stockout_on": on(2).isoformat(),
    }
    return usual | changes


def reviewed(app: Flask) -> int:
    """Denpasar with 60 cards and a stated demand of 40 a day; the alert that the review opens."""
    with app.app_context():
        world = World(app)
        world.deliver(NOW, TODAY, 60)
        stated_rates.state(SYSTEM, NOW, DENPASAR, BLANK, 40, "rapat")
        reviews.review(SYSTEM, lambda: NOW, "test")
        found = [each.id for each in alerts.open_alerts(SYSTEM) if each.subject is Subject.LOW_STOCK]
        db.session.remove()
    return found[0]


def test_a_case_is_told_in_three_sentences_with_a_picture(app: Flask, manager: FlaskClient) -> None:
    page = page_in(manager, "en", f"/alerts/{reviewed(app)}").text
    [told] = re.findall(r'<section class="brief">.*?</section>', page, re.DOTALL)
    sentences = [html.unescape(each) for each in re.findall(r"<li>([^<]+)</li>", told)][:3]
    assert sentences[0].startswith("In the store: 60, enough for about 1.5 working days, until May ")
    assert sentences[1] == (
        "About 40.0 are used on a working day, a delivery takes 14 working days, and nothing is on its way."
    )
    assert re.match(r"Ask for [\d,]+ today; they would be there on June \d, 2024\.", sentences[2])
    assert '<svg viewBox="0 0 400 230" role="img"' in told


def test_the_next_steps_lead_to_forms_that_are_filled_in(app: Flask) -> None:
    alert = reviewed(app)
    with app.app_context():
        plan = World(app).plan_outreach(NOW, TODAY, 30)
        World(app).plan_outreach(NOW, TODAY + timedelta(days=30), 30)
    manager, storekeeper, viewer = (client_of(app, name) for name in ("manager", "storekeeper", "regional"))
    addresses = links(manager.get(f"/alerts/{alert}").text)
    [asking] = [each for each in addresses if "/requests/new" in each]
    quantity = re.findall(r"quantity=(\d+)", asking)[0]
    assert fields(manager.get(asking).text)[f"asked-{BLANK}"] == [in_dots(quantity)]
    [lending] = [each for each in addresses if "/allotment" in each]
    page = manager.get(lending)
    assert page.status_code == 200
    assert fields(page.text)["mode"] == ["loans"]
    assert f"/offices/{DENPASAR}/allotment" in lending
    assert [each for each in addresses if "/outreach/" in each] == [f"/outreach/{plan}/change"]
    assert manager.get(f"/outreach/{plan}/change").status_code == 200
    # A storekeeper asks, but lends nothing out of other stores; who only looks is offered nothing.
    own = links(storekeeper.get(f"/alerts/{alert}").text)
    assert any("/requests/new" in each for each in own)
    assert not any("/allotment" in each for each in own)
    assert not any(
        "/requests/new" in each or "/allotment" in each for each in links(viewer.get(f"/alerts/{alert}").text)
    )


def in_dots(quantity: str) -> str:
    """As the form of an Indonesian reader shows it."""
    return f"{int(quantity):,}".replace(",", ".")


@pytest.mark.parametrize(
    "query", ["item=ktp-wni&quantity=x", "item=ktp-wni&quantity=99999999999", "item=nichts&quantity=5"]
)
def test_an_odd_address_leaves_the_request_form_as_it_is(app: Flask, manager: FlaskClient, query: str) -> None:
    page = manager.get(f"/offices/{DENPASAR}/requests/new?{query}")
    assert page.status_code == 200
    assert fields(page.text)[f"asked-{BLANK}"] == [""]


@pytest.mark.parametrize("subject", [each for each in Subject if each is not Subject.LOW_STOCK])
def test_every_other_case_has_its_three_sentences_in_both_languages(
    app: Flask, manager: FlaskClient, subject: Subject
) -> None:
    facts = {"quantity": 3, "days": 3, "since": on(-4).isoformat(), "oldest_on": on(-9).isoformat(), "days_late": 4}
    facts |= {"difference": -3, "stocktake": 1, "blank": BLANK, "windows": 12, "transfers": []}
    facts |= {"jobs": ["low-stock review"], "late": False, "attempts": 3, "good_on": on(-2).isoformat()}
    item = BLANK if subject in (Subject.CONSUMABLE_FIRST, Subject.MODEL_WORSE) else None
    alert = opened(app, DENPASAR, "watch", item=item, subject=subject.value, **facts)
    for language in LANGUAGES:
        page = page_in(manager, language, f"/alerts/{alert}").text
        [told] = re.findall(r'<section class="brief">.*?</section>', page, re.DOTALL)
        assert len(re.findall(r"<li>[^<]+</li>", told)) == 3
        assert page_in(manager, language, "/alerts").status_code == 200


def test_every_sentence_has_words_and_no_words_are_left_over() -> None:
    assert set(briefs.WORDS) == set(codes())
