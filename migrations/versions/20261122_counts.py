"""Stocktakes and daily closings, the movements that belong to a stocktake, and when on its day a movement happened."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_counts"
down_revision = "20261122_requests"
branch_labels = None
depends_on = None

# Nobody approves a count that they took part in, whatever the application says.
TOOK_PART = """
    SELECT 1 FROM stocktake_lines WHERE stocktake_id = NEW.id
    AND (counted_by_id = NEW.approved_by_id OR recounted_by_id = NEW.approved_by_id)
"""
NOT_COUNTED = """
    SELECT 1 FROM stocktake_lines WHERE stocktake_id = NEW.id
    AND (counted IS NULL OR (recount_asked AND recounted IS NULL) OR book IS NULL)
"""
ITS_STOCKTAKE = """
    SELECT 1 FROM stocktakes JOIN stocktake_lines ON stocktake_lines.stocktake_id = stocktakes.id
    WHERE stocktakes.id = NEW.stocktake_id AND stocktakes.office_id = NEW.office_id
    AND stocktake_lines.item_id = NEW.item_id AND stocktakes.status = 'approved'
    AND NEW.actor_id IS NOT NULL AND NEW.actor_id <> stocktakes.opened_by_id
    AND NOT EXISTS (
        SELECT 1 FROM stocktake_lines AS others WHERE others.stocktake_id = stocktakes.id
        AND (others.counted_by_id = NEW.actor_id OR others.recounted_by_id = NEW.actor_id)
    )
"""

TRIGGERS = {
    "sqlite": (
        f"""
        CREATE TRIGGER stocktakes_approval BEFORE UPDATE ON stocktakes
        WHEN NEW.status = 'approved' AND (EXISTS ({TOOK_PART}) OR EXISTS ({NOT_COUNTED}))
        BEGIN SELECT RAISE(ABORT, 'a stocktake is approved when all is counted, by somebody who did not count'); END
        """,
        f"""
        CREATE TRIGGER movements_stocktake BEFORE INSERT ON movements
        WHEN NEW.stocktake_id IS NOT NULL AND NOT EXISTS ({ITS_STOCKTAKE})
        BEGIN SELECT RAISE(ABORT, 'a count is booked for an approved stocktake, by somebody who did not count'); END
        """,
    ),
    "postgresql": (
        f"""
        CREATE FUNCTION stocktakes_check_approval() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS ({TOOK_PART}) OR EXISTS ({NOT_COUNTED}) THEN
                RAISE EXCEPTION 'a stocktake is approved when all is counted, by somebody who did not count'
                USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER stocktakes_approval BEFORE UPDATE ON stocktakes
        FOR EACH ROW WHEN (NEW.status = 'approved') EXECUTE FUNCTION stocktakes_check_approval()
        """,
        f"""
        CREATE FUNCTION movements_check_stocktake() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS ({ITS_STOCKTAKE}) THEN
                RAISE EXCEPTION 'a count is booked for an approved stocktake, by somebody who did not count'
                USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER movements_stocktake BEFORE INSERT ON movements
        FOR EACH ROW WHEN (NEW.stocktake_id IS NOT NULL) EXECUTE FUNCTION movements_check_stocktake()
        """,
    ),
}


def upgrade():
    op.create_table(
        "day_closings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("remaining", sa.Integer(), nullable=False),
        sa.Column("printed_by_system", sa.Integer(), nullable=True),
        sa.Column("book_store", sa.BigInteger(), nullable=False),
        sa.Column("book_printed", sa.BigInteger(), nullable=False),
        sa.Column("book_seq", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by_id", sa.Integer(), nullable=False),
        sa.Column("reopened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reopened_by_id", sa.Integer(), nullable=True),
        sa.Column("reopen_reason", sa.String(length=500), server_default="", nullable=False),
        sa.CheckConstraint(
            "(reopened_at IS NULL AND reopened_by_id IS NULL AND reopen_reason = '') OR (reopened_at IS NOT NULL AND reopened_by_id IS NOT NULL AND reopen_reason <> '' AND reopened_by_id <> closed_by_id)",
            name=op.f("ck_day_closings_reopened"),
        ),
        sa.CheckConstraint("book_store >= 0 AND book_printed >= 0", name=op.f("ck_day_closings_book")),
        sa.CheckConstraint(
            "printed_by_system IS NULL OR printed_by_system BETWEEN 0 AND 10000000",
            name=op.f("ck_day_closings_printed_by_system"),
        ),
        sa.CheckConstraint("remaining BETWEEN 0 AND 10000000", name=op.f("ck_day_closings_remaining")),
        sa.ForeignKeyConstraint(["closed_by_id"], ["people.id"], name=op.f("fk_day_closings_closed_by_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_day_closings_item_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_day_closings_office_id")),
        sa.ForeignKeyConstraint(["reopened_by_id"], ["people.id"], name=op.f("fk_day_closings_reopened_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_day_closings")),
        sa.UniqueConstraint("id", "closed_by_id", name=op.f("uq_day_closings_id_closed_by_id")),
        sa.UniqueConstraint("request_id", "item_id", name=op.f("uq_day_closings_request_id_item_id")),
    )
    with op.batch_alter_table("day_closings", schema=None) as batch_op:
        batch_op.create_index(
            "uq_day_closings_day",
            ["office_id", "day", "item_id"],
            unique=True,
            sqlite_where=sa.text("reopened_at IS NULL"),
            postgresql_where=sa.text("reopened_at IS NULL"),
        )

    op.create_table(
        "stocktakes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("record_number", sa.String(length=80), server_default="", nullable=False),
        sa.Column("note", sa.String(length=500), server_default="", nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_by_id", sa.Integer(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_by_id", sa.Integer(), nullable=True),
        sa.Column("approval_request_id", sa.Uuid(), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_by_id", sa.Integer(), nullable=True),
        sa.Column("cancel_reason", sa.String(length=500), server_default="", nullable=False),
        sa.CheckConstraint(
            "(status = 'approved') = (approved_at IS NOT NULL) AND (status = 'approved') = (approved_by_id IS NOT NULL) AND (status = 'approved') = (approval_request_id IS NOT NULL)",
            name=op.f("ck_stocktakes_approved"),
        ),
        sa.CheckConstraint(
            "(status = 'cancelled') = (cancelled_at IS NOT NULL) AND (status = 'cancelled') = (cancel_reason <> '')",
            name=op.f("ck_stocktakes_cancelled"),
        ),
        sa.CheckConstraint(
            "status IN ('counting', 'counted', 'approved', 'cancelled')", name=op.f("ck_stocktakes_status")
        ),
        sa.CheckConstraint(
            "approved_by_id IS NULL OR approved_by_id <> opened_by_id", name=op.f("ck_stocktakes_two_people")
        ),
        sa.ForeignKeyConstraint(["approved_by_id"], ["people.id"], name=op.f("fk_stocktakes_approved_by_id")),
        sa.ForeignKeyConstraint(["cancelled_by_id"], ["people.id"], name=op.f("fk_stocktakes_cancelled_by_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_stocktakes_office_id")),
        sa.ForeignKeyConstraint(["opened_by_id"], ["people.id"], name=op.f("fk_stocktakes_opened_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stocktakes")),
        sa.UniqueConstraint("approval_request_id", name=op.f("uq_stocktakes_approval_request_id")),
        sa.UniqueConstraint("request_id", name=op.f("uq_stocktakes_request_id")),
    )
    with op.batch_alter_table("stocktakes", schema=None) as batch_op:
        batch_op.create_index("ix_stocktakes_office_id", ["office_id", "id"], unique=False)
        batch_op.create_index(
            "uq_stocktakes_open",
            ["office_id"],
            unique=True,
            sqlite_where=sa.text("status IN ('counting', 'counted')"),
            postgresql_where=sa.text("status IN ('counting', 'counted')"),
        )

    op.create_table(
        "closing_exceptions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("closing_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=False),
        sa.Column("found", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("closed_by_id", sa.Integer(), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cleared_by_id", sa.Integer(), nullable=True),
        sa.Column("clear_request_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(length=500), server_default="", nullable=False),
        sa.CheckConstraint(
            "(status = 'open' AND cleared_at IS NULL AND cleared_by_id IS NULL AND reason = '') OR (status = 'cleared' AND cleared_at IS NOT NULL AND cleared_by_id IS NOT NULL AND reason <> '' AND cleared_by_id <> closed_by_id)",
            name=op.f("ck_closing_exceptions_cleared"),
        ),
        sa.CheckConstraint("kind IN ('store', 'printed')", name=op.f("ck_closing_exceptions_kind")),
        sa.CheckConstraint("status IN ('open', 'cleared')", name=op.f("ck_closing_exceptions_status")),
        sa.CheckConstraint("expected <> found", name=op.f("ck_closing_exceptions_differs")),
        sa.ForeignKeyConstraint(["cleared_by_id"], ["people.id"], name=op.f("fk_closing_exceptions_cleared_by_id")),
        sa.ForeignKeyConstraint(
            ["closing_id", "closed_by_id"],
            ["day_closings.id", "day_closings.closed_by_id"],
            name=op.f("fk_closing_exceptions_closing_id_closed_by_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_closing_exceptions")),
        sa.UniqueConstraint("closing_id", "kind", name=op.f("uq_closing_exceptions_closing_id_kind")),
    )
    with op.batch_alter_table("closing_exceptions", schema=None) as batch_op:
        batch_op.create_index("ix_closing_exceptions_status", ["status", "id"], unique=False)

    op.create_table(
        "stocktake_lines",
        sa.Column("stocktake_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("counted", sa.Integer(), nullable=True),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counted_by_id", sa.Integer(), nullable=True),
        sa.Column("count_request_id", sa.Uuid(), nullable=True),
        sa.Column("recount_asked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("recounted", sa.Integer(), nullable=True),
        sa.Column("recounted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recounted_by_id", sa.Integer(), nullable=True),
        sa.Column("recount_request_id", sa.Uuid(), nullable=True),
        sa.Column("book", sa.Integer(), nullable=True),
        sa.Column("difference", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(book IS NULL AND difference IS NULL) OR (book IS NOT NULL AND difference IS NOT NULL AND counted IS NOT NULL AND difference = coalesce(recounted, counted) - book)",
            name=op.f("ck_stocktake_lines_difference"),
        ),
        sa.CheckConstraint(
            "(counted IS NULL AND counted_at IS NULL AND counted_by_id IS NULL AND count_request_id IS NULL) OR (counted IS NOT NULL AND counted BETWEEN 0 AND 10000000 AND counted_at IS NOT NULL AND counted_by_id IS NOT NULL AND count_request_id IS NOT NULL)",
            name=op.f("ck_stocktake_lines_counted"),
        ),
        sa.CheckConstraint(
            "(recounted IS NULL AND recounted_at IS NULL AND recounted_by_id IS NULL AND recount_request_id IS NULL) OR (recounted IS NOT NULL AND recounted BETWEEN 0 AND 10000000 AND recounted_at IS NOT NULL AND recounted_by_id IS NOT NULL AND recount_request_id IS NOT NULL AND recount_asked AND counted IS NOT NULL AND recounted_at >= counted_at)",
            name=op.f("ck_stocktake_lines_recounted"),
        ),
        sa.ForeignKeyConstraint(["counted_by_id"], ["people.id"], name=op.f("fk_stocktake_lines_counted_by_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_stocktake_lines_item_id")),
        sa.ForeignKeyConstraint(["recounted_by_id"], ["people.id"], name=op.f("fk_stocktake_lines_recounted_by_id")),
        sa.ForeignKeyConstraint(["stocktake_id"], ["stocktakes.id"], name=op.f("fk_stocktake_lines_stocktake_id")),
        sa.PrimaryKeyConstraint("stocktake_id", "item_id", name=op.f("pk_stocktake_lines")),
    )
    # Added in place on SQLite too: a batch would copy the ledger and lose its triggers.
    instant = "TIMESTAMP WITH TIME ZONE" if op.get_bind().dialect.name == "postgresql" else "DATETIME"
    op.execute(
        f"ALTER TABLE movements ADD COLUMN happened_at {instant}"
        " CONSTRAINT ck_movements_happened_at CHECK (happened_at <= recorded_at)"
    )
    op.execute(
        "ALTER TABLE movements ADD COLUMN stocktake_id INTEGER"
        " CONSTRAINT fk_movements_stocktake_id REFERENCES stocktakes (id)"
        " CONSTRAINT ck_movements_stocktake CHECK ((stocktake_id IS NOT NULL) = (kind = 'count' AND transfer_id IS NULL))"
    )
    op.create_index("ix_movements_stocktake_id", "movements", ["stocktake_id"])
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade():
    op.execute(
        "DROP TRIGGER movements_stocktake" + (" ON movements" if op.get_bind().dialect.name == "postgresql" else "")
    )
    op.drop_index("ix_movements_stocktake_id", "movements")
    op.execute("ALTER TABLE movements DROP COLUMN stocktake_id")
    op.execute("ALTER TABLE movements DROP COLUMN happened_at")
    op.drop_table("stocktake_lines")
    with op.batch_alter_table("closing_exceptions", schema=None) as batch_op:
        batch_op.drop_index("ix_closing_exceptions_status")

    op.drop_table("closing_exceptions")
    with op.batch_alter_table("stocktakes", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_stocktakes_open",
            sqlite_where=sa.text("status IN ('counting', 'counted')"),
            postgresql_where=sa.text("status IN ('counting', 'counted')"),
        )
        batch_op.drop_index("ix_stocktakes_office_id")

    op.drop_table("stocktakes")
    with op.batch_alter_table("day_closings", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_day_closings_day",
            sqlite_where=sa.text("reopened_at IS NULL"),
            postgresql_where=sa.text("reopened_at IS NULL"),
        )

    op.drop_table("day_closings")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION stocktakes_check_approval()")
        op.execute("DROP FUNCTION movements_check_stocktake()")
