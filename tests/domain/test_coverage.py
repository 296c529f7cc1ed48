"""Known figures: every contradiction, with the published figures that contradict themselves."""

from __future__ import annotations

import csv
from datetime import date
from importlib.resources import files
from typing import Any

import pytest

from inventory.domain.coverage import (
    CODES,
    DIGITAL_TARGETS,
    EXCEEDS,
    MEASURES,
    MOST,
    SUMS,
    Equipment,
    Figure,
    Share,
    check_equipment,
    check_figure,
    contradictions,
    latest_shares,
    shares_by_day,
    topmost,
)
from inventory.domain.errors import Invalid

DAY = date(2024, 5, 22)
EARLIER = date(2023, 9, 12)


def published(office_code: str) -> list[Figure]:
    """The published figures of an office that we keep, as `data/reported.csv` has them with their newspapers. OKU
    Selatan's are of a February whose year nobody gives: any one serves."""
    text = (files("inventory") / "data" / "reported.csv").read_text(encoding="utf-8")
    return [
        Figure(
            measure=row["measure"],
            value=int(row["value"]),
            as_of=date.fromisoformat(row["as_of"] or "2019-02-28"),
            source=row["source"],
        )
        for row in csv.DictReader(text.splitlines())
        if row["office_code"] == office_code and row["measure"] in MEASURES
    ]


def reported(day: date = DAY, source: str = "a newspaper", /, **values: int) -> list[Figure]:
    return [Figure(measure=name, value=value, as_of=day, source=source) for name, value in values.items()]


def told(figures: list[Figure]) -> list[tuple[str, dict[str, Any]]]:
    return [(each.code, dict(each.facts)) for each in contradictions(figures)]


# --- contradictions ----------------------------------------------------------------------------------------------


def test_denpasar_in_2017_contradicts_itself_twice() -> None:
    """MENARAnews, October 2017."""
    found = contradictions(published("51.71"))
    assert [(each.code, each.as_of) for each in found] == [
        ("enrolment_sum", date(2017, 9, 30)),
        ("cards_sum", date(2017, 9, 30)),
    ]
    assert found[0].facts == {
        "enrolled": 445_540,
        "not_enrolled": 48_523,
        "eligible": 492_765,
        "sum": 494_063,
        "difference": 1_298,
    }
    assert found[0].measures == ("enrolled", "not_enrolled", "eligible")
    assert found[1].facts["sum"] == 364_182 + 42_411 == 445_540 - 38_947
    assert found[1].facts["difference"] == 38_947


@pytest.mark.parametrize("office", ["16.09", "51.02", "51.03"])
def test_the_other_published_figures_agree(office: str) -> None:
    assert contradictions(published(office)) == []


TABLE = [
    ({"enrolled": 101, "eligible": 100}, "enrolled_exceed_eligible", 1),
    ({"not_enrolled": 105, "eligible": 100}, "not_enrolled_exceed_eligible", 5),
    ({"print_ready": 12, "enrolled": 10}, "print_ready_exceed_enrolled", 2),
    ({"card_holders": 13, "enrolled": 10}, "card_holders_exceed_enrolled", 3),
    ({"digital_id": 14, "enrolled": 10}, "digital_exceed_enrolled", 4),
    ({"digital_id_target": 11, "enrolled": 10}, "digital_target_exceeds_enrolled", 1),
    ({"eligible": 16, "population": 10}, "eligible_exceed_population", 6),
    ({"villages_online": 134, "villages": 133}, "villages_online_exceed_villages", 1),
    ({"enrolled": 6, "not_enrolled": 3, "eligible": 10}, "enrolment_sum", 1),
    ({"enrolled": 6, "not_enrolled": 5, "eligible": 10}, "enrolment_sum", 1),
    ({"card_holders": 6, "print_ready": 3, "enrolled": 10}, "cards_sum", 1),
]


@pytest.mark.parametrize(("values", "code", "difference"), TABLE)
def test_figures_of_a_day_that_cannot_all_be_right(values: dict[str, int], code: str, difference: int) -> None:
    [(found, facts)] = told(reported(**values))
    assert (found, facts["difference"]) == (code, difference)
    assert {name: facts[name] for name in values} == values


@pytest.mark.parametrize(("values", "code", "_difference"), TABLE)
def test_figures_of_two_days_are_not_held_against_each_other(
    values: dict[str, int], code: str, _difference: int
) -> None:
    first = dict([next(iter(values.items()))])
    rest = {name: value for name, value in values.items() if name not in first}
    assert told(reported(EARLIER, **first) + reported(DAY, **rest)) == []


def test_every_rule_is_in_the_table() -> None:
    assert {code for _, code, _ in TABLE} == set(SUMS) | set(EXCEEDS) == set(CODES) - {"sources_differ", "figure_fell"}


@pytest.mark.parametrize(
    "values",
    [
        {"enrolled": 10, "eligible": 10, "not_enrolled": 0},
        {"print_ready": 0, "card_holders": 10, "enrolled": 10},
        {"villages_online": 85, "villages": 133},
        {"not_enrolled": 10, "eligible": 10},
        {"eligible": 0, "enrolled": 0, "not_enrolled": 0},
    ],
)
def test_bounds_themselves_are_right(values: dict[str, int]) -> None:
    assert told(reported(**values)) == []


def test_two_sources_that_differ_are_told_and_the_later_counts() -> None:
    figures = reported(DAY, "one", eligible=100) + reported(DAY, "two", eligible=99, enrolled=100)
    assert told(figures) == [
        ("enrolled_exceed_eligible", {"enrolled": 100, "eligible": 99, "difference": 1}),
        (
            "sources_differ",
            {"measure": "eligible", "value": 99, "source": "two", "other": 100, "other_source": "one"},
        ),
    ]
    assert told(reported(DAY, "one", eligible=100) + reported(DAY, "two", eligible=100)) == []


@pytest.mark.parametrize(
    ("measure", "before", "after", "falls"),
    [
        ("eligible", 1000, 949, True),
        ("eligible", 1000, 950, False),
        ("enrolled", 1000, 900, True),
        ("population", 1000, 10, True),
        ("digital_id", 1000, 0, True),
        ("villages", 133, 120, True),
        ("eligible", 1000, 2000, False),
        ("not_enrolled", 1000, 1, False),
        ("print_ready", 1000, 0, False),
        ("villages_online", 85, 2, False),
    ],
)
def test_a_figure_that_falls_implausibly(measure: str, before: int, after: int, falls: bool) -> None:
    figures = reported(DAY, **{measure: after}) + reported(EARLIER, **{measure: before})
    facts = {"measure": measure, "value": after, "earlier": before, "since": EARLIER, "difference": before - after}
    assert told(figures) == ([("figure_fell", facts)] if falls else [])


def test_a_fall_is_told_against_the_report_before_and_once() -> None:
    days = [date(2024, month, 1) for month in (1, 2, 3)]
    figures = [each for day, value in zip(days, (100, 50, 51), strict=True) for each in reported(day, eligible=value)]
    assert [(each.code, each.as_of) for each in contradictions(figures)] == [("figure_fell", days[1])]


# --- shares ------------------------------------------------------------------------------------------------------


def test_denpasars_shares_are_those_that_were_published() -> None:
    by_day = dict(shares_by_day(published("51.71")))
    assert list(by_day) == [DAY, EARLIER, date(2017, 9, 30)]
    assert round(by_day[date(2017, 9, 30)]["enrolled"].share, 4) == 0.9042  # as MENARAnews says
    latest = latest_shares(published("51.71"))
    assert (latest["enrolled"].part, latest["enrolled"].whole) == (511_434, 516_875)
    assert round(latest["digital_of_target"].share, 4) == 0.1372
    assert (latest["digital_of_target"].part, latest["digital_of_target"].whole) == (21_053, 153_430)
    assert round(latest["target_of_enrolled"].share, 4) == 0.3
    digital = latest["digital"]
    assert round(digital.share, 4) == 0.0412
    assert [digital.lacking(target) for target in DIGITAL_TARGETS] == [127_859 - 21_053, 153_431 - 21_053]


def test_tabanans_villages_online() -> None:
    """Pantau Bali, 15 May 2024."""
    found = latest_shares(published("51.02"))
    assert (found["villages_online"].part, found["villages_online"].whole) == (85, 133)
    assert round(found["digital"].share, 4) == 0.0132
    assert "enrolled" not in found


def test_the_enrolled_are_worked_out_where_nobody_reports_them() -> None:
    """Bali Post, 13 September 2023, gives the eligible and the not enrolled."""
    found = dict(shares_by_day(published("51.71")))[EARLIER]
    assert found["enrolled"] == Share(part=506_409 - 7_636, whole=506_409, as_of=EARLIER, derived=True)
    assert found["digital"] == Share(part=6_010, whole=506_409 - 7_636, as_of=EARLIER, derived=True)
    [(_, shares)] = shares_by_day(reported(eligible=5, not_enrolled=6, digital_id=1, villages=2, villages_online=1))
    assert shares == {"villages_online": Share(part=1, whole=2, as_of=DAY)}


def test_nothing_is_divided_by_nothing() -> None:
    assert shares_by_day(reported(eligible=0, enrolled=0, villages=0, villages_online=0)) == []
    assert latest_shares([]) == {}


@pytest.mark.parametrize(
    ("part", "whole", "target", "lacking"), [(24, 100, 0.25, 1), (25, 100, 0.25, 0), (90, 100, 0.3, 0), (0, 3, 0.3, 1)]
)
def test_what_is_lacking_to_a_target(part: int, whole: int, target: float, lacking: int) -> None:
    assert Share(part=part, whole=whole, as_of=DAY).lacking(target) == lacking


# --- entering ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"measure": "stock_wni"}, "measure_unknown"),
        ({"measure": ""}, "measure_unknown"),
        ({"value": -1}, "quantity_negative"),
        ({"value": MOST + 1}, "quantity_too_large"),
        ({"source": "   "}, "source_missing"),
        ({"source": "x" * 201}, "text_too_long"),
        ({"note": "a\x00b"}, "text_unprintable"),
    ],
)
def test_a_figure_needs_a_measure_a_count_and_a_source(change: dict[str, Any], code: str) -> None:
    good: dict[str, Any] = {"measure": "eligible", "value": 0, "as_of": DAY, "source": " Tribun Bali, 2024 "}
    assert check_figure(Figure(**good)).source == "Tribun Bali, 2024"
    with pytest.raises(Invalid, match=code):
        check_figure(Figure(**good | change))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kind": "camera"}, "equipment_unknown"),
        ({"cards_a_day": None}, "capacity_missing"),
        ({"cards_a_day": 0}, "capacity_missing"),
        ({"kind": "enrolment_set"}, "capacity_missing"),
        ({"working": -1}, "quantity_negative"),
        ({"out_of_order": 100_001}, "quantity_too_large"),
        ({"source": ""}, "source_missing"),
    ],
)
def test_equipment_says_what_works_and_a_printer_what_it_can_print(change: dict[str, Any], code: str) -> None:
    good: dict[str, Any] = {
        "kind": "printer",
        "working": 2,
        "out_of_order": 1,
        "cards_a_day": 60,
        "as_of": DAY,
        "source": "own count",
    }
    assert check_equipment(Equipment(**good)).capacity == 120
    assert check_equipment(Equipment(**good | {"kind": "enrolment_set", "cards_a_day": None})).capacity == 0
    with pytest.raises(Invalid, match=code):
        check_equipment(Equipment(**good | change))


def test_what_an_office_reports_holds_what_is_below_it() -> None:
    paths = ["00/51/51.71/51.71.01/", "00/51/51.03/", "00/51/51.71/", "00/16/16.09/16.09.01/", "00/16/16.09/16.09.02/"]
    assert topmost(paths) == [
        "00/16/16.09/16.09.01/",
        "00/16/16.09/16.09.02/",
        "00/51/51.03/",
        "00/51/51.71/",
    ]
    assert topmost([]) == []
