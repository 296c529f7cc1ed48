"""Second factors: the standard's own figures, drift, what counts once, and how waits grow."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.access import Role
from inventory.domain.factors import (
    FREE_TRIES,
    LONGEST_WAIT,
    RECOVERY_LENGTH,
    RECOVERY_LETTERS,
    Policy,
    code_at,
    code_typed,
    is_recovery_code,
    key_for_typing,
    matching_step,
    must_have,
    recovery_code,
    recovery_digest,
    step_at,
    wait_after,
)

SECRET = b"12345678901234567890"
STANDARD = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}
"""Appendix B of RFC 6238 for SHA-1, the last six of its eight digits."""


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize(("seconds", "code"), STANDARD.items())
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    assert code_at(SECRET, step_at(at(seconds))) == code
    assert matching_step(SECRET, code, at(seconds), 0) == seconds // 30


def test_a_code_holds_for_its_half_minute_and_the_ones_beside_it() -> None:
    code = code_at(SECRET, 1000)
    found = {steps: matching_step(SECRET, code, at(30 * (1000 + steps)), 0) for steps in range(-3, 4)}
    assert found == {-3: None, -2: None, -1: 1000, 0: 1000, 1: 1000, 2: None, 3: None}


def test_a_code_that_was_used_is_none_any_more_nor_is_one_before_it() -> None:
    now = at(30 * 1000)
    assert matching_step(SECRET, code_at(SECRET, 1000), now, 1000) is None
    assert matching_step(SECRET, code_at(SECRET, 999), now, 1000) is None
    assert matching_step(SECRET, code_at(SECRET, 1001), now, 1000) == 1001


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "１２３４５６", "12345\n", "-12345", "1e5000"])
def test_what_is_no_code_matches_nothing(typed: str) -> None:
    assert matching_step(SECRET, typed, at(59), 0) is None


def test_codes_and_keys_are_read_as_people_write_them() -> None:
    assert code_typed(" 287 082 ") == "287082"
    assert base64.b32decode(key_for_typing(SECRET).replace(" ", "")) == SECRET


def test_five_tries_are_free_and_then_waits_double_up_to_an_hour() -> None:
    waits = [wait_after(wrong) for wrong in range(1, 14)]
    assert waits[: FREE_TRIES - 1] == [timedelta(0)] * (FREE_TRIES - 1)
    assert waits[4:11] == [timedelta(minutes=m) for m in (1, 2, 4, 8, 16, 32, 60)]
    assert waits[-1] == LONGEST_WAIT == wait_after(10**6)


@given(st.lists(st.integers(0, len(RECOVERY_LETTERS) - 1), min_size=RECOVERY_LENGTH, max_size=RECOVERY_LENGTH))
def test_a_recovery_code_is_known_however_it_is_grouped(picked: list[int]) -> None:
    code = recovery_code(picked)
    assert is_recovery_code(code)
    for typed in (code.upper(), code.replace("-", ""), code.replace("-", " "), f" {code} "):
        assert is_recovery_code(typed)
        assert recovery_digest(typed) == recovery_digest(code)
    assert not is_recovery_code(code[:-1])
    assert not is_recovery_code(code + "2")


def test_recovery_codes_are_long_enough_for_a_fast_hash() -> None:
    assert RECOVERY_LENGTH * log2(len(set(RECOVERY_LETTERS))) >= 128


def test_a_code_of_an_app_is_never_taken_for_a_recovery_code() -> None:
    assert not is_recovery_code("287082")


def test_who_must_have_a_second_factor() -> None:
    def musts(policy: Policy) -> set[Role]:
        return {role for role in Role if must_have(policy, [role])}

    assert musts(Policy.MANAGERS) == {Role.MANAGER, Role.ADMINISTRATOR}
    assert musts(Policy.EVERYBODY) == set(Role)
    assert musts(Policy.OFFERED) == set()
    assert must_have(Policy.MANAGERS, [Role.STOREKEEPER, Role.MANAGER])
    assert not must_have(Policy.MANAGERS, [])
