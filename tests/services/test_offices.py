"""Office lists: loading them whole or not at all; and finding offices within an actor's reach."""

from __future__ import annotations

import io
from collections import Counter
from unittest.mock import Mock

import pytest
from sqlalchemy import event, func, select

from inventory.db import db
from inventory.domain.access import SYSTEM, Action, Actor, Grant, Reach, Role
from inventory.domain.errors import Invalid, NotAllowed, NotFound
from inventory.domain.offices import OfficeSettings
from inventory.models import Office
from inventory.services import offices
from inventory.services.offices import BadOfficeList, Loaded
from tests.conftest import NOW, TODAY
from tests.world import DENPASAR, OFFICES, World

WORLD_ROWS = [row | {"population": ""} for row in OFFICES]


def row(code: str, parent: str = "51", kind: str = "regency", **changes: str) -> dict[str, str]:
    values = {"code": code, "name": f"Kantor {code}", "kind": kind, "parent": parent}
    return values | {"time_zone": "Asia/Makassar", "population": ""} | changes


def person(*grants: tuple[Role, str]) -> Actor:
    return Actor(1, "Uji", tuple(Grant(role, path) for role, path in grants))


def tree() -> dict[str, tuple[str, str, str]]:
    found = db.session.execute(select(Office.code, Office.path, Office.name, Office.kind))
    return {code: (path, name, kind) for code, path, name, kind in found}


def codes(found: list[offices.OfficeView]) -> list[str]:
    return [office.code for office in found]


# --- loading -----------------------------------------------------------------------------------------------------


def test_loading_a_list_again_changes_nothing(world: World) -> None:
    before = tree()
    assert offices.load(SYSTEM, WORLD_ROWS) == Loaded(added=0, changed=0, unchanged=len(OFFICES))
    assert tree() == before


def test_offices_are_added_and_renamed_and_the_others_left_alone(world: World) -> None:
    renamed = [entry | ({"name": "Kota Denpasar Baru"} if entry["code"] == DENPASAR else {}) for entry in WORLD_ROWS]
    loaded = offices.load(SYSTEM, [*renamed, row("51.08", population="123456")])
    assert loaded == Loaded(added=1, changed=1, unchanged=len(OFFICES) - 1)
    assert tree()[DENPASAR][1] == "Kota Denpasar Baru"
    assert offices.get(SYSTEM, Action.VIEW_OFFICE, "51.08").population == 123_456


def test_settings_that_were_changed_survive_a_load(world: World) -> None:
    changed = OfficeSettings(lead_time_days=30, review_period_days=10, service_level=0.9, working_days="1111110")
    offices.change_settings(SYSTEM, NOW, DENPASAR, changed)
    offices.load(SYSTEM, WORLD_ROWS)
    assert offices.get(SYSTEM, Action.VIEW_OFFICE, DENPASAR).settings == changed


def test_a_child_may_stand_before_its_parent(world: World) -> None:
    listed = [
        row("77.01.01.A", "77.01.01", "outreach"),
        row("77.01.01", "77.01", "district"),
        row("77.01", "77"),
        row("77", "", "province"),
    ]
    assert offices.load(SYSTEM, listed).added == 4
    assert tree()["77.01.01.A"][0] == "00/77/77.01/77.01.01/77.01.01.A/"


def test_an_office_without_a_parent_belongs_to_the_ministry(world: World) -> None:
    offices.load(SYSTEM, [row("77", "", "province")])
    found = offices.get(SYSTEM, Action.VIEW_OFFICE, "77")
    assert found.parent_id == offices.get(SYSTEM, Action.VIEW_OFFICE, "00").id
    assert found.path == "00/77/"


BAD: list[tuple[dict[str, str], str, str]] = [
    (row("5/1"), "code", "office_code_format"),
    (row(""), "code", "office_code_format"),
    (row("51.08", name=""), "name", "office_name_length"),
    (row("51.08", name="x" * 121), "name", "office_name_length"),
    (row("51.08", kind="village"), "kind", "office_kind_unknown"),
    (row("51.08", kind=""), "kind", "office_kind_unknown"),
    (row("51.71", kind="regency"), "kind", "office_kind_changed"),
    (row("00", "", "province"), "kind", "office_kind_changed"),
    (row("51.08", "52"), "parent", "office_parent_unknown"),
    (row("51.08", "51.71"), "parent", "office_parent_kind"),
    (row("51.08", "51.08"), "parent", "office_parent_kind"),
    (row("51.08", ""), "parent", "office_parent_kind"),
    (row("77", "51", "province"), "parent", "office_parent_kind"),
    (row("01", "", "ministry"), "parent", "office_parent_kind"),
    (row("51.08", time_zone="WITA"), "time_zone", "time_zone_unknown"),
    (row("51.08", time_zone=""), "time_zone", "time_zone_unknown"),
    (row("51.08", population="many"), "population", "population_not_a_number"),
    (row("51.08", population="-5"), "population", "population_not_a_number"),
    (row("51.08", population="1.000"), "population", "population_not_a_number"),
    (row("51.08", population="9999999999"), "population", "population_not_a_number"),
    (row("51.08", population="\u0661\u0662"), "population", "population_not_a_number"),
]


def faults(listed: list[dict[str, str]]) -> list[tuple[int, str, str]]:
    """Row, column and code of all that a load complains about."""
    with pytest.raises(BadOfficeList) as refused:
        offices.load(SYSTEM, listed)
    return [(bad.row, bad.column, bad.code) for bad in refused.value.rows]


def test_a_bad_row_is_named_and_nothing_is_written(world: World) -> None:
    before = tree()
    for bad, column, code in BAD:
        assert faults([row("51.09"), bad, row("51.10")]) == [(3, column, code)], bad
    assert tree() == before


def test_a_code_that_stands_twice_is_named_where_it_stands_again(world: World) -> None:
    assert faults([row("51.08"), row("51.09"), row("51.08")]) == [(4, "code", "office_code_twice")]


def test_every_bad_row_is_listed_with_all_that_is_wrong_in_it(world: World) -> None:
    found = faults([bad for bad, _, _ in BAD])
    assert {(number, column, code) for number, (_, column, code) in enumerate(BAD, start=2)} <= set(found)
    nothing_right = row("5/1", name="", kind="x", parent="?", time_zone="?", population="?")
    columns = [column for _, column, _ in faults([nothing_right])]
    assert columns == ["code", "name", "kind", "parent", "time_zone", "population"]


def test_an_office_that_moves_to_another_parent_is_not_passed_over(world: World) -> None:
    moved = [entry | ({"parent": "16"} if entry["code"] == "51.03" else {}) for entry in WORLD_ROWS]
    try:
        loaded = offices.load(SYSTEM, moved)
    except BadOfficeList as refused:
        assert [bad.column for bad in refused.rows] == ["parent"]  # noqa: PT017  (either answer will do)
    else:
        assert loaded.changed == 1
        assert tree()["51.03"][0] == "00/16/51.03/"


def test_an_office_that_moves_to_a_parent_of_the_same_file_is_not_passed_over(world: World) -> None:
    moved = [entry | ({"parent": "77"} if entry["code"] == "51.03" else {}) for entry in WORLD_ROWS]
    assert ("parent", "office_parent_changed") in {found[1:] for found in faults([row("77", "", "province"), *moved])}


def test_a_name_that_cannot_be_kept_is_named_by_its_row(world: World) -> None:
    assert [found[:2] for found in faults([row("51.09"), row("51.08", name="Bu\x00leleng")])] == [(3, "name")]


def test_a_first_load_that_is_refused_leaves_no_ministry_behind(world: World) -> None:
    with pytest.raises(BadOfficeList):
        offices.load(SYSTEM, [row("x!")])
    assert db.session.scalar(select(func.count()).where(Office.parent_id.is_(None))) == 1


HEADER = "code,name,kind,parent,time_zone,population\n"
GOOD_LINE = "51.08,Kabupaten Buleleng,regency,51,Asia/Makassar,823000\n"


def test_a_file_is_loaded_whole(world: World) -> None:
    loaded = offices.load_csv(
        SYSTEM, io.StringIO(HEADER + GOOD_LINE + '51.09,"Jembrana, Negara",regency,51,Asia/Makassar,\n')
    )
    assert loaded.added == 2
    assert tree()["51.09"][1] == "Jembrana, Negara"


def test_a_file_with_other_columns_as_well_is_loaded(world: World) -> None:
    text = "note,population,time_zone,parent,kind,name,code\nx,,Asia/Makassar,51,regency,Buleleng,51.08\n"
    assert offices.load_csv(SYSTEM, io.StringIO(text)).added == 1


def test_a_file_without_its_columns_is_told_which(world: World) -> None:
    for text, missing in (
        ("", ["code", "name", "kind", "parent", "time_zone", "population"]),
        (HEADER.replace(",", ";"), ["code", "name", "kind", "parent", "time_zone", "population"]),
        ("code,name,kind,parent,time_zone\n51.08,B,regency,51,Asia/Makassar\n", ["population"]),
    ):
        with pytest.raises(BadOfficeList) as refused:
            offices.load_csv(SYSTEM, io.StringIO(text))
        found = [(bad.row, bad.column, bad.code) for bad in refused.value.rows]
        assert found == [(1, column, "column_missing") for column in missing]


def test_a_line_that_is_too_short_or_too_long_is_told_or_read(world: World) -> None:
    with pytest.raises(BadOfficeList) as refused:
        offices.load_csv(SYSTEM, io.StringIO(HEADER + "51.08,Buleleng\n"))
    assert {(bad.row, bad.column) for bad in refused.value.rows} == {(2, "kind"), (2, "time_zone")}
    assert offices.load_csv(SYSTEM, io.StringIO(HEADER + GOOD_LINE.strip() + ",,surplus\n")).added == 1


def test_rows_are_counted_as_a_spreadsheet_counts_them(world: World) -> None:
    """Row 3 is empty, so the bad one is row 4."""
    with pytest.raises(BadOfficeList) as refused:
        offices.load_csv(SYSTEM, io.StringIO(HEADER + GOOD_LINE + "\n" + "51.09,,regency,51,Asia/Makassar,\n"))
    assert [(bad.row, bad.column) for bad in refused.value.rows] == [(4, "name")]


def test_a_cell_of_two_lines_is_in_one_row(world: World) -> None:
    text = HEADER + '51.08,"Kabupaten\nBuleleng",regency,51,Asia/Makassar,\n51.09,,regency,51,Asia/Makassar,\n'
    with pytest.raises(BadOfficeList) as refused:
        offices.load_csv(SYSTEM, io.StringIO(text, newline=""))
    assert [(bad.row, bad.column) for bad in refused.value.rows] == [(3, "name")]


@pytest.mark.parametrize(
    "text", [HEADER + GOOD_LINE.replace("Bul", "B\x00l"), HEADER + "x" * 200_000], ids=["NUL", "endless cell"]
)
def test_a_file_that_is_no_table_is_a_bad_list(world: World, text: str) -> None:
    with pytest.raises(BadOfficeList):
        offices.load_csv(SYSTEM, io.StringIO(text))


def test_only_who_manages_the_whole_tree_may_load_a_list(world: World) -> None:
    for actor in (
        person(),
        person((Role.ADMINISTRATOR, "00/51/")),
        person((Role.MANAGER, "00/"), (Role.VIEWER, "00/"), (Role.STOREKEEPER, "00/")),
    ):
        with pytest.raises(NotAllowed):
            offices.load(actor, WORLD_ROWS)


def test_an_administrator_of_the_ministry_may_load_a_list(world: World) -> None:
    assert offices.load(person((Role.ADMINISTRATOR, "00/")), [row("51.08")]).added == 1


KINDS = {"province": 38, "regency": 416, "city": 98, "district": 7285}


def test_the_official_list_takes_a_statement_an_office_at_most_and_leads_down_from_the_ministry(world: World) -> None:
    listed = list(offices.official_list())
    assert Counter(entry["kind"] for entry in listed) == KINDS
    here = set(tree()) & {entry["code"] for entry in listed}
    asked = Mock()
    event.listen(db.engine, "before_cursor_execute", asked)
    loaded = offices.load(SYSTEM, listed)
    event.remove(db.engine, "before_cursor_execute", asked)
    assert 0 < asked.call_count <= len(listed)
    assert loaded.added == len(listed) - len(here)
    assert loaded.changed + loaded.unchanged == len(here)
    found = tree()
    assert Counter(found[entry["code"]][2] for entry in listed) == KINDS
    assert offices.load(SYSTEM, listed) == Loaded(added=0, changed=0, unchanged=len(listed))
    paths = {path for path, _, _ in found.values()}
    for code, (path, _, kind) in found.items():
        parts = path.rstrip("/").split("/")
        assert parts[-1] == code
        assert kind == "ministry" or "/".join(parts[:-1]) + "/" in paths


# --- finding -----------------------------------------------------------------------------------------------------


def test_an_office_that_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(NotFound) as refused:
        offices.get(SYSTEM, Action.VIEW_OFFICE, "99.99" * 20)
    assert refused.value.code == "office_not_found"
    assert len(str(refused.value.facts["code"])) == 40


def test_a_strange_code_is_not_found(world: World) -> None:
    for code in ("51' OR '1'='1", "é" * 50, "51.71\n", "51\x00", "\x00"):
        with pytest.raises(NotFound):
            offices.get(SYSTEM, Action.VIEW_OFFICE, code)


def test_an_office_out_of_reach_is_refused(world: World) -> None:
    with pytest.raises(NotAllowed):
        offices.get(world.storekeeper, Action.VIEW_STOCK, "51.03")


SEARCHES: list[tuple[Actor, str, list[str]]] = [
    (SYSTEM, "denpasar", ["51.71", "51.71.01", "51.71.02"]),
    (SYSTEM, "DENPASAR", ["51.71", "51.71.01", "51.71.02"]),
    (SYSTEM, "  kota  ", ["51.71", "94.71"]),
    (SYSTEM, "51.71", ["51.71", "51.71.01", "51.71.02"]),
    (SYSTEM, "71", []),
    (SYSTEM, "%", []),
    (SYSTEM, "_", []),
    (SYSTEM, "\\", []),
    (SYSTEM, "a%a", []),
    (SYSTEM, "' OR 1=1 --", []),
    (person((Role.VIEWER, "00/51/")), "kota", ["51.71"]),
    (person((Role.STOREKEEPER, "00/51/51.71/")), "denpasar", ["51.71"]),
    (person((Role.STOREKEEPER, "00/51/51.71/"), (Role.VIEWER, "00/94/")), "kota", ["51.71", "94.71"]),
    (person((Role.ADMINISTRATOR, "00/51/")), "kota", []),
    (person(), "kota", []),
]


def test_a_search_finds_what_is_in_reach(world: World) -> None:
    found = [codes(offices.search(actor, Action.VIEW_STOCK, words)) for actor, words, _ in SEARCHES]
    assert found == [expected for _, _, expected in SEARCHES]


def test_a_search_without_words_shows_the_first_in_reach(world: World) -> None:
    assert len(offices.search(SYSTEM, Action.VIEW_STOCK, "")) == len(OFFICES) + 1
    assert len(offices.search(SYSTEM, Action.VIEW_STOCK, "", limit=3)) == 3


def test_a_code_with_letters_is_found_in_either_case(world: World) -> None:
    offices.load(SYSTEM, [row("51.71.01.TIM1", "51.71.01", "outreach", name="Kelilingan")])
    for words in ("51.71.01.T", "51.71.01.t"):
        assert codes(offices.search(SYSTEM, Action.VIEW_STOCK, words)) == ["51.71.01.TIM1"]


def test_a_search_for_nonsense_finds_nothing(world: World) -> None:
    assert offices.search(SYSTEM, Action.VIEW_STOCK, "\x00") == []


def test_looking_starts_at_the_offices_of_a_persons_roles(world: World) -> None:
    starts: list[tuple[list[tuple[Role, str]], list[str]]] = [
        ([(Role.VIEWER, "00/51/")], ["51"]),
        ([(Role.STOREKEEPER, "00/51/51.71/")], ["51.71"]),
        ([(Role.VIEWER, "00/94/"), (Role.STOREKEEPER, "00/16/16.09/")], ["16.09", "94"]),
        ([(Role.ADMINISTRATOR, "00/51/")], []),
        ([], []),
    ]
    for grants, expected in starts:
        assert codes(offices.tops(person(*grants), Action.VIEW_STOCK)) == expected


def test_the_system_starts_at_the_ministry(world: World) -> None:
    assert codes(offices.tops(SYSTEM, Action.VIEW_STOCK)) == ["00"]


def test_the_way_up_shows_only_what_a_person_may_see(world: World) -> None:
    district = offices.get(SYSTEM, Action.VIEW_OFFICE, "51.71.01")
    assert codes(offices.ancestors(SYSTEM, Action.VIEW_OFFICE, district)) == ["00", "51", "51.71"]
    viewer = person((Role.VIEWER, "00/51/"))
    assert codes(offices.ancestors(viewer, Action.VIEW_OFFICE, district)) == ["51", "51.71"]
    assert codes(offices.ancestors(person(), Action.VIEW_OFFICE, district)) == []


def test_children_are_the_active_offices_right_below(world: World) -> None:
    province = offices.get(SYSTEM, Action.VIEW_OFFICE, "51")
    assert codes(offices.children(SYSTEM, Action.VIEW_OFFICE, province)) == ["51.03", "51.71"]
    closed = db.session.scalars(select(Office).where(Office.code == "51.03")).one()
    closed.active = False
    db.session.commit()
    assert codes(offices.children(SYSTEM, Action.VIEW_OFFICE, province)) == ["51.71"]
    with pytest.raises(NotAllowed):
        offices.children(world.storekeeper, Action.VIEW_OFFICE, province)


def test_the_query_and_the_rule_agree_on_what_is_in_reach(world: World) -> None:
    # Codes that share their first characters with another office's.
    offices.load(SYSTEM, [row("51.7"), row("51.710"), row("5", "", "province"), row("510", "", "province")])
    paths = {path for path, _, _ in tree().values()}
    for allowed in (
        Reach(),
        Reach(everywhere=True),
        Reach(offices=("00/51/",)),
        Reach(subtrees=("00/51/",)),
        Reach(subtrees=("00/",)),
        Reach(offices=("00/94/",), subtrees=("00/51/51.71/", "00/16/")),
    ):
        found = set(db.session.scalars(select(Office.path).where(offices.in_reach(allowed))))
        assert found == {path for path in paths if allowed.includes(path)}


# --- settings and calendars --------------------------------------------------------------------------------------


def test_settings_are_changed_by_an_administrator_only(world: World) -> None:
    settings = OfficeSettings(lead_time_days=20)
    changed = offices.change_settings(world.actor("administrator"), NOW, DENPASAR, settings)
    assert changed.settings == settings
    for name in ("storekeeper", "manager", "regional"):
        with pytest.raises(NotAllowed):
            offices.change_settings(world.actor(name), NOW, DENPASAR, OfficeSettings())
    with pytest.raises(NotAllowed):
        offices.change_settings(world.actor("administrator"), NOW, "16.09", OfficeSettings())
    with pytest.raises(Invalid):
        offices.change_settings(SYSTEM, NOW, DENPASAR, OfficeSettings(lead_time_days=251))
    assert offices.get(SYSTEM, Action.VIEW_OFFICE, DENPASAR).settings == settings


def test_a_second_word_on_a_day_replaces_the_first(world: World) -> None:
    administrator = world.actor("administrator")
    offices.add_calendar_day(administrator, NOW, DENPASAR, TODAY, open_=False, name=" Banjir ")
    assert offices.calendar_days(administrator, DENPASAR, TODAY) == [(TODAY, False, "Banjir")]
    offices.add_calendar_day(administrator, NOW, DENPASAR, TODAY, open_=True, name="Jemput bola")
    assert offices.calendar_days(administrator, DENPASAR, TODAY) == [(TODAY, True, "Jemput bola")]
    with pytest.raises(Invalid, match="calendar_name_missing"):
        offices.add_calendar_day(administrator, NOW, DENPASAR, TODAY, open_=True, name=" ")
    with pytest.raises(NotAllowed):
        offices.add_calendar_day(world.storekeeper, NOW, DENPASAR, TODAY, open_=True, name="x")


def test_a_word_on_a_day_that_cannot_be_kept_is_refused(world: World) -> None:
    for name in ("x" * 121, "Banjir\x00"):
        with pytest.raises(Invalid):
            offices.add_calendar_day(SYSTEM, NOW, DENPASAR, TODAY, open_=True, name=name)
