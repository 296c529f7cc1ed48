"""What a machine may be allowed, against a table of its own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from inventory.domain.access import NOT_FOR_MACHINES, Action, Actor, Grant, Role, may, reach
from inventory.domain.errors import Invalid
from inventory.domain.scopes import ApiScope, actions_of, check_scopes, check_token, scopes_for
from tests.conftest import NOW

EXPECTED: dict[str, tuple[Action, ...]] = {
    "stock:read": (Action.VIEW_OFFICE, Action.VIEW_STOCK),
    "alerts:read": (Action.VIEW_ALERT,),
    "alerts:write": (Action.ACT_ON_ALERT,),
    "movements:write": (Action.POST_MOVEMENT,),
    "movements:reverse": (Action.REVERSE_MOVEMENT,),
    "deliveries:write": (Action.RECORD_DELIVERY,),
    "requests:write": (Action.REQUEST_DELIVERY,),
    "transfers:write": (Action.SEND_TRANSFER, Action.RECEIVE_TRANSFER),
    "stocktakes:write": (Action.COUNT_STOCK,),
    "destructions:write": (Action.PROPOSE_DESTRUCTION,),
    "figures:write": (Action.RECORD_FIGURES, Action.PLAN_OUTREACH),
    "allotments:write": (Action.ALLOT_DELIVERY,),
    "imports:write": (Action.IMPORT_RECORDS,),
}
PEOPLE_ONLY = {
    Action.SIGN_OUT,
    Action.CLOSE_DAY,
    Action.APPROVE,
    Action.MANAGE_BOARD,
    Action.VIEW_JOBS,
    Action.VIEW_AUDIT,
    Action.MANAGE_OFFICES,
    Action.MANAGE_PEOPLE,
}
OWN = "00/51/51.71/"


def machine(*scopes: ApiScope) -> Actor:
    return Actor(7, "Sistem", scopes=actions_of(scopes), subtree=OWN)


@pytest.mark.parametrize("scope", list(ApiScope))
def test_a_scope_allows_what_its_table_says_in_its_subtree_only(scope: ApiScope) -> None:
    actor = machine(scope)
    for action in Action:
        allowed = action in EXPECTED[scope.value]
        assert may(actor, action, OWN) is allowed, action
        assert may(actor, action, f"{OWN}51.71.01/") is allowed
        assert not any(may(actor, action, path) for path in ("00/51/", "00/51/51.710/", "00/", "00/16/16.09/"))


def test_all_scopes_together_leave_out_what_takes_a_person() -> None:
    everything = machine(*ApiScope)
    refused = {action for action in Action if not may(everything, action, OWN)}
    assert refused == PEOPLE_ONLY == set(NOT_FOR_MACHINES)
    assert {action for action in Action if not scopes_for(action)} == PEOPLE_ONLY


def test_what_takes_a_person_is_refused_to_a_machine_whatever_it_was_given() -> None:
    forged = Actor(7, "Sistem", (Grant(Role.MANAGER, "00/"),), scopes=frozenset(Action), subtree=OWN)
    assert {action for action in Action if may(forged, action, OWN)} == set(Action) - PEOPLE_ONLY
    assert not reach(forged, Action.VIEW_STOCK).includes("00/16/16.09/"), "a machine's grants count for nothing"
    assert not may(Actor(7, "Sistem", scopes=frozenset(Action)), Action.VIEW_STOCK, OWN), "without a place, nowhere"


def test_scopes_are_read_once_each_and_in_order() -> None:
    assert check_scopes(["movements:write", "stock:read", "stock:read"]) == (
        ApiScope.STOCK_READ,
        ApiScope.MOVEMENTS_WRITE,
    )
    for wrong, code in ((["stock:read", "all"], "scope_unknown"), ([], "scopes_missing")):
        with pytest.raises(Invalid, match=code):
            check_scopes(wrong)


@pytest.mark.parametrize(
    ("name", "days", "code"),
    [(" ", 30, "name_missing"), ("x" * 81, 30, "text_too_long"), ("a", 0, "token_lasts"), ("a", 367, "token_lasts")],
)
def test_a_token_has_a_name_and_an_end_within_a_year(name: str, days: int, code: str) -> None:
    assert check_token(" server ", NOW, NOW + timedelta(days=366)) == "server"
    with pytest.raises(Invalid, match=code):
        check_token(name, NOW, NOW + timedelta(days=days))
