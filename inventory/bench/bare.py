"""What the application is measured against: a Flask application with nothing in it but the core statement, or nothing.

It has no log-in, no permission, no validation, and answers nothing that anybody could use. It shares the tables, with
their constraints and triggers, so the difference is what the application itself does.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from flask import Flask, request
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy

from inventory import config

CORE = """
WITH changed AS (
    UPDATE balances SET store = store - {quantity}, printed = printed + {quantity}, last_seq = last_seq + 1,
        last_on = {day}
    WHERE office_id = {office} AND item_id = {item} AND store >= {quantity}
    RETURNING office_id, item_id, last_seq
), moved AS (
    INSERT INTO movements (office_id, item_id, seq, kind, reason, quantity, effective_on, recorded_at, request_id,
        request_line, request_digest)
    SELECT office_id, item_id, last_seq, 'print', 'new', {quantity}, {day}, {now}, {request}, 1, 'bench' FROM changed
    RETURNING id, seq
), total AS (
    INSERT INTO daily_totals (office_id, item_id, day, kind, reason, quantity)
    SELECT office_id, item_id, {day}, 'print', 'new', {quantity} FROM changed
    ON CONFLICT (office_id, item_id, day, kind, reason)
    DO UPDATE SET quantity = daily_totals.quantity + excluded.quantity
)
SELECT id, seq FROM moved
"""
"""The core of a posting as one statement: the balance conditionally, the movement, the daily total."""


def create_app() -> Flask:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = config.load({}).DATABASE_URL
    db = SQLAlchemy(app)
    names = ("office", "item", "quantity", "day", "now", "request")
    core = db.text(CORE.format(**{name: f":{name}" for name in names}))

    @app.get("/empty")
    def empty() -> ResponseReturnValue:
        return {"movements": []}

    @app.post("/movements")
    def post() -> ResponseReturnValue:
        asked = request.get_json()
        values = {name: asked[name] for name in ("office", "item", "quantity")}
        now = datetime.now(UTC)
        row = db.session.execute(core, {**values, "day": now.date(), "now": now, "request": uuid4()}).one()
        db.session.commit()
        return {"movements": [{"id": row.id, "seq": row.seq}]}, 201

    return app
