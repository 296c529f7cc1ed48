"""What offices know of demand to come: outreach plans, events, day caps, clearing rates, digital identities."""

import sqlalchemy as sa
from alembic import op

revision = "20261123_plans"
down_revision = "20261123_coverage"
branch_labels = None
depends_on = None

TRIGGERS = {
    "sqlite": (
        """
        CREATE TRIGGER outreach_plans_closed_once BEFORE UPDATE ON outreach_plans WHEN OLD.status <> 'planned'
        BEGIN SELECT RAISE(ABORT, 'an outreach plan is closed once and never deleted'); END
        """,
        """
        CREATE TRIGGER outreach_plans_no_delete BEFORE DELETE ON outreach_plans
        BEGIN SELECT RAISE(ABORT, 'an outreach plan is closed once and never deleted'); END
        """,
    ),
    "postgresql": (
        """
        CREATE FUNCTION outreach_plans_are_closed_once() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' OR OLD.status <> 'planned' THEN
                RAISE EXCEPTION 'an outreach plan is closed once and never deleted' USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER outreach_plans_closed_once BEFORE UPDATE OR DELETE ON outreach_plans
        FOR EACH ROW EXECUTE FUNCTION outreach_plans_are_closed_once()
        """,
    ),
}


def upgrade():
    op.create_table(
        "clearing_rates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("per_day", sa.Integer(), nullable=True),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("stated_on", sa.Date(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("stated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stated_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("source <> ''", name=op.f("ck_clearing_rates_source")),
        sa.CheckConstraint("per_day BETWEEN 1 AND 10000000", name=op.f("ck_clearing_rates_per_day")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_clearing_rates_item_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_clearing_rates_office_id")),
        sa.ForeignKeyConstraint(["stated_by_id"], ["people.id"], name=op.f("fk_clearing_rates_stated_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clearing_rates")),
        sa.UniqueConstraint("request_id", name=op.f("uq_clearing_rates_request_id")),
    )
    op.create_index("ix_clearing_rates_office_id_item_id", "clearing_rates", ["office_id", "item_id"])
    op.create_table(
        "day_caps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("most_a_day", sa.Integer(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_by_id", sa.Integer(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.String(length=500), server_default="", nullable=False),
        sa.CheckConstraint("last_day >= first_day", name=op.f("ck_day_caps_days")),
        sa.CheckConstraint("most_a_day BETWEEN 1 AND 10000000", name=op.f("ck_day_caps_most_a_day")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_day_caps_version")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_day_caps_item_id")),
        sa.ForeignKeyConstraint(["made_by_id"], ["people.id"], name=op.f("fk_day_caps_made_by_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_day_caps_office_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_day_caps")),
    )
    op.create_index("ix_day_caps_office_id_item_id", "day_caps", ["office_id", "item_id"])
    op.create_table(
        "digital_shares",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("stated_on", sa.Date(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("stated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stated_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("source <> ''", name=op.f("ck_digital_shares_source")),
        sa.CheckConstraint("share BETWEEN 0 AND 0.9", name=op.f("ck_digital_shares_share")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_digital_shares_office_id")),
        sa.ForeignKeyConstraint(["stated_by_id"], ["people.id"], name=op.f("fk_digital_shares_stated_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_digital_shares")),
        sa.UniqueConstraint("request_id", name=op.f("uq_digital_shares_request_id")),
    )
    op.create_index(op.f("ix_digital_shares_office_id"), "digital_shares", ["office_id"])
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=True),
        sa.Column("factor", sa.Double(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_by_id", sa.Integer(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('election', 'school_enrolment', 'other')", name=op.f("ck_events_kind")),
        sa.CheckConstraint("name <> ''", name=op.f("ck_events_name")),
        sa.CheckConstraint("factor BETWEEN 0.1 AND 5.0", name=op.f("ck_events_factor")),
        sa.CheckConstraint("last_day >= first_day", name=op.f("ck_events_days")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_events_version")),
        sa.ForeignKeyConstraint(["made_by_id"], ["people.id"], name=op.f("fk_events_made_by_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_events_office_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_last_day", "events", ["last_day"])
    op.create_index(op.f("ix_events_office_id"), "events", ["office_id"])
    op.create_table(
        "outreach_plans",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("place", sa.String(length=120), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=True),
        sa.Column("team", sa.String(length=120), server_default="", nullable=False),
        sa.Column("starts", sa.Time(), nullable=True),
        sa.Column("ends", sa.Time(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_by_id", sa.Integer(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.String(length=500), server_default="", nullable=False),
        sa.CheckConstraint("(status = 'planned') = (closed_at IS NULL)", name=op.f("ck_outreach_plans_closed")),
        sa.CheckConstraint("place <> ''", name=op.f("ck_outreach_plans_place")),
        sa.CheckConstraint("status IN ('planned', 'held', 'called_off')", name=op.f("ck_outreach_plans_status")),
        sa.CheckConstraint(
            "(starts IS NULL AND ends IS NULL) OR (starts IS NOT NULL AND ends IS NOT NULL AND starts < ends)",
            name=op.f("ck_outreach_plans_hours"),
        ),
        sa.CheckConstraint("team_id IS NULL OR team_id <> office_id", name=op.f("ck_outreach_plans_team")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_outreach_plans_version")),
        sa.ForeignKeyConstraint(["made_by_id"], ["people.id"], name=op.f("fk_outreach_plans_made_by_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_outreach_plans_office_id")),
        sa.ForeignKeyConstraint(["team_id"], ["offices.id"], name=op.f("fk_outreach_plans_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outreach_plans")),
    )
    op.create_index("ix_outreach_plans_day", "outreach_plans", ["day"])
    op.create_index("ix_outreach_plans_office_id_day", "outreach_plans", ["office_id", "day"])
    op.create_table(
        "plan_steps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=16), nullable=False),
        sa.Column("subject_id", sa.Integer(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=True),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("note", sa.String(length=500), server_default="", nullable=False),
        sa.CheckConstraint(
            "step IN ('added', 'changed', 'called_off', 'held', 'removed')", name=op.f("ck_plan_steps_step")
        ),
        sa.CheckConstraint("subject IN ('outreach', 'event', 'cap')", name=op.f("ck_plan_steps_subject")),
        sa.ForeignKeyConstraint(["by_id"], ["people.id"], name=op.f("fk_plan_steps_by_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_plan_steps_office_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_steps")),
        sa.UniqueConstraint("request_id", name=op.f("uq_plan_steps_request_id")),
    )
    op.create_index(op.f("ix_plan_steps_office_id"), "plan_steps", ["office_id"])
    op.create_index("ix_plan_steps_subject_subject_id", "plan_steps", ["subject", "subject_id"])
    op.create_table(
        "event_items",
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_event_items_event_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_event_items_item_id")),
        sa.PrimaryKeyConstraint("event_id", "item_id", name=op.f("pk_event_items")),
    )
    op.create_table(
        "outreach_plan_lines",
        sa.Column("outreach_plan_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("actual", sa.Integer(), nullable=True),
        sa.CheckConstraint("actual BETWEEN 0 AND 10000000", name=op.f("ck_outreach_plan_lines_actual")),
        sa.CheckConstraint("expected BETWEEN 1 AND 10000000", name=op.f("ck_outreach_plan_lines_expected")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_outreach_plan_lines_item_id")),
        sa.ForeignKeyConstraint(
            ["outreach_plan_id"], ["outreach_plans.id"], name=op.f("fk_outreach_plan_lines_outreach_plan_id")
        ),
        sa.PrimaryKeyConstraint("outreach_plan_id", "item_id", name=op.f("pk_outreach_plan_lines")),
    )
    # Added in place on SQLite too: a batch would copy the table.
    op.execute(
        "ALTER TABLE calendar_days ADD COLUMN by_plan BOOLEAN DEFAULT false NOT NULL"
        " CONSTRAINT ck_calendar_days_by_plan CHECK (NOT by_plan OR open)"
    )
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade():
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    op.execute("DROP TRIGGER outreach_plans_closed_once" + (" ON outreach_plans" if on_postgresql else ""))
    if on_postgresql:
        op.execute("DROP FUNCTION outreach_plans_are_closed_once()")
    else:
        op.execute("DROP TRIGGER outreach_plans_no_delete")
    op.execute("ALTER TABLE calendar_days DROP COLUMN by_plan")
    op.drop_table("outreach_plan_lines")
    op.drop_table("event_items")
    op.drop_index("ix_plan_steps_subject_subject_id", table_name="plan_steps")
    op.drop_index(op.f("ix_plan_steps_office_id"), table_name="plan_steps")
    op.drop_table("plan_steps")
    op.drop_index("ix_outreach_plans_office_id_day", table_name="outreach_plans")
    op.drop_index("ix_outreach_plans_day", table_name="outreach_plans")
    op.drop_table("outreach_plans")
    op.drop_index(op.f("ix_events_office_id"), table_name="events")
    op.drop_index("ix_events_last_day", table_name="events")
    op.drop_table("events")
    op.drop_index(op.f("ix_digital_shares_office_id"), table_name="digital_shares")
    op.drop_table("digital_shares")
    op.drop_index("ix_day_caps_office_id_item_id", table_name="day_caps")
    op.drop_table("day_caps")
    op.drop_index("ix_clearing_rates_office_id_item_id", table_name="clearing_rates")
    op.drop_table("clearing_rates")
