"""The ledger with its law and its triggers, offices and items, people, alerts and the runs of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_ledger"
down_revision = None
branch_labels = None
depends_on = None


# A reversal is its original's kind, reason, day and quantity taken back; the original is not itself a reversal.
IS_ITS_ORIGINAL = """
    SELECT 1 FROM movements AS original
    WHERE original.id = NEW.reverses_id
      AND original.reverses_id IS NULL
      AND original.office_id = NEW.office_id
      AND original.item_id = NEW.item_id
      AND original.kind = NEW.kind
      AND original.reason = NEW.reason
      AND original.quantity = -NEW.quantity
      AND original.served_waiting = -NEW.served_waiting
      AND original.effective_on = NEW.effective_on
"""

TRIGGERS = {
    "sqlite": (
        """
        CREATE TRIGGER movements_no_update BEFORE UPDATE ON movements
        BEGIN SELECT RAISE(ABORT, 'movements are append-only'); END
        """,
        """
        CREATE TRIGGER movements_no_delete BEFORE DELETE ON movements
        BEGIN SELECT RAISE(ABORT, 'movements are append-only'); END
        """,
        f"""
        CREATE TRIGGER movements_reversal BEFORE INSERT ON movements
        WHEN NEW.reverses_id IS NOT NULL AND NOT EXISTS ({IS_ITS_ORIGINAL})
        BEGIN SELECT RAISE(ABORT, 'a reversal must take back exactly its original'); END
        """,
    ),
    "postgresql": (
        """
        CREATE FUNCTION movements_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'movements are append-only' USING ERRCODE = 'restrict_violation';
        END $$
        """,
        """
        CREATE TRIGGER movements_no_change BEFORE UPDATE OR DELETE ON movements
        FOR EACH ROW EXECUTE FUNCTION movements_are_append_only()
        """,
        """
        CREATE TRIGGER movements_no_truncate BEFORE TRUNCATE ON movements
        FOR EACH STATEMENT EXECUTE FUNCTION movements_are_append_only()
        """,
        f"""
        CREATE FUNCTION movements_check_reversal() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS ({IS_ITS_ORIGINAL}) THEN
                RAISE EXCEPTION 'a reversal must take back exactly its original' USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER movements_reversal BEFORE INSERT ON movements
        FOR EACH ROW WHEN (NEW.reverses_id IS NOT NULL) EXECUTE FUNCTION movements_check_reversal()
        """,
    ),
}


def upgrade():
    op.create_table(
        "items",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("name_id", sa.String(length=120), nullable=False),
        sa.Column("name_en", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("unit_id", sa.String(length=20), nullable=False),
        sa.Column("unit_en", sa.String(length=20), nullable=False),
        sa.Column("pack_size", sa.Integer(), nullable=False),
        sa.Column("prints_per_unit", sa.Integer(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'consumable') = (prints_per_unit IS NOT NULL)", name=op.f("ck_items_prints_per_unit")
        ),
        sa.CheckConstraint("kind IN ('blank', 'consumable')", name=op.f("ck_items_kind")),
        sa.CheckConstraint("pack_size >= 1", name=op.f("ck_items_pack_size")),
        sa.CheckConstraint("prints_per_unit > 0", name=op.f("ck_items_prints_per_unit_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_items")),
        sa.UniqueConstraint("code", name=op.f("uq_items_code")),
    )
    op.create_table(
        "job_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job", sa.String(length=40), nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="1", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("slots_missed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("error", sa.String(length=2000), nullable=True),
        sa.Column("worker", sa.String(length=80), nullable=False),
        sa.CheckConstraint("status IN ('running', 'done', 'failed')", name=op.f("ck_job_runs_status")),
        sa.CheckConstraint("attempts >= 1", name=op.f("ck_job_runs_attempts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_runs")),
        sa.UniqueConstraint("job", "slot", name=op.f("uq_job_runs_job_slot")),
    )
    with op.batch_alter_table("job_runs", schema=None) as batch_op:
        batch_op.create_index("ix_job_runs_started_at", ["started_at"], unique=False)

    op.create_table(
        "offices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column(
            "path",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("time_zone", sa.String(length=40), nullable=False),
        sa.Column("lead_time_days", sa.Integer(), nullable=False),
        sa.Column("review_period_days", sa.Integer(), nullable=False),
        sa.Column("service_level", sa.Double(), nullable=False),
        sa.Column("working_days", sa.String(length=7), nullable=False),
        sa.Column("population", sa.Integer(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.CheckConstraint("(kind = 'ministry') = (parent_id IS NULL)", name=op.f("ck_offices_one_root")),
        sa.CheckConstraint(
            "kind IN ('ministry', 'province', 'regency', 'city', 'district', 'outreach')",
            name=op.f("ck_offices_kind"),
        ),
        sa.CheckConstraint(
            "working_days LIKE '_______' AND working_days <> '0000000'", name=op.f("ck_offices_working_days")
        ),
        sa.CheckConstraint("lead_time_days BETWEEN 0 AND 250", name=op.f("ck_offices_lead_time_days")),
        sa.CheckConstraint("review_period_days BETWEEN 1 AND 250", name=op.f("ck_offices_review_period_days")),
        sa.CheckConstraint("service_level BETWEEN 0.5 AND 0.999", name=op.f("ck_offices_service_level")),
        sa.ForeignKeyConstraint(["parent_id"], ["offices.id"], name=op.f("fk_offices_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offices")),
        sa.UniqueConstraint("code", name=op.f("uq_offices_code")),
        sa.UniqueConstraint("path", name=op.f("uq_offices_path")),
    )
    with op.batch_alter_table("offices", schema=None) as batch_op:
        batch_op.create_index("ix_offices_name", ["name"], unique=False)
        batch_op.create_index(batch_op.f("ix_offices_parent_id"), ["parent_id"], unique=False)

    op.create_table(
        "people",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("full_name", sa.String(length=120), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("password", sa.String(length=255), nullable=True),
        sa.Column("fs_uniquifier", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("email", name=op.f("uq_people_email")),
        sa.UniqueConstraint("fs_uniquifier", name=op.f("uq_people_fs_uniquifier")),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=24), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.CheckConstraint("(level = 'ok') = (resolved_at IS NOT NULL)", name=op.f("ck_alerts_resolved")),
        sa.CheckConstraint(
            "level IN ('ok', 'unknown', 'watch', 'low', 'critical', 'out')", name=op.f("ck_alerts_level")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_alerts_item_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_alerts_office_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index(
            "uq_alerts_open",
            ["office_id", "item_id", "subject"],
            unique=True,
            sqlite_where=sa.text("resolved_at IS NULL"),
            postgresql_where=sa.text("resolved_at IS NULL"),
        )

    op.create_table(
        "balances",
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("received", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sent", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("store", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("transit", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("printed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("spoiled", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("destroyed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("missing", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("first_on", sa.Date(), nullable=True),
        sa.Column("last_on", sa.Date(), nullable=True),
        sa.Column("synthetic", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.CheckConstraint("destroyed >= 0", name=op.f("ck_balances_destroyed_not_negative")),
        sa.CheckConstraint("last_seq >= 0", name=op.f("ck_balances_last_seq")),
        sa.CheckConstraint("printed >= 0", name=op.f("ck_balances_printed_not_negative")),
        sa.CheckConstraint(
            "received - sent = store + transit + printed + spoiled + destroyed + missing",
            name=op.f("ck_balances_law"),
        ),
        sa.CheckConstraint("received >= 0", name=op.f("ck_balances_received_not_negative")),
        sa.CheckConstraint("sent >= 0", name=op.f("ck_balances_sent_not_negative")),
        sa.CheckConstraint("spoiled >= 0", name=op.f("ck_balances_spoiled_not_negative")),
        sa.CheckConstraint("store >= 0", name=op.f("ck_balances_store_not_negative")),
        sa.CheckConstraint("transit >= 0", name=op.f("ck_balances_transit_not_negative")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_balances_item_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_balances_office_id")),
        sa.PrimaryKeyConstraint("office_id", "item_id", name=op.f("pk_balances")),
    )
    with op.batch_alter_table("balances", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_balances_item_id"), ["item_id"], unique=False)

    op.create_table(
        "calendar_days",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=True),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_calendar_days_office_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_days")),
        sa.UniqueConstraint("office_id", "day", name=op.f("uq_calendar_days_office_id_day")),
    )
    with op.batch_alter_table("calendar_days", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_calendar_days_day"), ["day"], unique=False)
        batch_op.create_index(
            "uq_calendar_days_country",
            ["day"],
            unique=True,
            sqlite_where=sa.text("office_id IS NULL"),
            postgresql_where=sa.text("office_id IS NULL"),
        )

    op.create_table(
        "daily_totals",
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("served_waiting", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("quantity >= 0", name=op.f("ck_daily_totals_quantity")),
        sa.CheckConstraint("served_waiting BETWEEN 0 AND quantity", name=op.f("ck_daily_totals_served_waiting")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_daily_totals_item_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_daily_totals_office_id")),
        sa.PrimaryKeyConstraint("office_id", "item_id", "day", "kind", "reason", name=op.f("pk_daily_totals")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("bast_number", sa.String(length=80), nullable=False),
        sa.Column("bast_on", sa.Date(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=True),
        sa.Column("received", sa.Integer(), nullable=False),
        sa.Column("defective", sa.Integer(), nullable=False),
        sa.Column("funding_source", sa.String(length=8), nullable=False),
        sa.Column("supplier", sa.String(length=120), nullable=False),
        sa.Column("handed_over_by", sa.String(length=120), nullable=False),
        sa.Column("taken_over_by", sa.String(length=120), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by_id", sa.Integer(), nullable=True),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("funding_source IN ('apbn', 'apbd')", name=op.f("ck_deliveries_funding_source")),
        sa.CheckConstraint("asked BETWEEN 1 AND 10000000", name=op.f("ck_deliveries_asked")),
        sa.CheckConstraint("defective BETWEEN 0 AND received", name=op.f("ck_deliveries_defective")),
        sa.CheckConstraint("received BETWEEN 1 AND 10000000", name=op.f("ck_deliveries_received")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_deliveries_item_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_deliveries_office_id")),
        sa.ForeignKeyConstraint(["recorded_by_id"], ["people.id"], name=op.f("fk_deliveries_recorded_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index(
            "uq_deliveries_bast_number",
            ["office_id", "item_id", "bast_number"],
            unique=True,
            sqlite_where=sa.text("voided_at IS NULL"),
            postgresql_where=sa.text("voided_at IS NULL"),
        )

    op.create_table(
        "memberships",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.CheckConstraint(
            "name IN ('storekeeper', 'manager', 'viewer', 'administrator')", name=op.f("ck_memberships_role")
        ),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_memberships_office_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_memberships_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memberships")),
        sa.UniqueConstraint("person_id", "office_id", "name", name=op.f("uq_memberships_person_id_office_id_name")),
    )
    with op.batch_alter_table("memberships", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_memberships_office_id"), ["office_id"], unique=False)

    op.create_table(
        "stated_rates",
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("per_day", sa.Double(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("stated_on", sa.Date(), nullable=False),
        sa.CheckConstraint("per_day >= 0", name=op.f("ck_stated_rates_per_day")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_stated_rates_item_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_stated_rates_office_id")),
        sa.PrimaryKeyConstraint("office_id", "item_id", name=op.f("pk_stated_rates")),
    )
    op.create_table(
        "alert_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("job_run_id", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("from_level", sa.String(length=16), nullable=False),
        sa.Column("to_level", sa.String(length=16), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "from_level IN ('ok', 'unknown', 'watch', 'low', 'critical', 'out')",
            name=op.f("ck_alert_events_from_level"),
        ),
        sa.CheckConstraint(
            "to_level IN ('ok', 'unknown', 'watch', 'low', 'critical', 'out')",
            name=op.f("ck_alert_events_to_level"),
        ),
        sa.CheckConstraint("from_level <> to_level", name=op.f("ck_alert_events_change")),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_alert_events_alert_id")),
        sa.ForeignKeyConstraint(["job_run_id"], ["job_runs.id"], name=op.f("fk_alert_events_job_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_events")),
    )
    with op.batch_alter_table("alert_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alert_events_alert_id"), ["alert_id"], unique=False)

    op.create_table(
        "movements",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("served_waiting", sa.Integer(), server_default="0", nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("request_line", sa.Integer(), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("reverses_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("delivery_id", sa.Integer(), nullable=True),
        sa.Column("origin", sa.String(length=16), server_default="entered", nullable=False),
        sa.Column("note", sa.String(length=500), server_default="", nullable=False),
        sa.CheckConstraint(
            "(kind = 'receipt' AND reason = 'supplied') OR (kind = 'receipt' AND reason = 'opening') OR (kind = 'receipt' AND reason = 'defective') OR (kind = 'print' AND reason = 'new') OR (kind = 'print' AND reason = 'lost') OR (kind = 'print' AND reason = 'damaged') OR (kind = 'print' AND reason = 'changed_data') OR (kind = 'print' AND reason = 'moved_in') OR (kind = 'print' AND reason = 'consumed') OR (kind = 'spoil' AND reason = 'misprint') OR (kind = 'spoil' AND reason = 'encoding_failure') OR (kind = 'spoil' AND reason = 'defective') OR (kind = 'spoil' AND reason = 'obsolete') OR (kind = 'dispatch' AND reason = 'distribution') OR (kind = 'dispatch' AND reason = 'loan') OR (kind = 'dispatch' AND reason = 'return') OR (kind = 'dispatch' AND reason = 'outreach') OR (kind = 'arrival' AND reason = 'handed_over') OR (kind = 'arrival' AND reason = 'short') OR (kind = 'arrival' AND reason = 'cancelled') OR (kind = 'arrival' AND reason = 'arrived') OR (kind = 'arrival' AND reason = 'arrived_damaged') OR (kind = 'return' AND reason = 'to_supplier') OR (kind = 'destroy' AND reason = 'destroyed') OR (kind = 'count' AND reason = 'found') OR (kind = 'count' AND reason = 'short')",
            name=op.f("ck_movements_kind_and_reason"),
        ),
        sa.CheckConstraint("origin IN ('entered', 'imported', 'synthetic')", name=op.f("ck_movements_origin")),
        sa.CheckConstraint(
            "served_waiting = 0 OR (kind = 'print' AND abs(served_waiting) <= abs(quantity) AND (served_waiting > 0) = (quantity > 0))",
            name=op.f("ck_movements_served_waiting"),
        ),
        sa.CheckConstraint(
            "(reverses_id IS NULL AND quantity BETWEEN 1 AND 10000000) OR (reverses_id IS NOT NULL AND quantity BETWEEN -10000000 AND -1)",
            name=op.f("ck_movements_quantity"),
        ),
        sa.CheckConstraint("seq >= 1", name=op.f("ck_movements_seq")),
        sa.ForeignKeyConstraint(["actor_id"], ["people.id"], name=op.f("fk_movements_actor_id")),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_movements_delivery_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_movements_item_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_movements_office_id")),
        sa.ForeignKeyConstraint(["reverses_id"], ["movements.id"], name=op.f("fk_movements_reverses_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_movements")),
        sa.UniqueConstraint("office_id", "item_id", "seq", name=op.f("uq_movements_office_id_item_id_seq")),
        sa.UniqueConstraint("request_id", "request_line", name=op.f("uq_movements_request_id_request_line")),
        sa.UniqueConstraint("reverses_id", name=op.f("uq_movements_reverses_id")),
    )
    with op.batch_alter_table("movements", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_movements_delivery_id"), ["delivery_id"], unique=False)
        batch_op.create_index("ix_movements_stock_card", ["office_id", "item_id", "effective_on", "seq"], unique=False)

    op.create_table(
        "projections",
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "level IN ('ok', 'unknown', 'watch', 'low', 'critical', 'out')", name=op.f("ck_projections_level")
        ),
        sa.ForeignKeyConstraint(
            ["office_id", "item_id"],
            ["balances.office_id", "balances.item_id"],
            name=op.f("fk_projections_office_id_item_id"),
        ),
        sa.PrimaryKeyConstraint("office_id", "item_id", name=op.f("pk_projections")),
    )
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade():
    # The triggers go with their table; their functions on PostgreSQL do not.
    op.drop_table("projections")
    with op.batch_alter_table("movements", schema=None) as batch_op:
        batch_op.drop_index("ix_movements_stock_card")
        batch_op.drop_index(batch_op.f("ix_movements_delivery_id"))

    op.drop_table("movements")
    with op.batch_alter_table("alert_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_alert_events_alert_id"))

    op.drop_table("alert_events")
    op.drop_table("stated_rates")
    with op.batch_alter_table("memberships", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_memberships_office_id"))

    op.drop_table("memberships")
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_deliveries_bast_number",
            sqlite_where=sa.text("voided_at IS NULL"),
            postgresql_where=sa.text("voided_at IS NULL"),
        )

    op.drop_table("deliveries")
    op.drop_table("daily_totals")
    with op.batch_alter_table("calendar_days", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_calendar_days_country",
            sqlite_where=sa.text("office_id IS NULL"),
            postgresql_where=sa.text("office_id IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_calendar_days_day"))

    op.drop_table("calendar_days")
    with op.batch_alter_table("balances", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_balances_item_id"))

    op.drop_table("balances")
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_alerts_open",
            sqlite_where=sa.text("resolved_at IS NULL"),
            postgresql_where=sa.text("resolved_at IS NULL"),
        )

    op.drop_table("alerts")
    op.drop_table("people")
    with op.batch_alter_table("offices", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_offices_parent_id"))
        batch_op.drop_index("ix_offices_name")

    op.drop_table("offices")
    with op.batch_alter_table("job_runs", schema=None) as batch_op:
        batch_op.drop_index("ix_job_runs_started_at")

    op.drop_table("job_runs")
    op.drop_table("items")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION movements_are_append_only()")
        op.execute("DROP FUNCTION movements_check_reversal()")
