"""The API for other systems: parse, call one service, answer."""

from __future__ import annotations

from importlib import import_module

from flask import Flask, g, request

from inventory.api import problems, specification
from inventory.text import LANGUAGES

ROOT = "/api/v1"

RESOURCES = (
    "session",
    "offices",
    "items",
    "balances",
    "movements",
    "cards",
    "changes",
    "deliveries",
    "requests",
    "transfers",
    "stocktakes",
    "destructions",
    "numbers",
    "projections",
    "alerts",
    "coverage",
    "outreach",
    "allotments",
    "suppliers",
    "exports",
    "boards",
)
"""The modules with resources, in the order in which the documentation shows them."""


def init_app(app: Flask) -> None:
    """After the pages, whose answers to errors give way below /api/."""
    app.before_request(_read_in_the_asked_language)
    api = specification.Api(app)
    csrf = app.extensions["csrf"]
    for name in (*RESOURCES, "docs"):
        blueprint = import_module(f"inventory.api.{name}").blueprint
        # What a person's log-in sends is held against its token by `auth`; a machine's has none.
        csrf.exempt(blueprint)
        if name == "docs":
            app.register_blueprint(blueprint, url_prefix=ROOT, name=f"api.{name}")
        else:
            api.register(blueprint, ROOT)
    problems.init_app(app)


def _read_in_the_asked_language() -> None:
    if request.path.startswith("/api/") and "Accept-Language" in request.headers:
        g.language = request.accept_languages.best_match(LANGUAGES)
