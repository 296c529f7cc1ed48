"""The pages of figures about alerts, on both databases."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask

from inventory.db import db
from inventory.services import alert_figures
from tests.conftest import TODAY
from tests.services.test_alert_figures import SINCE, UNTIL, alert, facts, history
from tests.web.client import in_language, log_in
from tests.world import BADUNG, DENPASAR

PAGE = f"/offices/{DENPASAR}/alert-figures"


def page(app: Flask, path: str, who: str = "regional", language: str = "en", status: int = 200) -> str:
    client = app.test_client()
    log_in(client, who)
    in_language(client, language)
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


def test_figures_are_told_by_region_and_month(app: Flask) -> None:
    with app.app_context():
        for office in (DENPASAR, BADUNG):
            history(office, 1)
            alert(office, [(SINCE, "low", facts(10)), (UNTIL - timedelta(days=9), "ok", facts(900))])
        db.session.remove()
    shown = page(app, f"/offices/51/alert-figures?from={SINCE}&to={UNTIL}")
    for said in ("By month", "By region", "Kota Denpasar", "Kabupaten Badung", "What the figures mean"):
        assert said in shown
    row = shown.partition(">Kota Denpasar</a></th>")[2].partition("</tr>")[0]
    cells = [cell.partition("</td>")[0] for cell in row.split('<td class="number">')[1:]]
    with app.app_context():
        from inventory.domain.access import SYSTEM
        from tests.conftest import NOW

        [own] = alert_figures.of_office(SYSTEM, NOW, DENPASAR, SINCE, UNTIL).regions
    total = own.total
    assert [cells[0], cells[1], cells[2], cells[3]] == [
        str(each) for each in (total.stock_outs, total.in_time, total.late, total.missed)
    ]
    assert [cells[6], cells[7], cells[9], cells[10]] == [
        str(each) for each in (total.needed, total.false, total.undecided, total.no_projection)
    ]
    assert f'href="{PAGE}?from={SINCE}&amp;to={UNTIL}"' in shown
    indonesian = page(app, f"/offices/51/alert-figures?from={SINCE}&to={UNTIL}", language="id")
    assert "Arti angka-angka ini" in indonesian


def test_the_page_begins_where_ones_reach_does(app: Flask) -> None:
    client = app.test_client()
    log_in(client, "manager")
    answer = client.get("/alert-figures")
    assert (answer.status_code, answer.location) == (302, PAGE)
    assert "No stock ran out" in page(app, PAGE, "manager")
    page(app, "/offices/51/alert-figures", "manager", status=403)


def test_what_cannot_be_asked_is_said(app: Flask, monkeypatch) -> None:
    backwards = page(app, f"{PAGE}?from={TODAY}&to={SINCE}", status=422)
    assert f'value="{SINCE}"' in backwards
    with app.app_context():
        history(DENPASAR, 1)
        db.session.remove()
    monkeypatch.setattr(alert_figures, "MOST_STOCKS", 0)
    many = page(app, "/offices/51/alert-figures", status=422)
    assert "choose an office further down" in many
    assert f'href="{PAGE}"' in many
