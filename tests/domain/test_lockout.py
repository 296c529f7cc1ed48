"""How many tries there are, and how long the waits; and what devices and sessions are called."""

from __future__ import annotations

from datetime import timedelta

import pytest

from inventory.domain.lockout import ALLOWANCES, DAY, Counter, key_of, most_tries, network_of, wait_after
from inventory.domain.sessions import device_words

MINUTES = timedelta(minutes=1)


def test_ten_tries_are_free_and_the_tenth_begins_a_wait() -> None:
    assert [wait_after(Counter.ACCOUNT, tries) for tries in range(10)] == [timedelta(0)] * 10
    assert wait_after(Counter.ACCOUNT, 10) == 15 * MINUTES
    assert not any(wait_after(Counter.ACCOUNT, tries) for tries in range(11, 20))


def test_waits_double_up_to_a_day() -> None:
    waits = [wait_after(Counter.ACCOUNT, 10 * rounds) for rounds in range(1, 12)]
    assert waits[:7] == [15 * MINUTES * 2**n for n in range(7)]
    assert waits[7:] == [DAY] * 4
    assert wait_after(Counter.ACCOUNT, 10**9) == DAY, "however long somebody goes on"


def test_people_behind_one_address_never_wait_longer_than_an_hour_for_each_other() -> None:
    assert wait_after(Counter.ADDRESS, 99) == timedelta(0)
    assert {wait_after(Counter.ADDRESS, 100 * n) for n in range(1, 30)} == {timedelta(hours=1)}


def test_guessing_for_a_year_gets_a_few_thousand_tries() -> None:
    assert most_tries(Counter.ACCOUNT, timedelta(0)) == 10
    assert most_tries(Counter.ACCOUNT, DAY) == 70
    # Whoever goes on, and whoever pauses for so long that all is forgotten, over and over.
    assert most_tries(Counter.ACCOUNT, 365 * DAY) < 4_000
    rounds = []
    for pauses in range(1, 12):
        elapsed = sum((wait_after(Counter.ACCOUNT, 10 * n) for n in range(1, pauses + 1)), timedelta(0))
        rounds.append(10 * pauses / ((elapsed + ALLOWANCES[Counter.ACCOUNT].forgotten_after) / DAY))
    assert max(rounds) < 50, "tries a day"


def test_a_key_tells_nothing_without_the_installations_own() -> None:
    one = key_of("secret", Counter.ACCOUNT, "gudang@denpasar.test")
    assert one == key_of("secret", Counter.ACCOUNT, "gudang@denpasar.test")
    others = {
        key_of("other", Counter.ACCOUNT, "gudang@denpasar.test"),
        key_of("secret", Counter.ADDRESS, "gudang@denpasar.test"),
        key_of("secret", Counter.ACCOUNT, "gudang@badung.test"),
    }
    assert len(one) == 64
    assert len({one} | others) == 4


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_one_customers_whole_network_counts_as_one(address: str | None, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (
            "Mozilla/5.0 (Linux; Android 14; SM-A155F) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Mobile"
            " Safari/537.36",
            "Chrome, Android",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/126.0 Safari/537.36 Edg/126.0", "Edge, Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15) Gecko Firefox/127.0", "Firefox, macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Mobile/15E148 Safari/604.1", "Safari, iPhone"),
        ("curl/8.5.0", ""),
        ("", ""),
        ("<script>alert(1)</script> Firefox/1 \r\nX-Evil: 1" * 1000, "Firefox"),
    ],
)
def test_devices_are_called_by_words_of_ours(agent: str, words: str) -> None:
    assert device_words(agent) == words
