"""Who may do what, where, against a table of its own."""

from __future__ import annotations

import pytest

from inventory.domain.access import (
    SYSTEM,
    TABLE,
    Action,
    Actor,
    Grant,
    Role,
    may,
    may_somewhere,
    reach,
    require,
)
from inventory.domain.errors import NotAllowed

OWN = "00/51/51.71/"
PLACES = {
    "own": OWN,
    "below": "00/51/51.71/51.71.01/",
    "far below": "00/51/51.71/51.71.01/51.71.01.A/",
    "above": "00/51/",
    "top": "00/",
    "beside": "00/51/51.03/",
    "other": "00/16/16.09/",
    "code with the same start": "00/51/51.710/",
    "path with the same end": "00/99/51/51.71/",
}
BELOW = ("own", "below", "far below")

# Where a person with a role at OWN may do each thing; nowhere else.
EXPECTED: dict[Role, dict[Action, tuple[str, ...]]] = {
    Role.STOREKEEPER: {
        Action.SIGN_OUT: BELOW,
        Action.VIEW_OFFICE: ("own",),
        Action.VIEW_STOCK: ("own",),
        Action.POST_MOVEMENT: ("own",),
        Action.RECORD_DELIVERY: ("own",),
        Action.REVERSE_MOVEMENT: ("own",),
        Action.SEND_TRANSFER: ("own",),
        Action.RECEIVE_TRANSFER: ("own",),
        Action.REQUEST_DELIVERY: ("own",),
        Action.ALLOT_DELIVERY: (),
        Action.COUNT_STOCK: ("own",),
        Action.CLOSE_DAY: ("own",),
        Action.PROPOSE_DESTRUCTION: ("own",),
        Action.APPROVE: (),
        Action.IMPORT_RECORDS: ("own",),
        Action.RECORD_FIGURES: ("own",),
        Action.PLAN_OUTREACH: ("own",),
        Action.VIEW_ALERT: ("own",),
        Action.ACT_ON_ALERT: (),
        Action.MANAGE_BOARD: (),
        Action.VIEW_JOBS: (),
        Action.VIEW_AUDIT: (),
        Action.MANAGE_OFFICES: (),
        Action.MANAGE_PEOPLE: (),
    },
    Role.MANAGER: {
        Action.SIGN_OUT: BELOW,
        Action.VIEW_OFFICE: BELOW,
        Action.VIEW_STOCK: BELOW,
        Action.POST_MOVEMENT: (),
        Action.RECORD_DELIVERY: (),
        Action.REVERSE_MOVEMENT: BELOW,
        Action.SEND_TRANSFER: (),
        Action.RECEIVE_TRANSFER: (),
        Action.REQUEST_DELIVERY: BELOW,
        Action.ALLOT_DELIVERY: BELOW,
        Action.COUNT_STOCK: BELOW,
        Action.CLOSE_DAY: (),
        Action.PROPOSE_DESTRUCTION: (),
        Action.APPROVE: BELOW,
        Action.IMPORT_RECORDS: BELOW,
        Action.RECORD_FIGURES: BELOW,
        Action.PLAN_OUTREACH: BELOW,
        Action.VIEW_ALERT: BELOW,
        Action.ACT_ON_ALERT: BELOW,
        Action.MANAGE_BOARD: BELOW,
        Action.VIEW_JOBS: BELOW,
        Action.VIEW_AUDIT: BELOW,
        Action.MANAGE_OFFICES: (),
        Action.MANAGE_PEOPLE: (),
    },
    Role.VIEWER: {
        Action.SIGN_OUT: BELOW,
        Action.VIEW_OFFICE: BELOW,
        Action.VIEW_STOCK: BELOW,
        Action.POST_MOVEMENT: (),
        Action.RECORD_DELIVERY: (),
        Action.REVERSE_MOVEMENT: (),
        Action.SEND_TRANSFER: (),
        Action.RECEIVE_TRANSFER: (),
        Action.REQUEST_DELIVERY: (),
        Action.ALLOT_DELIVERY: (),
        Action.COUNT_STOCK: (),
        Action.CLOSE_DAY: (),
        Action.PROPOSE_DESTRUCTION: (),
        Action.APPROVE: (),
        Action.IMPORT_RECORDS: (),
        Action.RECORD_FIGURES: (),
        Action.PLAN_OUTREACH: (),
        Action.VIEW_ALERT: BELOW,
        Action.ACT_ON_ALERT: (),
        Action.MANAGE_BOARD: (),
        Action.VIEW_JOBS: (),
        Action.VIEW_AUDIT: (),
        Action.MANAGE_OFFICES: (),
        Action.MANAGE_PEOPLE: (),
    },
    Role.ADMINISTRATOR: {
        Action.SIGN_OUT: BELOW,
        Action.VIEW_OFFICE: BELOW,
        Action.VIEW_STOCK: (),
        Action.POST_MOVEMENT: (),
        Action.RECORD_DELIVERY: (),
        Action.REVERSE_MOVEMENT: (),
        Action.SEND_TRANSFER: (),
        Action.RECEIVE_TRANSFER: (),
        Action.REQUEST_DELIVERY: (),
        Action.ALLOT_DELIVERY: (),
        Action.COUNT_STOCK: (),
        Action.CLOSE_DAY: (),
        Action.PROPOSE_DESTRUCTION: (),
        Action.APPROVE: (),
        Action.IMPORT_RECORDS: (),
        Action.RECORD_FIGURES: (),
        Action.PLAN_OUTREACH: (),
        Action.VIEW_ALERT: (),
        Action.ACT_ON_ALERT: (),
        Action.MANAGE_BOARD: (),
        Action.VIEW_JOBS: BELOW,
        Action.VIEW_AUDIT: BELOW,
        Action.MANAGE_OFFICES: BELOW,
        Action.MANAGE_PEOPLE: BELOW,
    },
}
CASES = [(role, action, place) for role in Role for action in Action for place in PLACES]


def person(*grants: tuple[Role, str]) -> Actor:
    return Actor(1, "Uji", tuple(Grant(role, path) for role, path in grants))


def test_every_role_and_action_has_a_decision_here_and_in_the_table() -> None:
    assert set(TABLE) == set(Action)
    assert set(EXPECTED) == set(Role)
    for decided in EXPECTED.values():
        assert set(decided) == set(Action)


@pytest.mark.parametrize(("role", "action", "place"), CASES)
def test_a_role_allows_what_its_table_says(role: Role, action: Action, place: str) -> None:
    actor, allowed = person((role, OWN)), place in EXPECTED[role][action]
    assert may(actor, action, PLACES[place]) is allowed
    if allowed:
        require(actor, action, PLACES[place])
        return
    with pytest.raises(NotAllowed) as refused:
        require(actor, action, PLACES[place])
    assert refused.value.code == "not_allowed"
    assert refused.value.facts == {"action": action.value}


@pytest.mark.parametrize(("role", "action"), [(role, action) for role in Role for action in Action])
def test_a_role_may_do_somewhere_what_it_may_do_at_all(role: Role, action: Action) -> None:
    assert may_somewhere(person((role, OWN)), action) is bool(EXPECTED[role][action])


@pytest.mark.parametrize("action", list(Action))
def test_a_person_without_a_role_may_do_nothing(action: Action) -> None:
    assert not may_somewhere(person(), action)
    assert not may(person(), action, OWN)


@pytest.mark.parametrize("action", list(Action))
def test_the_system_may_do_everything_everywhere(action: Action) -> None:
    assert may(SYSTEM, action, OWN)
    assert reach(SYSTEM, action).everywhere


def test_roles_at_several_offices_add_up() -> None:
    both = person((Role.STOREKEEPER, OWN), (Role.VIEWER, PLACES["other"]))
    assert may(both, Action.POST_MOVEMENT, OWN)
    assert not may(both, Action.POST_MOVEMENT, PLACES["other"])
    assert may(both, Action.VIEW_STOCK, PLACES["other"])
    assert not may(both, Action.VIEW_STOCK, PLACES["below"])


def test_a_wider_role_at_the_same_office_widens_what_may_be_seen_but_not_what_may_be_posted() -> None:
    both = person((Role.STOREKEEPER, OWN), (Role.MANAGER, OWN))
    assert may(both, Action.VIEW_STOCK, PLACES["below"])
    assert not may(both, Action.POST_MOVEMENT, PLACES["below"])
