"""Offices within reach."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import g
from marshmallow import fields

from inventory import security
from inventory.api import etags
from inventory.api.auth import needs
from inventory.api.cursors import PageQuery, page
from inventory.api.etags import ETAG, versioned_change
from inventory.api.fields import Code, Share, Text, Week, Whole
from inventory.api.schemas import Schema, list_of
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.domain.errors import Refusal
from inventory.domain.offices import OfficeKind, OfficeSettings
from inventory.services import offices
from inventory.services.offices import OfficeView

blueprint = Resource("offices", __name__, description="Offices within reach.")


class OfficeSchema(Schema):
    code = fields.String(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True, metadata={"enum": [kind.value for kind in OfficeKind]})
    parent = fields.String(required=True, allow_none=True, metadata={"description": "Code of the office above."})
    time_zone = fields.String(required=True)
    population = fields.Integer(required=True, allow_none=True)
    active = fields.Boolean(required=True)


class SettingsSchema(Schema):
    lead_time_days = Whole(0, 250, required=True, metadata={"description": "Working days from asking to having."})
    review_period_days = Whole(1, 250, required=True)
    service_level = Share(0.5, 0.999, required=True)
    working_days = Week(required=True, metadata={"description": "Monday first, 1 for a working day."})
    destroy_within_days = Whole(1, 365, required=True, metadata={"description": "Calendar days."})


class OfficesQuery(PageQuery):
    under = Code(load_default=None, metadata={"description": "Only this office and those below it."})
    search = Text(80, load_default="", metadata={"description": "Part of the name, or the beginning of the code."})


EXAMPLE = {
    "code": "51.71",
    "name": "Kota Denpasar",
    "kind": "city",
    "parent": "51",
    "time_zone": "Asia/Makassar",
    "population": 670210,
    "active": True,
}


SETTINGS = {
    "lead_time_days": 14,
    "review_period_days": 5,
    "service_level": 0.95,
    "working_days": "1111100",
    "destroy_within_days": 30,
}


@blueprint.route("/offices")
@needs(Action.VIEW_OFFICE)
@blueprint.arguments(OfficesQuery, location="query")
@blueprint.response(200, list_of(OfficeSchema), example={"data": [EXAMPLE], "next": None})
def index(query: dict[str, Any]) -> Any:
    """Offices within reach, by code"""
    found, headers = page(
        query,
        (str,),
        lambda after, limit: offices.listed(
            g.actor,
            Action.VIEW_OFFICE,
            under=query["under"],
            words=query["search"],
            after=after[0] if after else None,
            limit=limit,
        ),
        lambda office: (office.code,),
    )
    return {**found, "data": [_told(office) for office in found["data"]]}, headers


@blueprint.route("/offices/<code:code>")
@needs(Action.VIEW_OFFICE)
@blueprint.response(200, OfficeSchema, example=EXAMPLE, headers=ETAG)
def show(code: str) -> Any:
    """One office"""
    told = _told(offices.get(g.actor, Action.VIEW_OFFICE, code))
    return etags.versioned(told, etags.tag(told))


@blueprint.route("/offices/<code:code>/settings")
@needs(Action.VIEW_OFFICE)
@blueprint.response(200, SettingsSchema, example=SETTINGS, headers=ETAG)
def settings(code: str) -> Any:
    """What an administrator has set for an office; its version is the `ETag`"""
    found = asdict(offices.get(g.actor, Action.VIEW_OFFICE, code).settings)
    return etags.versioned(found, etags.tag(found))


@blueprint.route("/offices/<code:code>/settings", methods=["PUT"])
@needs(Action.MANAGE_OFFICES, fields={"working_days_format": "/working_days"})
@versioned_change
@blueprint.arguments(SettingsSchema, example=SETTINGS)
@blueprint.response(200, SettingsSchema, example=SETTINGS, headers=ETAG)
def change_settings(body: dict[str, Any], code: str) -> Any:
    """Set them, as long as they are what somebody saw"""
    seen = offices.get(g.actor, Action.MANAGE_OFFICES, code).settings
    etags.check(etags.tag(asdict(seen)))
    try:
        changed = offices.change_settings(g.actor, security.now(), code, OfficeSettings(**body), seen=seen)
    except Refusal as refusal:
        if refusal.code == "version_stale":
            raise etags.stale() from None
        raise
    return etags.versioned(asdict(changed.settings), etags.tag(asdict(changed.settings)))


def _told(office: OfficeView) -> dict[str, Any]:
    above = office.path.strip("/").split("/")[:-1]
    return {
        "code": office.code,
        "name": office.name,
        "kind": office.kind.value,
        "parent": above[-1] if above else None,
        "time_zone": office.time_zone,
        "population": office.population,
        "active": office.active,
    }
