"""What lies ahead, by the API: projections, alerts, coverage, outreach, allotments."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete

from inventory.api import allotments as api
from inventory.db import write
from inventory.domain.access import SYSTEM
from inventory.domain.scopes import ApiScope
from inventory.models import ApiRequest
from inventory.services import reviews
from tests.api.client import Caller, code_of, fields_of, make_token
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

DAY = TODAY.isoformat()


@pytest.fixture
def reviewed(world: World) -> World:
    """Denpasar as of 12 September 2023: 1,639 blanks (reported.csv), here with nothing printed yet."""
    world.deliver(NOW, TODAY, 1639)
    reviews.review(SYSTEM, lambda: NOW, worker="test")
    return world


def test_a_projection_says_what_the_review_kept(reviewed: World) -> None:
    caller = Caller(reviewed.app, make_token(ApiScope.ALERTS_READ))
    page: Any = caller.get("/projections", under=DENPASAR).json
    [listed] = page["data"]
    assert (listed["office"], listed["item"], listed["figures"]["store"]) == (DENPASAR, BLANK, 1639)
    one: Any = caller.get(f"/offices/{DENPASAR}/projections/{BLANK}").json
    assert one["figures"] == listed["figures"]
    assert one["explanation"]["days_used"] == 0
    assert one["past"][-1] == {"day": DAY, "store": 1639, "arrived": 1639, "counted": 0}
    # No history is "not enough data", not "no demand".
    assert (one["level"], one["figures"]["suggested_order"]) == ("unknown", None)
    elsewhere = Caller(reviewed.app, make_token(ApiScope.ALERTS_READ, office=BADUNG))
    assert elsewhere.get("/projections").json["data"] == []  # type: ignore[index]
    assert elsewhere.get(f"/offices/{DENPASAR}/projections/{BLANK}").status_code == 403


def test_an_alert_is_seen_put_off_commented_and_resolved(reviewed: World) -> None:
    manager = Caller(reviewed.app, person="manager")
    [alert] = manager.get("/alerts").json["data"]  # type: ignore[index]
    path = f"/alerts/{alert['id']}"
    assert manager.post(f"{path}/acknowledgement", {}).json["alert"]["state"] == "acknowledged"  # type: ignore[index]
    assert fields_of(manager.post(f"{path}/snooze", {})) == {"/until": "snooze_without_end"}
    assert manager.post(f"{path}/snooze", {"until": "2024-05-20"}).json["alert"]["state"] == "snoozed"  # type: ignore[index]
    assert manager.post(f"{path}/comments", {"words": "Asked"}).json["history"][0]["words"] == "Asked"  # type: ignore[index]
    assert fields_of(manager.post(f"{path}/resolution", {"done": "other"})) == {"/words": "done_needs_words"}
    assert manager.post(f"{path}/resolution", {"done": "ordered"}).json["alert"]["state"] == "resolved"  # type: ignore[index]
    assert manager.get("/alerts").json["data"] == []  # type: ignore[index]
    assert len(manager.get("/alerts", state="resolved").json["data"]) == 1  # type: ignore[index]
    # A storekeeper reads, and others do not even that.
    assert code_of(Caller(reviewed.app, person="storekeeper").post(f"{path}/comments", {"words": "x"})) == "not_allowed"
    assert code_of(Caller(reviewed.app, make_token(office=BADUNG)).get(path)) == "alert_not_found"


def test_figures_are_kept_with_their_source(world: World) -> None:
    caller = Caller(world.app, make_token(ApiScope.FIGURES_WRITE, ApiScope.STOCK_READ))
    figures = [
        {"measure": "enrolled", "value": 511434, "as_of": "2024-05-10", "source": "Tribun Bali"},
        {"measure": "eligible", "value": 519070, "as_of": "2024-05-10", "source": "Tribun Bali"},
    ]
    written = caller.post(f"/offices/{DENPASAR}/figures", {"figures": figures})
    assert (written.json["added"], written.json["known"]) == (2, 0), written.text  # type: ignore[index]
    again: Any = caller.post(f"/offices/{DENPASAR}/figures", {"figures": figures}).json
    assert (again["added"], again["known"]) == (0, 2)
    machines = [
        {"kind": "printer", "working": 2, "out_of_order": 1, "as_of": DAY, "source": "Office", "cards_a_day": 250}
    ]
    assert caller.post(f"/offices/{DENPASAR}/equipment", {"equipment": machines}).status_code == 201
    told: Any = caller.get(f"/offices/{DENPASAR}/coverage").json
    assert {each["measure"]: each["value"] for each in told["figures"]} == {"enrolled": 511434, "eligible": 519070}
    assert told["equipment"]["capacity"] == 500
    [share] = [each for each in told["shares"] if each["name"] == "enrolled"]
    assert (share["part"], share["whole"]) == (511434, 519070)
    elsewhere = Caller(world.app, make_token(office=BADUNG))
    assert elsewhere.post(f"/offices/{DENPASAR}/figures", {"figures": figures}).status_code == 403
    assert elsewhere.get(f"/offices/{DENPASAR}/coverage").status_code == 403


def test_an_outreach_is_changed_only_as_it_was_seen(world: World) -> None:
    caller = Caller(world.app, make_token(ApiScope.FIGURES_WRITE, ApiScope.STOCK_READ))
    planning = {"day": "2024-05-18", "place": "SMA Negeri 1", "lines": [{"item": BLANK, "expected": 150}]}
    made: Any = caller.post(f"/offices/{DENPASAR}/outreach", planning).json
    path = f"/outreach/{made['id']}"
    seen = caller.get(path)
    assert caller.get(path, {"If-None-Match": seen.headers["ETag"]}).status_code == 304
    assert caller.send("PUT", path, planning, {}).status_code == 428
    moved = caller.send("PUT", path, {**planning, "day": "2024-05-19"}, {"If-Match": seen.headers["ETag"]})
    assert (moved.status_code, moved.json["plan"]["day"]) == (200, "2024-05-19"), moved.text  # type: ignore[index]
    late = caller.send("PUT", path, planning, {"If-Match": seen.headers["ETag"]})
    assert (late.status_code, code_of(late)) == (412, "version_stale")
    blind = caller.send("PUT", path, planning, {"If-Match": "*"})
    assert (blind.status_code, code_of(blind)) == (412, "version_stale"), "whoever changes it has seen what"
    version = moved.json["plan"]["version"]  # type: ignore[index]
    off: Any = caller.post(f"{path}/cancellation", {"version": version, "why": "Rain"}).json
    assert off["plan"]["status"] == "called_off"
    gone = caller.send("PUT", path, planning, {"If-Match": caller.get(path).headers["ETag"]})
    assert code_of(gone) == "outreach_closed"


def test_a_split_is_proposed_kept_and_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deliver(NOW, TODAY, 2000)
    manager = Caller(world.app, person="manager")
    told = manager.get(f"/offices/{DENPASAR}/allotment-proposal", item=BLANK, quantity="500")
    assert (told.status_code, told.json["mode"]) == (200, "split"), told.text  # type: ignore[index]
    asked = {
        "terms": {"item": BLANK, "quantity": 500, "fixed": [{"office": "51.71.01", "quantity": 300}]},
        "ways": [{"sender": DENPASAR, "receiver": "51.71.01", "quantity": 300}],
    }
    plan: Any = manager.post(f"/offices/{DENPASAR}/allotments", asked).json
    [draft] = plan["drafts"]
    assert (draft["quantity"], draft["status"], world.figures().store) == (300, "draft", 2000)
    keeper = Caller(world.app, person="storekeeper")
    assert [each["id"] for each in keeper.get(f"/offices/{DENPASAR}/drafts").json["data"]] == [draft["id"]]  # type: ignore[index]
    too_much = {**asked, "ways": [{"sender": DENPASAR, "receiver": "51.71.01", "quantity": 501}]}
    assert fields_of(manager.post(f"/offices/{DENPASAR}/allotments", too_much)) == {"/ways": "plan_exceeds_stock"}
    assert keeper.post(f"/offices/{DENPASAR}/allotments", asked).status_code == 403
    dropped: Any = manager.post(f"/drafts/{draft['id']}/drop", {}).json
    assert dropped["drafts"][0]["status"] == "dropped"
    assert manager.get(f"/allotments/{plan['id']}").json == dropped
    proposed = {"terms": asked["terms"] | {"quantity": 400}}
    kept = manager.post(f"/offices/{DENPASAR}/allotments", proposed, key="k")
    assert kept.status_code == 201, kept.text
    # The answer is lost, and who knows what would be proposed by now: the plan that it made is found.
    write(lambda session: session.execute(delete(ApiRequest)))
    with monkeypatch.context() as patched:
        patched.setattr(api, "_proposed", lambda *_said: pytest.fail("proposed anew"))
        assert manager.post(f"/offices/{DENPASAR}/allotments", proposed, key="k").json == kept.json
