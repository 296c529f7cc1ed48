"""The public board: for anybody, without a log-in, and the page on which a manager chooses what it shows.

What is public is the same for everybody: it reads no session and sets no cookie, so that caches may keep it for a
minute. Its language is the one in the address (`?lang=`), which the board's own links and those of the office's pages
carry along, or else what the browser asks for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from flask_babel import force_locale, gettext
from markupsafe import Markup
from wtforms import BooleanField, HiddenField, RadioField, SelectMultipleField
from wtforms.widgets import CheckboxInput

from inventory import security, text
from inventory.domain.access import Action
from inventory.domain.boards import SENTENCE_LENGTH, Choice, Level, Precision, Shown
from inventory.domain.errors import NotFound
from inventory.services import boards, offices
from inventory.services.boards import BoardView, ItemShown
from inventory.web.documents import link_base
from inventory.web.forms import PostingForm, QuantityField, WordsField, choices, item_names
from inventory.web.forms import lazy as _

blueprint = Blueprint("boards", __name__)

LEVELS = {Level.AVAILABLE: _("available"), Level.FEW: _("few"), Level.NONE: _("none")}
PRECISIONS = {
    Precision.LEVEL: _("only whether there are any: available, few, none"),
    Precision.HUNDREDS: _("rounded down to hundreds"),
    Precision.TENS: _("rounded down to tens"),
    Precision.EXACT: _("the exact number"),
}
KEPT = "public, max-age=60, stale-while-revalidate=30"
"""By caches: a board that is turned off is gone everywhere a minute and a half later."""
COLOURS = {Level.AVAILABLE: "#14663a", Level.FEW: "#7a5200", Level.NONE: "#b00020"}
"""Of a badge, under white letters: each in a contrast of at least 6 to 1."""
PADDING = 8
"""Pixels of a badge beside its words."""
THIN, WIDE, BOLD = "iljtfrI.,:;'|()[] -·", "mwMW@%", 1.14


class BoardForm(PostingForm):
    REFUSED_FIELDS = {"board_items_missing": "items", "board_item_unknown": "items"}

    on = BooleanField(_("Show the board to everybody"))
    items = SelectMultipleField(_("Which items"), choices=[], option_widget=CheckboxInput())
    precision = RadioField(_("How closely"), choices=[])
    few_below = QuantityField(
        _("Say “few” below"),
        required=True,
        description=_("Below this number residents read “few”. Alerts are not affected."),
    )
    sentence = WordsField(
        _("A sentence of your own"),
        most=SENTENCE_LENGTH,
        description=_("Such as: Cards are printed Monday to Friday. No names of residents."),
    )
    confirmed = BooleanField(_("Say when the stock was last counted"))
    version = HiddenField()

    @classmethod
    def of(cls, choice: Choice, version: int) -> BoardForm:
        """The form with what was chosen last."""
        said = {"on": choice.on, "items": list(choice.item_codes), "precision": choice.precision.value}
        said |= {"few_below": choice.few_below, "sentence": choice.sentence, "confirmed": choice.confirmed}
        form = cls(**said, version=str(version))
        form.items.choices = choices(item_names())
        form.precision.choices = choices({each.value: words for each, words in PRECISIONS.items()})
        return form

    def choice(self) -> Choice:
        return Choice(
            on=bool(self.on.data),
            item_codes=tuple(self.items.data or ()),
            precision=Precision(self.precision.data),
            few_below=self.few_below.data,
            sentence=self.sentence.data or "",
            confirmed=bool(self.confirmed.data),
        )

    @property
    def seen_version(self) -> int:
        typed = self.version.data or ""
        return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 9 else -1


# --- for everybody -----------------------------------------------------------------------------------------------


def public_as(missing: Callable[[], Response]) -> Callable[[Any], Any]:
    """A view for anybody. An office that is not there and one that shows no board give the same answer."""

    def decorate(view: Any) -> Any:
        @wraps(view)
        def shown(*args: Any, **kwargs: Any) -> Response:
            try:
                return view(*args, **kwargs)
            except NotFound:
                answer = missing()
                answer.status_code = 404
                answer.headers["Cache-Control"] = "no-store"
                return answer

        return security.public(shown)

    return decorate


def _no_page() -> Response:
    return Response(_page("boards/missing.html"), mimetype="text/html")


def _no_data() -> Response:
    body = json.dumps({"status": 404, "title": "Not Found"})
    headers = {"Access-Control-Allow-Origin": "*"}
    return Response(body, mimetype="application/problem+json", headers=headers)


def _no_badge() -> Response:
    return Response("", mimetype="text/plain", headers={"Access-Control-Allow-Origin": "*"})


@blueprint.get("/board")
@public_as(_no_page)
def index() -> Response:
    words = request.args.get("q", "").strip()[: boards.WORDS_LENGTH].replace("\x00", "")
    asked = request.args.get("page", "1")
    page = int(asked) if asked.isascii() and asked.isdigit() and 0 < len(asked) < 6 else 1
    found, more = boards.listed(words, page)
    return _published(
        _page("boards/index.html", found=found, more=more, words=words, page=max(1, page)), "text/html", _by_header()
    )


@blueprint.get("/board/<code:code>")
@public_as(_no_page)
def show(code: str) -> Response:
    board = boards.show(code, security.now())
    return _published(_page("boards/show.html", board=board), "text/html", _by_header())


@blueprint.get("/board/<code:code>.json")
@public_as(_no_data)
def data(code: str) -> Response:
    """Its fields are promised in the README."""
    board = boards.show(code, security.now())
    body = json.dumps(_facts(board), ensure_ascii=False, indent=1)
    return _for_other_sites(_published(body, "application/json"))


@blueprint.get("/board/<code:code>.svg")
@public_as(_no_badge)
def badge(code: str) -> Response:
    """One item as a little picture, for other sites. Its language is that of the site, so it is in the address."""
    board = boards.show(code, security.now())
    asked = request.args.get("lang", "")
    language = asked if asked in text.LANGUAGES else current_app.config["SETTINGS"].LANGUAGE
    with force_locale(language):
        drawn = _template("boards/badge.svg", badge=_badge(board, board.item(request.args.get("item")), language))
    return _for_other_sites(_published(drawn, "image/svg+xml"))


# --- for the manager ---------------------------------------------------------------------------------------------


@blueprint.route("/offices/<code:code>/board", methods=["GET", "POST"])
@security.needs(Action.MANAGE_BOARD)
def choose(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.MANAGE_BOARD, code)
    chosen, version = boards.current(actor, code)
    form, preview = BoardForm.of(chosen, version), None
    if request.form.get("do") == "preview":
        preview = form.accept(lambda: boards.preview(actor, now, code, form.choice()))
    elif form.accept(lambda: boards.choose(actor, now, form.request_uuid, code, form.choice(), form.seen_version)):
        said = gettext("The board is shown to everybody now.") if form.on.data else gettext("The board is off.")
        flash(said, "success")
        return redirect(url_for("boards.choose", code=code), 303)
    stored = boards.preview(actor, now, code, chosen)
    shown = {
        "typed": preview is not None,
        "chosen": chosen,
        "board": preview or stored,
        "history": boards.history(actor, code),
        "names": item_names(),
        "address": link_base().rstrip("/") + url_for("boards.show", code=code),
        "to_copy": {each.code: _to_copy(office.name, code, each) for each in stored.items} if chosen.on else {},
    }
    return render_template("boards/choose.html", office=office, form=form, **shown, **_words()), form.status


# --- parts -------------------------------------------------------------------------------------------------------


def figure(shown: Shown) -> str:
    """A figure in short, as the reader's language groups it: 1.639, 1.630+, < 10; empty where none is shown."""
    if shown.least is None or shown.most is None:
        return ""
    if shown.exact:
        return text.number(shown.least)
    return f"< {text.number(shown.most + 1)}" if shown.least == 1 else f"{text.number(shown.least)}+"


def _words() -> dict[str, Any]:
    return {"LEVELS_SHOWN": LEVELS, "PRECISIONS": PRECISIONS, "figure": figure}


def _template(name: str, **shown: Any) -> str:
    # Not by Flask's own function: what it adds to every page asks for the session.
    return current_app.jinja_env.get_template(name).render(**shown, **_words())


def _to_copy(office_name: str, code: str, item: ItemShown) -> str:
    """The HTML that puts an item's badge on another site, in the reader's language."""
    base, language = link_base().rstrip("/"), text.language()
    page = base + url_for("boards.show", code=code, lang=language)
    picture = base + url_for("boards.badge", code=code, item=item.code, lang=language)
    words = gettext("Stock of %(item)s at %(office)s", item=item.names[language], office=office_name)
    html = Markup('<a href="{}"><img src="{}" alt="{}" height="24"></a>')
    return str(html.format(page, picture, words))


def _by_header() -> bool:
    return request.args.get("lang") not in text.LANGUAGES


def _page(name: str, **shown: Any) -> str:
    """A page in the language of the address or else of the browser."""
    default = current_app.config["SETTINGS"].LANGUAGE
    asked = request.accept_languages.best_match(list(text.LANGUAGES), default) if _by_header() else request.args["lang"]
    with force_locale(asked):
        return _template(name, shown_language=asked, kept=None if _by_header() else asked, **shown)


def _published(body: str, kind: str, by_header: bool = False) -> Response:
    """What anybody may keep for a minute; a reader who has it already gets 304 and no body."""
    response = Response(body, mimetype=kind, headers={"Cache-Control": KEPT})
    if by_header:
        response.vary.add("Accept-Language")
    response.set_etag(hashlib.sha256(body.encode()).hexdigest()[:32])
    response.make_conditional(request)
    return response


def _for_other_sites(response: Response) -> Response:
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def _facts(board: BoardView) -> dict[str, Any]:
    zone = ZoneInfo(board.time_zone)
    return {
        "office": {"code": board.office_code, "name": board.office_name},
        "day": board.day.isoformat(),
        "time_zone": board.time_zone,
        "precision": board.precision.value,
        "sentence": board.sentence,
        "confirmed_at": board.confirmed_at.astimezone(zone).isoformat("T", "seconds") if board.confirmed_at else None,
        "synthetic": board.synthetic,
        "items": [
            {
                "code": each.code,
                "names": each.names,
                "units": each.units,
                "level": each.shown.level.value,
                "least": each.shown.least,
                "most": each.shown.most,
            }
            for each in board.items
        ],
    }


def _badge(board: BoardView, item: ItemShown, language: str) -> dict[str, Any]:
    """Words and where they stand."""
    level, number = str(LEVELS[item.shown.level]), figure(item.shown)
    said = f"{number} · {level}" if number and item.shown.level is Level.FEW else number or level
    left = item.names[language] + (f" ({gettext('Synthetic data')})" if board.synthetic else "")
    widths = [_width(left), round(_width(said) * BOLD)]
    return {
        "language": language,
        "title": f"{board.office_name}, {left}: " + (f"{number} {item.units[language]} ({level})" if number else level),
        "left": left,
        "right": said,
        "widths": widths,
        "spaces": [width + 2 * PADDING for width in widths],
        "padding": PADDING,
        "colour": COLOURS[item.shown.level],
    }


def _width(words: str) -> int:
    """About how many pixels wide words are in eleven pixels of Verdana; the picture is set to be exactly so."""
    widths = (3.9 if c in THIN else 10 if c in WIDE else 7.2 if c.isupper() or c.isdigit() else 6.6 for c in words)
    return round(sum(widths))
