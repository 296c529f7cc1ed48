"""An alert becomes a case: whose it is, who has seen it, how long it sleeps, how it ended; and the stocks that postings
changed, which wait for a look at their case."""

import sqlalchemy as sa
from alembic import op

revision = "20261125_cases"
down_revision = "20261124_recalled_drafts"
branch_labels = None
depends_on = None

SUBJECTS_BEFORE = "'low_stock', 'overdue_transfer', 'spoiled_not_destroyed', 'day_not_closed', 'day_difference'"
NEW_SUBJECTS = "'count_difference', 'consumable_first', 'model_worse', 'job_not_run'"
ALERTS = {
    "subject": f"subject IN ({SUBJECTS_BEFORE}, {NEW_SUBJECTS})",
    "resolved": "level <> 'ok' OR resolved_at IS NOT NULL",
    "done": "(done IS NULL) = (resolved_at IS NULL)",
    "how": "done IN ('ordered', 'allotted', 'lent', 'other', 'relieved')",
    "relieved": "done IS NULL OR done <> 'relieved' OR level = 'ok'",
    "acknowledged": "(acknowledged_at IS NULL) = (acknowledged_by_id IS NULL)",
    "snoozed_while_open": "resolved_at IS NULL OR (snoozed_until IS NULL AND snoozed_level IS NULL)",
    "snoozed_level": "snoozed_level IN ('unknown', 'watch', 'low', 'critical', 'out')",
    "reopened": "reopened >= 0",
}
ALERTS_BEFORE = {
    "subject": f"subject IN ({SUBJECTS_BEFORE})",
    "resolved": "(level = 'ok') = (resolved_at IS NOT NULL)",
}
EVENTS = {
    "kind": "kind IN ('level', 'acknowledged', 'owner', 'snoozed', 'woken', 'comment', 'resolved', 'reopened')",
    "change": "(kind = 'level') = (from_level <> to_level)",
    "person": "(kind IN ('level', 'woken', 'reopened')) = (person_id IS NULL)",
    "comment": "kind <> 'comment' OR words <> ''",
}
EVENTS_BEFORE = {"change": "from_level <> to_level"}


def upgrade():
    _alerts_with_people()
    _events_of_people()
    op.create_table(
        "case_acts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('acknowledge', 'assign', 'snooze', 'comment', 'resolve')", name=op.f("ck_case_acts_kind")
        ),
        sa.CheckConstraint("changed >= 1", name=op.f("ck_case_acts_changed")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_case_acts_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_acts")),
        sa.UniqueConstraint("request_id", name=op.f("uq_case_acts_request_id")),
    )
    op.create_table(
        "stock_checks",
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("postings", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("postings >= 1", name=op.f("ck_stock_checks_postings")),
        sa.ForeignKeyConstraint(
            ["office_id", "item_id"],
            ["balances.office_id", "balances.item_id"],
            name=op.f("fk_stock_checks_office_id_item_id"),
        ),
        sa.PrimaryKeyConstraint("office_id", "item_id", name=op.f("pk_stock_checks")),
    )
    op.create_index("ix_stock_checks_since", "stock_checks", ["since"])


def _alerts_with_people():
    with op.batch_alter_table("alerts") as batch_op:
        _drop_checks(batch_op, "alerts", ALERTS_BEFORE)
        batch_op.add_column(sa.Column("owner_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("acknowledged_by_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("snoozed_until", sa.Date(), nullable=True))
        batch_op.add_column(sa.Column("snoozed_level", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("done", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("reopened", sa.Integer(), server_default="0", nullable=False))
    # Until now, what was resolved had come to its end by itself.
    op.execute("UPDATE alerts SET done = 'relieved' WHERE resolved_at IS NOT NULL")
    with op.batch_alter_table("alerts") as batch_op:
        _create_checks(batch_op, "alerts", ALERTS)
        for column in ("owner_id", "acknowledged_by_id"):
            batch_op.create_foreign_key(op.f(f"fk_alerts_{column}"), "people", [column], ["id"])


def _events_of_people():
    with op.batch_alter_table("alert_events") as batch_op:
        _drop_checks(batch_op, "alert_events", EVENTS_BEFORE)
        batch_op.add_column(sa.Column("kind", sa.String(length=16), server_default="level", nullable=False))
        batch_op.add_column(sa.Column("person_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("words", sa.String(length=500), server_default="", nullable=False))
        _create_checks(batch_op, "alert_events", EVENTS)
        batch_op.create_foreign_key(op.f("fk_alert_events_person_id"), "people", ["person_id"], ["id"])


def downgrade():
    op.drop_index("ix_stock_checks_since", "stock_checks")
    op.drop_table("stock_checks")
    op.drop_table("case_acts")
    # What people did has no place any more, nor have the subjects that came with it.
    op.execute(f"DELETE FROM alert_events WHERE alert_id IN (SELECT id FROM alerts WHERE subject IN ({NEW_SUBJECTS}))")
    op.execute(f"DELETE FROM alerts WHERE subject IN ({NEW_SUBJECTS})")
    op.execute("DELETE FROM alert_events WHERE kind <> 'level'")
    with op.batch_alter_table("alert_events") as batch_op:
        batch_op.drop_constraint(op.f("fk_alert_events_person_id"), type_="foreignkey")
        _drop_checks(batch_op, "alert_events", EVENTS)
        for column in ("kind", "person_id", "words"):
            batch_op.drop_column(column)
        _create_checks(batch_op, "alert_events", EVENTS_BEFORE)
    with op.batch_alter_table("alerts") as batch_op:
        for column in ("owner_id", "acknowledged_by_id"):
            batch_op.drop_constraint(op.f(f"fk_alerts_{column}"), type_="foreignkey")
        _drop_checks(batch_op, "alerts", ALERTS)
    op.execute("UPDATE alerts SET level = 'ok' WHERE resolved_at IS NOT NULL")
    with op.batch_alter_table("alerts") as batch_op:
        for column in ("owner_id", "acknowledged_at", "acknowledged_by_id", "snoozed_until", "snoozed_level"):
            batch_op.drop_column(column)
        for column in ("done", "reopened"):
            batch_op.drop_column(column)
        _create_checks(batch_op, "alerts", ALERTS_BEFORE)


def _drop_checks(batch_op, table, checks):
    for name in checks:
        batch_op.drop_constraint(op.f(f"ck_{table}_{name}"), type_="check")


def _create_checks(batch_op, table, checks):
    for name, condition in checks.items():
        batch_op.create_check_constraint(op.f(f"ck_{table}_{name}"), condition)
