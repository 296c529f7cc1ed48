"""Outreach plans, day caps and clearing through their pages, on both databases."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.services import caps, clearing, outreach
from tests.conftest import TODAY
from tests.services.test_outreach import TEAM, team_of
from tests.web.client import fields, in_language, log_in, send
from tests.world import BLANK, DENPASAR, World

LIST = f"/offices/{DENPASAR}/outreach"
NEW, SETTINGS = f"{LIST}/new", f"/offices/{DENPASAR}/settings"
CAPS, CLEARING = f"/offices/{DENPASAR}/day-caps", f"/offices/{DENPASAR}/clearing"
DIGITAL = f"/offices/{DENPASAR}/digital-identities"
SATURDAY = TODAY + timedelta(days=3)
TYPED: dict[str, str | list[str]] = {
    "day": str(SATURDAY),
    "place": "SMA Negeri 1",
    f"expected-{BLANK}": "1,200",
    "starts": "08:00",
    "ends": "12:30",
    "team": "dua petugas",
    "note": "bawa genset",
}
CAP: dict[str, str | list[str]] = {
    "cap_item": BLANK,
    "most_a_day": "80",
    "cap_first": str(TODAY),
    "cap_note": "menipis",
}
RATE: dict[str, str | list[str]] = {"cleared_item": BLANK, "cleared_per_day": "40", "cleared_source": "rapat"}


def client_of(app: Flask, name: str, language: str = "en") -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    in_language(client, language)
    return client


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return client_of(app, "storekeeper")


@pytest.fixture
def administrator(app: Flask) -> FlaskClient:
    return client_of(app, "administrator")


def planned(client: FlaskClient, **typed: Any) -> str:
    answer = send(client, NEW, {**TYPED, **typed})
    assert answer.status_code == 303, answer.text
    return str(answer.location)


def words(page: str) -> str:
    """The text of a page's main part, in one line."""
    main = page.partition("<main")[2].partition("</main>")[0]
    return " ".join(re.sub("<[^>]+>", " ", main).split())


def test_an_outreach_is_planned_shown_and_called_off(client: FlaskClient) -> None:
    page = planned(client)
    shown = words(client.get(page).text)
    for said in ("SMA Negeri 1", "Saturday, May 18, 2024", "08:00–12:30", "dua petugas", "1,200", "bawa genset"):
        assert said in shown
    assert "The office's calendar says closed" not in shown
    assert "1,200 × Citizen card blank" in words(client.get(LIST).text)
    assert "Nothing is planned in this month" in client.get(f"{LIST}?month=2024-06").text
    refused = send(client, f"{page}/call-off", {"why": " "})
    assert refused.status_code == 422
    assert send(client, f"{page}/call-off", {"why": "hujan deras"}).status_code == 303
    shown = words(client.get(page).text)
    assert "Called off" in shown
    assert "hujan deras" in shown
    assert f'href="{page}/change"' not in client.get(page).text
    assert "can no longer be changed" in client.get(f"{page}/change").text


@pytest.mark.parametrize("language", ["en", "id"])
def test_the_pages_are_in_the_readers_language(app: Flask, language: str) -> None:
    client = client_of(app, "storekeeper", language)
    quantity = "1,200" if language == "en" else "1.200"
    page = planned(client, **{f"expected-{BLANK}": quantity})
    assert send(client, LIST, CAP, action=CAPS).status_code == 303
    assert send(client, LIST, RATE, action=CLEARING).status_code == 303
    said = words(client.get(LIST).text)
    there = {
        "en": ("Outreach in May 2024", "Planned", "Ramadan 2025", "until further notice", "learnt from history"),
        "id": ("Jemput bola Mei 2024", "Direncanakan", "Ramadan 2025", "sampai ada pemberitahuan", "dari riwayat"),
    }
    for text in (*there[language], quantity):
        assert text in said, text
    for text in there["id" if language == "en" else "en"][:2]:
        assert text not in said
    shown = client.get(page).text
    assert quantity in words(shown)
    assert f'href="/offices/{DENPASAR}/projection/{BLANK}"' in shown, "the way to what the plan changes"
    assert f'<a href="{LIST}">' in shown, "and back to all plans"


@pytest.mark.parametrize(
    ("typed", "status", "field"),
    [
        ({"day": str(TODAY - timedelta(days=1))}, 422, "day"),
        ({"day": ""}, 422, "day"),
        ({"place": " "}, 422, "place"),
        ({"ends": ""}, 422, "ends"),
        ({"ends": "07:00"}, 422, "ends"),
        ({"starts": "25:00"}, 422, "starts"),
        ({f"expected-{BLANK}": "2.5"}, 422, f"expected-{BLANK}"),
        ({f"expected-{BLANK}": ""}, 422, ""),
        ({f"expected-{BLANK}": "10,000,001"}, 422, f"expected-{BLANK}"),
    ],
)
def test_a_refused_plan_keeps_what_was_typed(
    app: Flask, client: FlaskClient, typed: dict[str, str], status: int, field: str
) -> None:
    answer = send(client, NEW, {**TYPED, **typed})
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert not field or f'id="{field}-error"' in answer.text
    kept = fields(answer.text)
    for name, value in {**TYPED, **typed}.items():
        assert kept[name] == [value.strip() if isinstance(value, str) else value], name
    assert "Nothing is planned" in client.get(LIST).text


def test_a_plan_sent_twice_is_one(client: FlaskClient) -> None:
    form: dict[str, Any] = {**fields(client.get(NEW).text), **TYPED}
    first, second = (client.post(NEW, data=form) for _ in range(2))
    assert (first.status_code, second.status_code, first.location) == (303, 303, second.location)
    assert client.post(NEW, data=form | {"place": "SMP 2"}).status_code == 409


def test_of_two_who_have_the_plan_open_the_second_sees_what_the_first_did(client: FlaskClient) -> None:
    page = planned(client)
    offered = fields(client.get(f"{page}/change").text)
    assert offered["place"] == ["SMA Negeri 1"]
    assert (offered["starts"], offered["ends"], offered[f"expected-{BLANK}"]) == (["08:00"], ["12:30"], ["1,200"])
    assert offered["team"] == ["dua petugas"]
    assert client.post(f"{page}/change", data=offered | {"place": ["SMP 2"]}).status_code == 303
    again: dict[str, Any] = offered | {"place": ["SD 5"], "request_id": ["6f1f4b0e-96f7-4d3c-8a53-0f4c4b1d7a10"]}
    refused = client.post(f"{page}/change", data=again)
    assert refused.status_code == 409
    assert "Somebody has changed this plan meanwhile" in refused.text
    kept = fields(refused.text)
    assert (kept["place"], kept["seen"]) == (["SD 5"], ["2"])
    assert client.post(f"{page}/change", data=kept).status_code == 303
    assert "SD 5" in client.get(page).text


def test_an_outreach_that_was_held_says_what_it_printed(app: Flask, client: FlaskClient) -> None:
    page = planned(client, day=str(TODAY), **{"expected-kia": "30"})
    assert send(client, f"{page}/held", {f"actual-{BLANK}": "1,187"}).status_code == 422
    answer = send(client, f"{page}/held", {f"actual-{BLANK}": "1,187", "actual-kia": "0"})
    assert answer.status_code == 303
    shown = client.get(page).text
    assert "Held" in words(shown)
    assert '<td class="number">1,187</td>' in shown
    early = planned(client)
    assert f'href="{early}/held"' not in client.get(early).text
    assert send(client, f"{early}/held", {}).status_code == 422


def test_a_team_of_its_own_is_offered_where_there_is_one(app: Flask, client: FlaskClient) -> None:
    assert 'name="team_code"' not in client.get(NEW).text
    with app.app_context():
        team_of(World(app))
        db.session.remove()
    assert f'value="{TEAM}"' in client.get(NEW).text
    assert "Jemput bola, dua petugas" in client.get(planned(client, team_code=TEAM)).text
    assert send(client, NEW, {**TYPED, "team_code": "51.03"}).status_code == 422


def test_a_closed_day_refuses_a_plan_in_words(client: FlaskClient, administrator: FlaskClient) -> None:
    closed = {"day": str(TODAY + timedelta(days=1)), "open": "0", "reason": "Pindah kantor"}
    assert send(administrator, SETTINGS, closed, action=f"/offices/{DENPASAR}/calendar").status_code == 303
    answer = send(client, NEW, {**TYPED, "day": closed["day"]})
    assert answer.status_code == 409
    assert "The office is closed on May 16, 2024 (Pindah kantor)" in answer.text


@pytest.mark.parametrize("month", ["0001-01", "9998-12", "x", "2024-13", "2024-5", ""])
def test_a_month_that_cannot_be_is_this_one(client: FlaskClient, month: str) -> None:
    answer = client.get(LIST, query_string={"month": month})
    assert answer.status_code == 200
    assert "Outreach in May 2024" in answer.text


def test_a_cap_is_noted_ended_and_taken_back(app: Flask, client: FlaskClient) -> None:
    assert send(client, LIST, CAP, action=CAPS).status_code == 303
    listed = client.get(LIST).text
    assert "until further notice" in listed
    assert "menipis" in listed
    cap = re.search(r'href="(/day-caps/\d+)"', listed)
    assert cap
    assert send(client, cap[1], {"last_day": str(TODAY - timedelta(days=1))}).status_code == 422
    form = fields(client.get(cap[1]).text)
    last = TODAY + timedelta(days=9)
    assert client.post(cap[1], data=form | {"last_day": [str(last)]}).status_code == 303
    assert "May 24, 2024" in client.get(LIST).text
    stale = client.post(f"{cap[1]}/withdraw", data={"seen": "1", "csrf_token": form["csrf_token"], "request_id": "x"})
    assert stale.status_code == 422
    assert send(client, cap[1], {}, action=f"{cap[1]}/withdraw").status_code == 303
    assert "withdrawn" in client.get(LIST).text
    assert "it never counted" in client.get(cap[1]).text
    with app.app_context():
        assert caps.counting(TODAY, TODAY) == []
        db.session.remove()


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"most_a_day": ""}, "most_a_day"),
        ({"most_a_day": "0"}, "most_a_day"),
        ({"cap_last": str(TODAY - timedelta(days=1))}, "cap_last"),
        ({"cap_first": str(TODAY + timedelta(days=400))}, "cap_first"),
    ],
)
def test_a_refused_cap_keeps_what_was_typed(client: FlaskClient, typed: dict[str, str], field: str) -> None:
    answer = send(client, LIST, {**CAP, **typed}, action=CAPS)
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert '<details class="terms" open>' in answer.text
    kept = fields(answer.text)
    for name, value in {**CAP, **typed}.items():
        assert kept[name] == [value]


def test_a_rate_and_a_share_are_noted_with_their_source(
    app: Flask, client: FlaskClient, administrator: FlaskClient
) -> None:
    assert send(client, LIST, {**RATE, "cleared_source": ""}, action=CLEARING).status_code == 422
    assert send(client, LIST, RATE, action=CLEARING).status_code == 303
    assert (
        send(client, LIST, {**RATE, "cleared_per_day": "", "cleared_source": "ditunda"}, action=CLEARING).status_code
        == 303
    )
    listed = words(client.get(LIST).text)
    assert "not planned ditunda" in listed
    assert "Nothing is taken off the usual demand" in listed
    wrong = send(administrator, SETTINGS, {"share": "95", "share_source": "target"}, action=DIGITAL)
    assert wrong.status_code == 422
    assert fields(wrong.text)["share"] == ["95"]
    assert (
        send(administrator, SETTINGS, {"share": "2,5", "share_source": "target IKD"}, action=DIGITAL).status_code == 303
    )
    assert "2.5 % target IKD Administrator" in words(administrator.get(SETTINGS).text)
    assert "2.5 % target IKD Administrator" in words(client.get(LIST).text)
    with app.app_context():
        assert [(row.share, row.source) for row in clearing.all_digital()] == [(0.025, "target IKD")]
        db.session.remove()


def test_who_only_looks_is_offered_nothing_to_change(app: Flask, client: FlaskClient) -> None:
    page = planned(client)
    send(client, LIST, CAP, action=CAPS)
    regional = client_of(app, "regional")
    for path in (LIST, page):
        shown = regional.get(path).text.partition("<main")[2].partition("</main>")[0]
        assert "<form" not in shown
        assert "/day-caps/" not in shown
        assert f'href="{page}/' not in shown
    stranger = client_of(app, "other_storekeeper")
    assert stranger.get(page).status_code == 403
    assert stranger.get(LIST).status_code == 403
    assert client.get("/outreach/999").status_code == 404
    assert client.get("/day-caps/999").status_code == 404
    with app.app_context():
        assert outreach.get(SYSTEM, int(page.rpartition("/")[2])).plan.version == 1
        db.session.remove()
