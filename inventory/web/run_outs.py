"""Who runs out of stock, by day: an office and those below it, drawn, told and listed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Blueprint, render_template, request
from flask_babel import gettext
from wtforms import SelectField

from inventory import security
from inventory.domain.access import Action
from inventory.services import offices, run_out_calendar
from inventory.services.run_out_calendar import DayAhead, RunOutCalendar
from inventory.web.forms import DayField, QueryForm, choices, item_names
from inventory.web.forms import lazy as _
from inventory.web.pictures import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, round_figures

blueprint = Blueprint("run_outs", __name__)

GAP = 0.3
"""Share of a day's place between two columns."""


class FilterForm(QueryForm):
    REFUSED_FIELDS = {"item_not_found": "item"}

    item = SelectField(_("Item"), choices=[], default="")
    day = DayField(_("Day"), required=False)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item.choices = choices({"": gettext("All items")} | item_names())

    @property
    def chosen(self) -> dict[str, str]:
        return {field.name: request.args[field.name] for field in self if request.args.get(field.name)}


@dataclass(frozen=True, kw_only=True)
class Column:
    """The offices that run out on one day, at their place on the picture."""

    x: float
    y: float
    width: float
    height: float
    day: date
    offices: int


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Columns of the days; a line and its band of how many are without stock by then, as SVG takes points."""

    columns: tuple[Column, ...]
    line: str
    band: str
    zero: float
    figures: tuple[tuple[float, int], ...]
    days: tuple[tuple[float, date], ...]


@blueprint.get("/run-outs")
@security.needs(Action.VIEW_ALERT)
def index() -> Any:
    return _page(None)


@blueprint.get("/offices/<code:code>/run-outs")
@security.needs(Action.VIEW_ALERT)
def show(code: str) -> Any:
    return _page(code)


def picture(days: tuple[DayAhead, ...]) -> Picture | None:
    """None where no office is expected to be without stock on any of the days."""
    most = max(each.at_most for each in days)
    if most == 0:
        return None
    place = (WIDTH - LEFT - RIGHT) / len(days)
    top = float(max(most, 4))

    def y(figure: float) -> float:
        return round(HEIGHT - BOTTOM - figure / top * (HEIGHT - TOP - BOTTOM), 1)

    def middle(number: int) -> float:
        return round(LEFT + (number + 0.5) * place, 1)

    def points(name: str) -> list[str]:
        return [f"{middle(number)},{y(getattr(each, name))}" for number, each in enumerate(days)]

    return Picture(
        columns=tuple(
            Column(
                x=round(middle(number) - place * (1 - GAP) / 2, 1),
                y=y(each.offices),
                width=round(place * (1 - GAP), 1),
                height=round(y(0) - y(each.offices), 1),
                day=each.day,
                offices=each.offices,
            )
            for number, each in enumerate(days)
        ),
        line=" ".join(points("by_then")),
        band=" ".join([*points("at_least"), *reversed(points("at_most"))]),
        zero=y(0),
        figures=tuple((y(figure), figure) for figure in round_figures(top)),
        days=tuple((middle(number), days[number].day) for number in range(0, len(days), 3)),
    )


def _page(code: str | None) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.VIEW_ALERT, code) if code else None
    form = FilterForm()
    found = form.read(
        lambda: run_out_calendar.of_office(
            actor, now, code, item_code=form.item.data or None, day=form.day.data, page=_asked_page()
        )
    )
    shown = render_template(
        "run_outs/show.html",
        office=office,
        above=offices.ancestors(actor, Action.VIEW_ALERT, office) if office else [],
        form=form,
        found=found,
        picture=picture(found.days) if found else None,
        busiest=_busiest(found),
        names=item_names(),
    )
    return shown, form.status


def _busiest(found: RunOutCalendar | None) -> DayAhead | None:
    """The first of the days on which most offices run out."""
    days = [each for each in found.days if each.offices] if found else []
    return max(days, key=lambda each: each.offices) if days else None


def _asked_page() -> int:
    asked = request.args.get("page", "")
    return int(asked) if re.fullmatch(r"[0-9]{1,6}", asked, re.ASCII) else 1
