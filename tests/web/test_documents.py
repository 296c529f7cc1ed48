"""Documents through their pages, on both databases: issued, printed, scanned from the paper and found genuine."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pypdfium2 as pdfium
import pytest
import zxingcpp
from flask import Flask
from flask.testing import FlaskClient

from inventory.db import db
from inventory.services import documents
from tests.conftest import NOW, TODAY
from tests.web.client import csrf_token, in_language, log_in
from tests.world import BLANK, DENPASAR, World

HOME = f"/offices/{DENPASAR}"


def client_of(app: Flask, name: str = "storekeeper") -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    in_language(client, "en")
    return client


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    with app.app_context():
        world = World(app)
        world.deliver(NOW, TODAY, 1_639, bast="470/1/2024")
        world.send(NOW, TODAY, 40)
        db.session.remove()
    return client_of(app)


def press(client: FlaskClient, page: str, action: str) -> Any:
    """Press the button on `page` that sends a form to `action`, with what the form holds."""
    found = re.search(rf'<form method="post" action="{re.escape(action)}".*?</form>', client.get(page).text, re.DOTALL)
    assert found, f"no form to {action} on {page}"
    values = dict(re.findall(r'name="([\w-]+)" value="([^"]*)"', found[0]))
    return client.post(action, data=values)


def pdf_of(client: FlaskClient, answer: Any) -> Any:
    assert answer.status_code == 303, answer.text
    return client.get(answer.location)


def words_of(data: bytes) -> str:
    document = pdfium.PdfDocument(data)
    return " ".join(" ".join(page.get_textpage().get_text_bounded().split()) for page in document)


def link_on(data: bytes) -> str:
    """What a scanner reads off the printed page."""
    image = pdfium.PdfDocument(data)[0].render(scale=2).to_pil()
    [code] = zxingcpp.read_barcodes(image)
    return code.text


@pytest.mark.parametrize(
    ("page", "action", "said"),
    [
        (f"{HOME}/deliveries/1", "/deliveries/1/document", "Citizen card blank cards 1,639 0"),
        ("/transfers/1", "/transfers/1/document", "Citizen card blank cards 40 – – –"),
        (f"{HOME}/stock-card/{BLANK}", f"{HOME}/stock-card/{BLANK}/document", "Total 1,639 40 1,599"),
    ],
)
def test_a_button_gives_the_paper_and_its_code_leads_back(
    app: Flask, client: FlaskClient, page: str, action: str, said: str
) -> None:
    paper = pdf_of(client, press(client, page, action))
    assert (paper.status_code, paper.mimetype) == (200, "application/pdf")
    assert paper.headers["Cache-Control"] == "no-store"
    name = re.fullmatch(
        r'attachment; filename="([a-z-]+)-00001-51\.71-2024-en\.pdf"', paper.headers["Content-Disposition"]
    )
    assert name
    assert said in words_of(paper.data)
    link = link_on(paper.data)
    assert link in words_of(paper.data)
    base, _, path = link.partition("/d/")
    assert base == "http://localhost"
    anybody = app.test_client()
    found = anybody.get(f"/d/{path}")
    assert found.status_code == 200
    for word in ("00001/51.71/2024", "Kota Denpasar (51.71)"):
        assert word in found.text
    assert "asli" in found.text or "genuine" in found.text
    # Printed again, by whom and whenever: the same bytes. In the other language: the same document.
    assert pdf_of(client, press(client, page, action)).data == paper.data
    document_page = re.sub(r"\?.*", "", press(client, page, action).location)
    indonesian = client.get(f"{document_page}?language=id")
    assert link_on(indonesian.data) == link
    assert "Halaman 1 dari 1" in words_of(indonesian.data)


def test_the_public_page_shows_the_figures_and_no_name(app: Flask, client: FlaskClient) -> None:
    paper = pdf_of(client, press(client, f"{HOME}/deliveries/1", "/deliveries/1/document"))
    anybody = app.test_client()
    found = anybody.get("/d/" + link_on(paper.data).rpartition("/")[2]).text
    assert "1.639" in found
    assert "Berita acara serah terima" in found
    with app.app_context():
        names = [World(app).actor(name).name for name in ("storekeeper", "manager")]
        digest = documents.of_office(World(app).storekeeper, DENPASAR)[0][0].digest
        db.session.remove()
    assert digest in re.sub(r"\s", "", found)
    assert not any(name in found for name in names)
    assert "Ditjen Dukcapil" not in found


@pytest.mark.parametrize("token", ["x", "A" * 32, "%00", "..%2f..", "é" * 32, "x" * 5_000])
def test_a_link_that_leads_nowhere_is_not_found(app: Flask, client: FlaskClient, token: str) -> None:
    press(client, f"{HOME}/deliveries/1", "/deliveries/1/document")
    assert app.test_client().get(f"/d/{token}").status_code == 404


def test_the_public_address_stands_on_the_paper(
    app: Flask, client: FlaskClient, make_app: Any, database_url: str
) -> None:
    outside = make_app(database_url, CLOCK=lambda: NOW, PUBLIC_URL="https://blangko.example.go.id/")
    reader = client_of(outside)
    paper = pdf_of(reader, press(reader, "/transfers/1", "/transfers/1/document"))
    assert link_on(paper.data).startswith("https://blangko.example.go.id/d/")
    # The address that was printed stays, whoever prints it again from where.
    assert pdf_of(client, press(client, "/transfers/1", "/transfers/1/document")).data == paper.data


def test_the_list_leads_to_every_document_in_both_languages(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "PAGE", 2)
    assert "No documents have been issued yet" in client.get(f"{HOME}/documents").text
    press(client, f"{HOME}/deliveries/1", "/deliveries/1/document")
    press(client, "/transfers/1", "/transfers/1/document")
    press(client, f"{HOME}/stock-card/{BLANK}", f"{HOME}/stock-card/{BLANK}/document")
    first = client.get(f"{HOME}/documents").text
    assert re.findall(r"0000\d/51\.71/2024</th>", first) == ["00003/51.71/2024</th>", "00002/51.71/2024</th>"]
    for address in re.findall(r'href="(/documents/[^"]+)"', first):
        assert client.get(address).mimetype == "application/pdf"
    [older] = re.findall(r'href="([^"]+)" rel="next"', first)
    assert "00001/51.71/2024" in client.get(older).text
    for odd in ("0", "-1", "99", "x", "1e3", "٣", "9" * 30):
        assert client.get(f"{HOME}/documents?page={odd}").status_code == 200


def test_a_document_of_another_office_is_not_found(app: Flask, client: FlaskClient) -> None:
    address = press(client, f"{HOME}/deliveries/1", "/deliveries/1/document").location
    stranger = client_of(app, "other_storekeeper")
    assert stranger.get(address).status_code == 404
    token = csrf_token(stranger, "/account")
    assert stranger.post("/deliveries/1/document", data={"csrf_token": token}).status_code == 404
    assert client.get(re.sub(r"\d+\.pdf", "99.pdf", address)).status_code == 404


def test_nothing_is_issued_without_the_forms_token(client: FlaskClient) -> None:
    assert client.post("/deliveries/1/document").status_code == 400
    assert "No documents have been issued yet" in client.get(f"{HOME}/documents").text


def test_a_card_of_nonsense_days_is_refused(client: FlaskClient) -> None:
    token = csrf_token(client, "/account")
    action = f"{HOME}/stock-card/{BLANK}/document"
    late = str(TODAY + timedelta(days=1))
    for days, status in (
        ({"from": "soon"}, 400),
        ({"from": late, "to": str(TODAY)}, 422),
        ({"from": "1999-01-01"}, 422),
    ):
        assert client.post(action, data={"csrf_token": token, **days}).status_code == status
    assert "No documents have been issued yet" in client.get(f"{HOME}/documents").text
