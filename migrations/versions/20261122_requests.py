"""Delivery requests with their lines and steps, and what a hand-over says of them."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_requests"
down_revision = "20261122_alert_subjects"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "delivery_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("supplier", sa.String(length=120), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("hand_overs", sa.Integer(), server_default="0", nullable=False),
        sa.Column("asked_on", sa.Date(), nullable=False),
        sa.Column("needed_by", sa.Date(), nullable=True),
        sa.Column("allotted_on", sa.Date(), nullable=True),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_by_id", sa.Integer(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.String(length=500), server_default="", nullable=False),
        sa.CheckConstraint(
            "status IN ('asked', 'allotted', 'received', 'cancelled')", name=op.f("ck_delivery_requests_status")
        ),
        sa.CheckConstraint("hand_overs >= 0", name=op.f("ck_delivery_requests_hand_overs")),
        sa.CheckConstraint("status <> 'cancelled' OR hand_overs = 0", name=op.f("ck_delivery_requests_cancelled")),
        sa.CheckConstraint(
            "(status IN ('received', 'cancelled')) = (closed_on IS NOT NULL) AND (closed_on IS NULL) = (closed_at IS NULL)",
            name=op.f("ck_delivery_requests_closed"),
        ),
        sa.CheckConstraint("status <> 'asked' OR allotted_on IS NULL", name=op.f("ck_delivery_requests_not_allotted")),
        sa.CheckConstraint(
            "status <> 'allotted' OR allotted_on IS NOT NULL", name=op.f("ck_delivery_requests_allotted")
        ),
        sa.CheckConstraint("needed_by >= asked_on", name=op.f("ck_delivery_requests_needed_by")),
        sa.CheckConstraint("closed_on >= asked_on", name=op.f("ck_delivery_requests_closed_on")),
        sa.ForeignKeyConstraint(["made_by_id"], ["people.id"], name=op.f("fk_delivery_requests_made_by_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_delivery_requests_office_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_requests")),
        sa.UniqueConstraint("request_id", name=op.f("uq_delivery_requests_request_id")),
    )
    op.create_index("ix_delivery_requests_office_id_status", "delivery_requests", ["office_id", "status"])
    op.create_index("ix_delivery_requests_status", "delivery_requests", ["status"])
    op.create_table(
        "delivery_request_lines",
        sa.Column("delivery_request_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("allotted", sa.Integer(), nullable=True),
        sa.Column("cartons", sa.Integer(), nullable=True),
        sa.CheckConstraint("asked BETWEEN 1 AND 10000000", name=op.f("ck_delivery_request_lines_asked")),
        sa.CheckConstraint("allotted BETWEEN 0 AND 10000000", name=op.f("ck_delivery_request_lines_allotted")),
        sa.CheckConstraint("cartons BETWEEN 1 AND 10000000", name=op.f("ck_delivery_request_lines_cartons")),
        sa.ForeignKeyConstraint(
            ["delivery_request_id"],
            ["delivery_requests.id"],
            name=op.f("fk_delivery_request_lines_delivery_request_id"),
        ),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_delivery_request_lines_item_id")),
        sa.PrimaryKeyConstraint("delivery_request_id", "item_id", name=op.f("pk_delivery_request_lines")),
    )
    op.create_table(
        "delivery_request_steps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("delivery_request_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("note", sa.String(length=500), server_default="", nullable=False),
        sa.CheckConstraint("step IN ('allotted', 'closed', 'cancelled')", name=op.f("ck_delivery_request_steps_step")),
        sa.ForeignKeyConstraint(["by_id"], ["people.id"], name=op.f("fk_delivery_request_steps_by_id")),
        sa.ForeignKeyConstraint(
            ["delivery_request_id"],
            ["delivery_requests.id"],
            name=op.f("fk_delivery_request_steps_delivery_request_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_request_steps")),
        sa.UniqueConstraint("request_id", name=op.f("uq_delivery_request_steps_request_id")),
    )
    op.create_index(
        op.f("ix_delivery_request_steps_delivery_request_id"), "delivery_request_steps", ["delivery_request_id"]
    )
    # Added in place on SQLite too: a batch would drop a table that the ledger refers to.
    op.execute(
        "ALTER TABLE deliveries ADD COLUMN delivery_request_id INTEGER"
        " CONSTRAINT fk_deliveries_delivery_request_id REFERENCES delivery_requests (id)"
    )
    for column, least in (("allotted", 0), ("cartons", 1)):
        op.execute(
            f"ALTER TABLE deliveries ADD COLUMN {column} INTEGER"
            f" CONSTRAINT ck_deliveries_{column} CHECK ({column} BETWEEN {least} AND 10000000)"
        )
    op.create_index("ix_deliveries_delivery_request_id", "deliveries", ["delivery_request_id"])


def downgrade():
    op.drop_index("ix_deliveries_delivery_request_id", "deliveries")
    for column in ("cartons", "allotted", "delivery_request_id"):
        op.execute(f"ALTER TABLE deliveries DROP COLUMN {column}")
    op.drop_index(op.f("ix_delivery_request_steps_delivery_request_id"), "delivery_request_steps")
    op.drop_table("delivery_request_steps")
    op.drop_table("delivery_request_lines")
    op.drop_index("ix_delivery_requests_status", "delivery_requests")
    op.drop_index("ix_delivery_requests_office_id_status", "delivery_requests")
    op.drop_table("delivery_requests")
