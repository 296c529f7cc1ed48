"""Passkeys in a real browser, with an authenticator that the browser plays itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from inventory.db import db
from inventory.models import Passkey
from tests.conftest import NOW
from tests.web.factors import at
from tests.web.serving import serving
from tests.web.test_browser import NARROW, Reader

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]


class Phone(Reader):
    """A browser with a device that knows its owner's finger."""

    def __init__(self, browser: Any, address: str) -> None:
        # A passkey belongs to a name; a number such as 127.0.0.1 is none.
        super().__init__(browser, address.replace("127.0.0.1", "localhost"), NARROW)
        self.cdp = self.context.new_cdp_session(self.page)
        self.cdp.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        self.id = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    def keys(self) -> list[dict[str, Any]]:
        return self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.id})["credentials"]

    def knows_its_owner(self, knows: bool) -> None:
        self.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": knows})

    def enrol(self, name: str) -> None:
        self.page.goto("/account/passkeys")
        self.page.fill("input[name=name]", name)
        self.page.click("[data-passkey-go]")
        self.page.wait_for_url("**/account/passkeys")
        self.page.wait_for_selector("main ul code")

    def log_out(self) -> None:
        self.page.wait_for_load_state("networkidle")  # what a page asks for by itself does not come after its session
        self.page.click("[data-log-out] button")
        self.page.wait_for_url("**/login")

    def log_in_alone(self, next_page: str = "") -> None:
        self.page.goto("/login" + (f"?next={next_page}" if next_page else ""))
        self.page.click("[data-passkey-go]")


@pytest.fixture
def phone(chromium: Any, app: Flask) -> Iterator[Phone]:
    at(app, NOW)
    with serving(app) as address, Phone(chromium, address) as phone:
        yield phone


def count_of(app: Flask) -> int:
    with app.app_context():
        return db.session.scalars(select(Passkey.sign_count)).one()


def test_a_passkey_from_its_first_day_to_its_last(app: Flask, phone: Phone) -> None:
    page = phone.page
    phone.log_in("storekeeper")
    phone.enrol("ponsel")
    [key] = phone.keys()
    assert key["isResidentCredential"]
    assert key["rpId"] == "localhost"

    # Alone, it is both factors.
    phone.log_out()
    counted = count_of(app)
    phone.log_in_alone("/account")
    page.wait_for_url(re.compile(r"^[^?]*/account$"))
    assert "ponsel" in page.inner_text("main")
    assert count_of(app) > counted

    # After the password, it is the second.
    phone.log_out()
    page.fill("input[name=email]", "gudang@denpasar.test")
    page.fill("input[name=password]", "kata sandi untuk uji")
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/login/second-factor*")
    page.click("[data-passkey-go]")
    page.wait_for_selector("footer")

    # It is removed: the device still has it, and it lets nobody in.
    page.goto("/account")
    page.click("form[action*='/remove'] button")
    page.wait_for_selector(".flash.good")
    phone.log_out()
    phone.log_in_alone()
    page.wait_for_selector(".flash")
    assert page.url.endswith("/login")
    assert not page.query_selector("footer")
    assert phone.wrong == []


def test_a_device_that_does_not_know_its_owner_is_no_way_in_alone(app: Flask, phone: Phone) -> None:
    phone.log_in("storekeeper")
    phone.enrol("ponsel")
    phone.log_out()
    phone.knows_its_owner(False)
    phone.log_in_alone()
    phone.page.wait_for_selector("[data-passkey-failed]:visible")
    assert not phone.page.query_selector("footer")


def test_what_was_typed_goes_on_once_the_passkey_has_confirmed(app: Flask, phone: Phone) -> None:
    """Through the browser's own repetition of the form: nothing is typed twice."""
    page = phone.page
    phone.log_in("administrator")
    phone.enrol("kunci biru")
    page.goto("/people/new")
    for name, value in (("full_name", "Ni Luh Sari"), ("email", "sari@denpasar.test"), ("office", "51.71")):
        page.fill(f"input[name={name}]", value)
    page.fill("input[name=password]", "sepeda biru di loteng")
    later = NOW.replace(minute=NOW.minute + 30)
    at(app, later)
    page.click("main form button")
    page.wait_for_selector("input[name=confirm-next]", state="attached")
    page.click("[data-passkey-go]")
    page.wait_for_url("**/people")
    assert "sari@denpasar.test" in page.inner_text("table")
