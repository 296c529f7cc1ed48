"""Balances, items, settings and stock cards by the API."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path
from typing import Any

from inventory.domain.ledger import FIGURES, obeys_law
from inventory.domain.scopes import ApiScope
from tests.api.client import Caller, code_of, fields_of, make_token
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

READ = ApiScope.STOCK_READ
REPORTED = Path(__file__).parents[2] / "inventory" / "data" / "reported.csv"


def of_blank(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return next(each for each in response.json["data"] if each["item"] == BLANK)


def test_balances_of_today_of_a_day_and_as_known(world: World) -> None:
    yesterday = TODAY - timedelta(days=1)
    world.deliver(NOW - timedelta(days=1), yesterday, 100)
    world.print(NOW, yesterday, 10)
    world.print(NOW, TODAY, 5)
    caller = Caller(world.app, make_token(READ))
    path = f"/offices/{DENPASAR}/balances"
    today: Any = caller.get(path)
    assert today.json["on"] == TODAY.isoformat()
    assert of_blank(today)["store"] == 85
    assert of_blank(caller.get(path, on=yesterday.isoformat()))["store"] == 90
    before = of_blank(caller.get(path, known_at="2024-05-14T03:00:00Z"))
    assert (before["store"], before["printed"]) == (100, 0)
    later = caller.get(path, on=yesterday.isoformat(), known_at="2024-05-15T11:00:00+08:00")
    assert of_blank(later)["store"] == 90
    for each in today.json["data"]:
        assert obeys_law({figure: each[figure] for figure in FIGURES})
    assert fields_of(caller.get(path, on="2024-05-16")) == {"on": "day_in_future"}
    assert fields_of(caller.get(path, known_at="2024-05-16T00:00:00Z")) == {"known_at": "moment_in_future"}
    assert code_of(caller.get(f"/offices/{BADUNG}/balances")) == "not_allowed"


def test_reported_figures_come_back_as_they_were_recorded(world: World) -> None:
    """The cards that Kota Denpasar had enrolled and not printed, from `inventory/data/reported.csv`."""
    with REPORTED.open(encoding="utf-8") as file:
        [waiting] = [
            row for row in csv.DictReader(file) if row["office_code"] == DENPASAR and row["measure"] == "print_ready"
        ]
    received = int(waiting["value"])
    assert received == 42_411
    world.deliver(NOW, TODAY, received)
    assert of_blank(Caller(world.app, make_token(READ)).get(f"/offices/{DENPASAR}/balances"))["store"] == received


def test_all_balances_in_reach_by_pages(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    world.send(NOW, TODAY, 5)
    everywhere = Caller(world.app, make_token(READ, office="51"))
    told: Any = everywhere.get("/balances", limit=1).json
    assert [(each["office"], each["item"], each["store"], each["transit"]) for each in told["data"]] == [
        (DENPASAR, BLANK, 95, 5)
    ]
    assert told["next"] is None
    assert everywhere.get("/balances", under="51.03").json == {"data": [], "next": None}
    assert code_of(everywhere.get("/balances", under="16")) == "not_allowed"
    assert code_of(everywhere.get("/balances", item="nix")) == "item_not_found"
    other = Caller(world.app, make_token(READ, office=BADUNG))
    assert other.get("/balances").json == {"data": [], "next": None}


def test_items_are_told_with_both_languages(world: World) -> None:
    caller = Caller(world.app, make_token(READ))
    told: Any = caller.get("/items").json
    assert [item["code"] for item in told["data"]] == ["ktp-wni", "ktp-wna", "kia", "ribbon", "film"]
    one: Any = caller.get("/items/ribbon").json
    assert (one["kind"], one["prints_per_unit"], one["names"]["id"]) == ("consumable", 500, "Ribbon")
    assert code_of(caller.get("/items/nix")) == "item_not_found"


def test_a_stock_card(world: World) -> None:
    world.deliver(NOW, TODAY, 100, bast="470/1/2024")
    world.print(NOW, TODAY, 30)
    caller = Caller(world.app, make_token(READ))
    path = f"/offices/{DENPASAR}/items/{BLANK}/card"
    told: Any = caller.get(path).json
    assert (told["opening"], told["closing"]) == (0, 70)
    assert [(line["change"], line["left"], line["bast_number"]) for line in told["lines"]] == [
        (100, 100, "470/1/2024"),
        (-30, 70, None),
    ]
    assert fields_of(caller.get(path, since="2024-05-15", until="2024-05-01")) == {"until": "period_backwards"}
    assert fields_of(caller.get(path, since="2023-05-15")) == {"since": "period_too_long"}


def test_settings_change_only_by_who_saw_them(world: World) -> None:
    chief = Caller(world.app, person="administrator")
    path = f"/offices/{DENPASAR}/settings"
    seen = chief.get(path)
    told: Any = seen.json
    changed = told | {"lead_time_days": 21}
    assert (code_of(chief.send("PUT", path, changed, {}))) == "version_missing"
    done = chief.send("PUT", path, changed, {"If-Match": seen.headers["ETag"]})
    assert (done.status_code, done.json) == (200, changed)
    assert done.headers["ETag"] == chief.get(path).headers["ETag"] != seen.headers["ETag"]
    late = chief.send("PUT", path, told, {"If-Match": seen.headers["ETag"]})
    assert (late.status_code, code_of(late)) == (412, "version_stale")
    assert chief.get(path).json == changed
    wrong = chief.send("PUT", path, changed | {"working_days": "0000000"}, {"If-Match": done.headers["ETag"]})
    assert fields_of(wrong) == {"/working_days": "working_days_format"}
    machine = Caller(world.app, make_token())
    refused = machine.send("PUT", path, changed, {"If-Match": "*"})
    assert (refused.status_code, code_of(refused)) == (403, "not_for_machines")
