"""What a browser keeps, and what travels compressed."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest
from flask import Flask

from tests.web.client import log_in
from tests.world import DENPASAR

STATIC = Path(__file__).resolve().parents[2] / "inventory" / "static"
CSS = re.compile(r"/static/blangko\.css\?v=[0-9a-f]{12}")


@pytest.fixture
def small_app(make_app: Callable[..., Flask]) -> Flask:
    return make_app("sqlite:///:memory:")


def test_the_address_of_a_file_names_its_content(small_app: Flask, tmp_path: Path) -> None:
    client = small_app.test_client()
    address = CSS.search(client.get("/login").text)
    assert address
    kept = client.get(address[0])
    assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    copy = tmp_path / "static"
    copy.mkdir()
    (copy / "blangko.css").write_text("a {}")
    small_app.static_folder = str(copy)
    changed = CSS.search(client.get("/login").text)
    assert changed
    assert changed[0] != address[0]


@pytest.mark.parametrize("query", ["", "?v=", "?v=000000000000"])
def test_an_address_that_names_other_content_is_not_kept(small_app: Flask, query: str) -> None:
    answer = small_app.test_client().get(f"/static/blangko.css{query}")
    assert answer.status_code == 200
    assert "immutable" not in answer.headers["Cache-Control"]


@pytest.mark.parametrize(("asked", "unpacked"), [("br", brotli.decompress), ("gzip", gzip.decompress)])
def test_files_travel_compressed(small_app: Flask, asked: str, unpacked: Callable[[bytes], bytes]) -> None:
    answer = small_app.test_client().get("/static/vendor/pico/pico.min.css", headers={"Accept-Encoding": f"{asked}, x"})
    assert answer.headers["Content-Encoding"] == asked
    assert "Accept-Encoding" in answer.headers["Vary"]
    whole = (STATIC / "vendor/pico/pico.min.css").read_bytes()
    assert len(answer.data) < len(whole) / 4
    assert unpacked(answer.data) == whole


def test_a_page_travels_compressed_and_plain_to_who_cannot(app: Flask) -> None:
    client = app.test_client()
    log_in(client, "storekeeper")
    packed = client.get(f"/offices/{DENPASAR}", headers={"Accept-Encoding": "br"})
    plain = client.get(f"/offices/{DENPASAR}", headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "br"
    assert "Content-Encoding" not in plain.headers
    assert b"Denpasar" in plain.data
    assert b"Denpasar" in brotli.decompress(packed.data)
    assert packed.headers["Cache-Control"] == "no-store"


def test_the_page_of_an_error_is_kept_by_nobody(app: Flask) -> None:
    client = app.test_client()
    log_in(client, "storekeeper")
    missing = client.get("/static/nothing.js")
    assert missing.status_code == 404
    assert "Storekeeper" in missing.text, "it names its reader"
    assert missing.headers["Cache-Control"] == "no-store"
