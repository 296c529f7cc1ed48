"""What an entry of the audit may hold, and how it is sealed."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.audit import (
    COMMON,
    FACTS,
    FACTS_LENGTH,
    MASK,
    SEALED,
    Event,
    canonical,
    digest,
    faults_of,
    masked,
    one_line,
    read_facts,
    write_facts,
)

ENTRY = {
    "id": 7,
    "at": datetime(2024, 5, 15, 3, 0, tzinfo=UTC),
    "event": "exported",
    "person_id": 2,
    "actor_name": "Ni Luh Sari",
    "about_id": None,
    "way": "page",
    "address": "10.1.2.3",
    "request_id": "abc",
    "office_id": 4,
    "subject": "movements",
    "facts": '{"rows":12}',
}
NIK = "5171014507850001"
SECRETS = [
    "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "blk_4f9d2c7ab1e84f0e9d2c7ab1e84f0e9d",
    "0123456789abcdef" * 4,
]


def test_every_event_says_which_facts_it_may_carry() -> None:
    assert set(FACTS) == set(Event)
    assert all(not faults_of(event, dict.fromkeys(FACTS[event] | COMMON, 1)) for event in Event)


@pytest.mark.parametrize("name", ["password", "new_passphrase", "api_token", "csrf_token", "cookie", "totp", "code"])
def test_a_fact_that_sounds_like_a_secret_is_refused_and_never_written(name: str) -> None:
    assert faults_of(Event.LOGGED_IN, {name: 1})
    assert write_facts(Event.LOGGED_IN, {name: "hunter2"}) == "{}"


def test_a_fact_that_an_event_may_not_carry_is_left_out() -> None:
    assert faults_of(Event.LOGGED_OUT, {"rows": 3}) == ["logged_out may not carry rows"]
    assert write_facts(Event.LOGGED_OUT, {"rows": 3}) == "{}"


@pytest.mark.parametrize("value", [NIK, f"kartu {NIK} hilang", *SECRETS])
def test_what_looks_like_a_secret_or_a_residents_number_is_masked(value: str) -> None:
    assert faults_of(Event.EXPORTED, {"reason": value}) == ["reason looks like a secret"]
    assert faults_of(Event.EXPORTED, {"reason": [value]}) == ["reason looks like a secret"]
    written = write_facts(Event.EXPORTED, {"reason": value, "table": [value]})
    assert MASK in written
    assert not any(part in written for part in value.split() if len(part) > 12)


@pytest.mark.parametrize(
    "value",
    [
        "BAST/470.1/2024",
        "A100001-A100500",
        "2024-05-15",
        "gudang@denpasar.test",
        "3f2b8e0a-7d41-4f2c-9b0e-2f6f3c1d9a77",
        "10 dus @ 2.000",
        "Direktorat-Jenderal-Kependudukan-dan-Pencatatan-Sipil",
    ],
)
def test_what_people_know_things_by_stays_readable(value: str) -> None:
    assert masked(value) == value


@given(st.text(max_size=400), st.integers(1, 80))
def test_a_line_stays_one_bounded_line(text: str, most: int) -> None:
    line = one_line(text, most)
    assert len(line) <= most
    assert len(line.splitlines()) <= 1
    assert "\x00" not in line


@given(st.lists(st.text(max_size=300), max_size=40), st.text(max_size=300))
def test_written_facts_are_bounded_and_come_back(items: list[str], after: str) -> None:
    written = write_facts(Event.SETTING_CHANGED, {"item": items, "after": after, "before": items, "setting": items})
    assert len(written) <= FACTS_LENGTH
    assert set(read_facts(written)) <= {"item", "after", "before", "setting"}
    assert json.loads(written) == read_facts(written)


def test_facts_are_written_the_same_in_whatever_order_they_come() -> None:
    one = write_facts(Event.EXPORTED, {"table": "movements", "rows": 3, "whole": True})
    assert one == write_facts(Event.EXPORTED, {"whole": True, "rows": 3, "table": "movements"})
    assert one == '{"rows":3,"table":"movements","whole":true}'


def test_what_cannot_be_read_is_no_fact() -> None:
    assert read_facts("{") == {} == read_facts("[1]")


@pytest.mark.parametrize("name", SEALED)
def test_every_figure_of_an_entry_is_sealed(name: str) -> None:
    other = ENTRY | {name: datetime(2024, 5, 15, 3, 1, tzinfo=UTC) if name == "at" else 99}
    assert canonical(ENTRY) != canonical(other)
    assert (digest(ENTRY) != digest(other)) == (name != "id")


def test_no_figure_runs_into_the_next() -> None:
    assert canonical(ENTRY | {"subject": "a\nfacts:2:{}"}) != canonical(ENTRY | {"subject": "a", "facts": "{}"})
    assert canonical(ENTRY | {"subject": ""}) != canonical(ENTRY | {"subject": None})
