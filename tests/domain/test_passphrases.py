"""Passphrases: length, freedom, and what everybody would guess, with the real estimate and the real list."""

from __future__ import annotations

import unicodedata

import pytest

from inventory.adapters.passphrases import common, guesses
from inventory.domain.errors import Invalid
from inventory.domain.passphrases import LONGEST, SHORTEST, check_passphrase, squeezed
from inventory.services import demo
from tests.world import PASSWORD

KNOWN = ("Ni Luh Ketut Widhiasih", "widhiasih.kadek@denpasarkota.go.id", "Kota Denpasar")


def refused(passphrase: str) -> str:
    """The code with which it is refused, or an empty text."""
    try:
        check_passphrase(passphrase, KNOWN, common(), guesses)
    except Invalid as refusal:
        return refusal.code
    return ""


@pytest.mark.parametrize(
    "passphrase",
    [
        PASSWORD,
        demo.PASSWORD,
        "sepeda biru di loteng",
        "tujuhbelasangsaterbang",
        "  spasi di depan dan belakang  ",
        "crème brûlée für Ängström",
        "пароль длинный и странный",
        "七羽の雁が北の空へ飛んで行く静かな夜",
        "x7Gq2-vR9pL-0aWmZ",
    ],
)
def test_long_and_odd_ones_are_taken_whatever_they_are_made_of(passphrase: str) -> None:
    assert refused(passphrase) == ""


@pytest.mark.parametrize(
    ("passphrase", "code"),
    [
        ("", "passphrase_too_short"),
        ("s3pEda-b!ru#99", "passphrase_too_short"),
        ("x" * (LONGEST + 1), "passphrase_too_long"),
        ("passwordpassword", "passphrase_common"),
        ("P@ssw0rdP@ssw0rd1", "passphrase_common"),
        ("123456789012345", "passphrase_common"),
        ("9876543210987654321", "passphrase_common"),
        ("qwertyuiopasdfgh", "passphrase_common"),
        ("1qaz2wsx3edc4rfv", "passphrase_common"),
        ("aaaaaaaaaaaaaaaa", "passphrase_common"),
        ("abababababababab", "passphrase_common"),
        ("abcdefghijklmnopqrst", "passphrase_common"),
        ("aA1!aA1!aA1!aA1!aA1!", "passphrase_common"),
        ("bhinneka tunggal ika", "passphrase_common"),
        ("Bhinneka-Tunggal-Ika 1945", "passphrase_common"),
        ("bismillahirrahmanirrahim", "passphrase_common"),
        ("Assalamualaikum123", "passphrase_common"),
        ("kata sandi rahasia", "passphrase_common"),
        ("DisdukcapilDenpasar", "passphrase_common"),
        ("blangko ktp elektronik", "passphrase_common"),
        ("correct horse battery staple", "passphrase_common"),
        ("                    ", "passphrase_common"),
        ("Ni Luh Ketut Widhiasih", "passphrase_known"),
        ("widhiasih.kadek@denpasarkota.go.id", "passphrase_known"),
        ("widhiasih kadek 2024", "passphrase_known"),
    ],
)
def test_what_is_guessed_first_is_refused(passphrase: str, code: str) -> None:
    assert refused(passphrase) == code


def test_every_phrase_of_the_list_is_refused_where_it_is_long_enough() -> None:
    listed = [phrase for phrase in common() if len(phrase) >= SHORTEST]
    assert len(listed) > 100
    for phrase in listed:
        for form in (phrase, phrase.title(), phrase.replace(" ", "-"), squeezed(phrase)):
            if len(form) >= SHORTEST:
                assert refused(form) == "passphrase_common", form


def test_what_looks_the_same_is_the_same() -> None:
    one, other = "crème brûlée à la carte", unicodedata.normalize("NFD", "crème brûlée à la carte")
    assert one != other
    assert check_passphrase(one, (), (), guesses) == check_passphrase(other, (), (), guesses)


def test_the_length_is_counted_as_people_count_it() -> None:
    """A letter with its accent is one, however the keyboard sends it."""
    fourteen = "é" * 2 + "wxkqzvjpbhmt"
    assert len(unicodedata.normalize("NFD", fourteen)) == 16
    assert refused(unicodedata.normalize("NFD", fourteen)) == "passphrase_too_short"
    assert refused("ab" + "ﬁ" + "q x k v z j w y") == ""


def test_the_estimate_keeps_no_words_of_one_caller_for_the_next() -> None:
    phrase = "xqvzkwjpplmmrttbbnn"
    before = guesses(phrase, ())
    assert guesses(phrase, [phrase]) < 10
    assert guesses(phrase, ()) == before
