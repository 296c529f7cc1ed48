"""Who asks, and what they may do."""

from __future__ import annotations

from typing import Any

from flask import g
from flask_wtf.csrf import generate_csrf
from marshmallow import fields

from inventory import text
from inventory.api.auth import needs
from inventory.api.fields import Instant
from inventory.api.schemas import Schema
from inventory.api.specification import Resource
from inventory.domain.access import Action, may_somewhere
from inventory.domain.offices import OfficeKind
from inventory.security import now
from inventory.services import offices

blueprint = Resource("session", __name__, description="Who asks, and what they may do.")


class PlaceSchema(Schema):
    code = fields.String(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True, metadata={"enum": [kind.value for kind in OfficeKind]})


class SessionSchema(Schema):
    kind = fields.String(required=True, metadata={"enum": ["person", "service"]})
    name = fields.String(required=True)
    language = fields.String(required=True, metadata={"enum": ["id", "en"]})
    now = Instant(required=True)
    actions = fields.List(fields.String(), required=True, metadata={"description": "What they may do somewhere."})
    roles = fields.List(fields.String(), required=True, metadata={"description": "A person's."})
    scopes = fields.List(fields.String(), required=True, metadata={"description": "A machine's."})
    offices = fields.List(
        fields.Nested(PlaceSchema), required=True, metadata={"description": "Where their reach begins."}
    )
    csrf_token = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "To be sent as `X-CSRFToken` with what changes something; null for a machine."},
    )


EXAMPLE = {
    "kind": "service",
    "name": "Sistem antrean Denpasar",
    "language": "id",
    "now": "2024-05-15T03:00:00Z",
    "actions": ["view_office", "view_stock", "post_movement"],
    "roles": [],
    "scopes": ["stock:read", "movements:write"],
    "offices": [{"code": "51.71", "name": "Kota Denpasar", "kind": "city"}],
    "csrf_token": None,
}


@blueprint.route("/session")
@needs(None)
@blueprint.response(200, SessionSchema, example=EXAMPLE)
def show() -> Any:
    """Who asks, what they may do, and where"""
    actor, bearer = g.actor, g.get("bearer")
    return {
        "kind": "person" if bearer is None else "service",
        "name": actor.name,
        "language": text.language(),
        "now": now(),
        "actions": [action.value for action in Action if may_somewhere(actor, action)],
        "roles": sorted({grant.role.value for grant in actor.grants}),
        "scopes": [] if bearer is None else [scope.value for scope in bearer.scopes],
        "offices": offices.tops(actor, Action.VIEW_OFFICE),
        "csrf_token": generate_csrf() if bearer is None else None,
    }
