"""Who may do what, where: role × action × scope, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from inventory.domain.errors import NotAllowed


class Role(StrEnum):
    STOREKEEPER = "storekeeper"
    MANAGER = "manager"
    VIEWER = "viewer"
    ADMINISTRATOR = "administrator"


class Scope(StrEnum):
    OWN = "own"
    SUBTREE = "subtree"


class Action(StrEnum):
    SIGN_OUT = "sign_out"
    VIEW_OFFICE = "view_office"
    VIEW_STOCK = "view_stock"
    POST_MOVEMENT = "post_movement"
    RECORD_DELIVERY = "record_delivery"
    REVERSE_MOVEMENT = "reverse_movement"
    SEND_TRANSFER = "send_transfer"
    RECEIVE_TRANSFER = "receive_transfer"
    REQUEST_DELIVERY = "request_delivery"
    ALLOT_DELIVERY = "allot_delivery"
    COUNT_STOCK = "count_stock"
    CLOSE_DAY = "close_day"
    PROPOSE_DESTRUCTION = "propose_destruction"
    APPROVE = "approve"
    IMPORT_RECORDS = "import_records"
    RECORD_FIGURES = "record_figures"
    PLAN_OUTREACH = "plan_outreach"
    VIEW_ALERT = "view_alert"
    ACT_ON_ALERT = "act_on_alert"
    MANAGE_BOARD = "manage_board"
    VIEW_JOBS = "view_jobs"
    VIEW_AUDIT = "view_audit"
    MANAGE_OFFICES = "manage_offices"
    MANAGE_PEOPLE = "manage_people"


TABLE: Mapping[Action, Mapping[Role, Scope]] = {
    Action.SIGN_OUT: dict.fromkeys(Role, Scope.SUBTREE),
    Action.VIEW_OFFICE: {
        Role.STOREKEEPER: Scope.OWN,
        Role.MANAGER: Scope.SUBTREE,
        Role.VIEWER: Scope.SUBTREE,
        Role.ADMINISTRATOR: Scope.SUBTREE,
    },
    Action.VIEW_STOCK: {
        Role.STOREKEEPER: Scope.OWN,
        Role.MANAGER: Scope.SUBTREE,
        Role.VIEWER: Scope.SUBTREE,
    },
    Action.POST_MOVEMENT: {Role.STOREKEEPER: Scope.OWN},
    Action.RECORD_DELIVERY: {Role.STOREKEEPER: Scope.OWN},
    Action.REVERSE_MOVEMENT: {Role.STOREKEEPER: Scope.OWN, Role.MANAGER: Scope.SUBTREE},
    Action.SEND_TRANSFER: {Role.STOREKEEPER: Scope.OWN},
    Action.RECEIVE_TRANSFER: {Role.STOREKEEPER: Scope.OWN},
    Action.REQUEST_DELIVERY: {Role.STOREKEEPER: Scope.OWN, Role.MANAGER: Scope.SUBTREE},
    Action.ALLOT_DELIVERY: {Role.MANAGER: Scope.SUBTREE},
    Action.COUNT_STOCK: {Role.STOREKEEPER: Scope.OWN, Role.MANAGER: Scope.SUBTREE},
    Action.CLOSE_DAY: {Role.STOREKEEPER: Scope.OWN},
    Action.PROPOSE_DESTRUCTION: {Role.STOREKEEPER: Scope.OWN},
    # What takes blanks off the books without a resident's card waits for a second person: a count's loss, a
    # destruction, a write-off, the reversal of a receipt, a day's difference.
    Action.APPROVE: {Role.MANAGER: Scope.SUBTREE},
    Action.IMPORT_RECORDS: {Role.STOREKEEPER: Scope.OWN, Role.MANAGER: Scope.SUBTREE},
    # What the office knows of the demand to come: residents enrolled and waiting, equipment; outreach, caps.
    Action.RECORD_FIGURES: {Role.STOREKEEPER: Scope.OWN, Role.MANAGER: Scope.SUBTREE},
    Action.PLAN_OUTREACH: {Role.STOREKEEPER: Scope.OWN, Role.MANAGER: Scope.SUBTREE},
    Action.VIEW_ALERT: {
        Role.STOREKEEPER: Scope.OWN,
        Role.MANAGER: Scope.SUBTREE,
        Role.VIEWER: Scope.SUBTREE,
    },
    # Whoever answers for the office says that a case is seen, whose it is, and what was done about it.
    Action.ACT_ON_ALERT: {Role.MANAGER: Scope.SUBTREE},
    # The head of an office answers for what it tells in public, and sees the stock that a board would tell of.
    Action.MANAGE_BOARD: {Role.MANAGER: Scope.SUBTREE},
    Action.VIEW_JOBS: {Role.MANAGER: Scope.SUBTREE, Role.ADMINISTRATOR: Scope.SUBTREE},
    Action.VIEW_AUDIT: {Role.MANAGER: Scope.SUBTREE, Role.ADMINISTRATOR: Scope.SUBTREE},
    Action.MANAGE_OFFICES: {Role.ADMINISTRATOR: Scope.SUBTREE},
    Action.MANAGE_PEOPLE: {Role.ADMINISTRATOR: Scope.SUBTREE},
}


FRESH = frozenset({Action.APPROVE, Action.REVERSE_MOVEMENT, Action.MANAGE_PEOPLE})
"""What asks anew who is there, when that was confirmed too long ago: a screen left open does not approve, reverse or
let people in. The undo of one's own newest entry, within its minutes, is none of these."""

NOT_FOR_MACHINES = frozenset(
    {
        Action.SIGN_OUT,
        Action.CLOSE_DAY,
        Action.APPROVE,
        Action.MANAGE_BOARD,
        Action.VIEW_JOBS,
        Action.VIEW_AUDIT,
        Action.MANAGE_OFFICES,
        Action.MANAGE_PEOPLE,
    }
)
"""Whatever a machine was allowed: a second person is a person, and so is whoever answers for an office."""


@dataclass(frozen=True)
class Grant:
    """A role at an office. `path` is the office's materialised path, ending in "/"."""

    role: Role
    path: str


@dataclass(frozen=True)
class Origin:
    """From where somebody acts: for the record of who did what, not for what they may do."""

    way: str = ""
    """`page`, `api`, `command` or `job`; empty where nobody said."""
    address: str = ""
    """The network address that the request came from."""
    request_id: str = ""
    """What ties the lines of a log and of the record to one request."""


@dataclass(frozen=True)
class Actor:
    """Who acts. `person_id` is None for the system itself (scheduled jobs, the command line)."""

    person_id: int | None
    name: str
    grants: tuple[Grant, ...] = ()
    is_system: bool = False
    origin: Origin = Origin()
    scopes: frozenset[Action] | None = None
    """For a machine: what it was allowed, everywhere in `subtree`. None for people, whose grants say it."""
    subtree: str = ""


SYSTEM = Actor(person_id=None, name="system", is_system=True)
COMMAND = Actor(person_id=None, name="system", is_system=True, origin=Origin(way="command"))
"""The system, as whoever may run commands on its machine has it act."""
JOB = Actor(person_id=None, name="system", is_system=True, origin=Origin(way="job"))
"""The system, by a scheduled job."""


@dataclass(frozen=True)
class Reach:
    """Where an actor may do one thing: these very offices, and these subtrees (paths)."""

    offices: tuple[str, ...] = ()
    subtrees: tuple[str, ...] = ()
    everywhere: bool = False

    def includes(self, path: str) -> bool:
        return self.everywhere or path in self.offices or any(path.startswith(top) for top in self.subtrees)


def reach(actor: Actor, action: Action) -> Reach:
    """Every office in which `actor` may do `action`; both tuples empty when there is none."""
    if actor.is_system:
        return Reach(everywhere=True)
    if actor.scopes is not None:
        allowed = action in actor.scopes - NOT_FOR_MACHINES and actor.subtree
        return Reach(subtrees=(actor.subtree,) if allowed else ())
    by_role = TABLE[action]
    granted = [(grant.path, by_role[grant.role]) for grant in actor.grants if grant.role in by_role]
    return Reach(
        offices=tuple(sorted({path for path, scope in granted if scope is Scope.OWN})),
        subtrees=tuple(sorted({path for path, scope in granted if scope is Scope.SUBTREE})),
    )


def may_somewhere(actor: Actor, action: Action) -> bool:
    found = reach(actor, action)
    return found.everywhere or bool(found.offices or found.subtrees)


def may(actor: Actor, action: Action, path: str) -> bool:
    return reach(actor, action).includes(path)


def require(actor: Actor, action: Action, path: str) -> None:
    """Raises NotAllowed unless `actor` may do `action` at the office with this path."""
    if not may(actor, action, path):
        raise NotAllowed("not_allowed", action=action.value)
