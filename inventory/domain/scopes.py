"""What a machine may be allowed: scopes, each a few actions. What waits for a second person is never among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from inventory.domain.access import Action
from inventory.domain.errors import Invalid
from inventory.domain.texts import check_text

NAME_LENGTH = 120
PURPOSE_LENGTH = 240
TOKEN_NAME_LENGTH = 80
TOKEN_LASTS_AT_MOST = timedelta(days=366)
USUAL_TOKEN_DAYS = 90


class ApiScope(StrEnum):
    STOCK_READ = "stock:read"
    ALERTS_READ = "alerts:read"
    ALERTS_WRITE = "alerts:write"
    MOVEMENTS_WRITE = "movements:write"
    MOVEMENTS_REVERSE = "movements:reverse"
    DELIVERIES_WRITE = "deliveries:write"
    REQUESTS_WRITE = "requests:write"
    TRANSFERS_WRITE = "transfers:write"
    STOCKTAKES_WRITE = "stocktakes:write"
    DESTRUCTIONS_WRITE = "destructions:write"
    FIGURES_WRITE = "figures:write"
    ALLOTMENTS_WRITE = "allotments:write"
    IMPORTS_WRITE = "imports:write"


ACTIONS: Mapping[ApiScope, frozenset[Action]] = {
    ApiScope.STOCK_READ: frozenset({Action.VIEW_OFFICE, Action.VIEW_STOCK}),
    ApiScope.ALERTS_READ: frozenset({Action.VIEW_ALERT}),
    ApiScope.ALERTS_WRITE: frozenset({Action.ACT_ON_ALERT}),
    ApiScope.MOVEMENTS_WRITE: frozenset({Action.POST_MOVEMENT}),
    ApiScope.MOVEMENTS_REVERSE: frozenset({Action.REVERSE_MOVEMENT}),
    ApiScope.DELIVERIES_WRITE: frozenset({Action.RECORD_DELIVERY}),
    ApiScope.REQUESTS_WRITE: frozenset({Action.REQUEST_DELIVERY}),
    ApiScope.TRANSFERS_WRITE: frozenset({Action.SEND_TRANSFER, Action.RECEIVE_TRANSFER}),
    ApiScope.STOCKTAKES_WRITE: frozenset({Action.COUNT_STOCK}),
    ApiScope.DESTRUCTIONS_WRITE: frozenset({Action.PROPOSE_DESTRUCTION}),
    ApiScope.FIGURES_WRITE: frozenset({Action.RECORD_FIGURES, Action.PLAN_OUTREACH}),
    ApiScope.ALLOTMENTS_WRITE: frozenset({Action.ALLOT_DELIVERY}),
    ApiScope.IMPORTS_WRITE: frozenset({Action.IMPORT_RECORDS}),
}


def actions_of(scopes: Iterable[ApiScope]) -> frozenset[Action]:
    """All that these scopes allow together."""
    return frozenset(action for scope in scopes for action in ACTIONS[scope])


def scopes_for(action: Action) -> tuple[ApiScope, ...]:
    """The scopes of which one is needed for `action`; none where it is never a machine's."""
    return tuple(scope for scope, actions in ACTIONS.items() if action in actions)


def check_scopes(texts: Iterable[str]) -> tuple[ApiScope, ...]:
    """The scopes that are named, each once, in their own order. Raises Invalid `scope_unknown`, `scopes_missing`."""
    wanted = set(texts)
    unknown = sorted(wanted - set(ApiScope))
    if unknown:
        raise Invalid("scope_unknown", scope=unknown[0][:40])
    if not wanted:
        raise Invalid("scopes_missing")
    return tuple(scope for scope in ApiScope if scope in wanted)


def check_account(name: str, purpose: str) -> tuple[str, str]:
    """Name and purpose without space around them. Raises Invalid `name_missing`, `text_too_long`, …"""
    name, purpose = check_text(name, NAME_LENGTH), check_text(purpose, PURPOSE_LENGTH)
    if not name:
        raise Invalid("name_missing")
    return name, purpose


def check_token(name: str, now: datetime, expires_at: datetime) -> str:
    """The name of a new token. Raises Invalid `name_missing`, `text_too_long`, `token_lasts`."""
    name = check_text(name, TOKEN_NAME_LENGTH)
    if not name:
        raise Invalid("name_missing")
    if not now < expires_at <= now + TOKEN_LASTS_AT_MOST:
        raise Invalid("token_lasts", days=TOKEN_LASTS_AT_MOST.days)
    return name
