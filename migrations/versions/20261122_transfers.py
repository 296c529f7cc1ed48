"""Transfers between offices, and the movements that belong to them."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_transfers"
down_revision = "20261122_ledger"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "transfers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("sender_id", sa.Integer(), nullable=False),
        sa.Column("receiver_id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("bast_number", sa.String(length=80), nullable=False),
        sa.Column("custodian", sa.String(length=120), nullable=False),
        sa.Column("dispatched_on", sa.Date(), nullable=False),
        sa.Column("expected_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("repays_id", sa.Integer(), nullable=True),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dispatched_by_id", sa.Integer(), nullable=True),
        sa.Column("closed_by_id", sa.Integer(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.String(length=500), server_default="", nullable=False),
        sa.CheckConstraint("(purpose = 'loan') = (due_on IS NOT NULL)", name=op.f("ck_transfers_due_on")),
        sa.CheckConstraint("(status = 'dispatched') = (closed_at IS NULL)", name=op.f("ck_transfers_closed")),
        sa.CheckConstraint(
            "purpose IN ('distribution', 'loan', 'return', 'outreach')", name=op.f("ck_transfers_purpose")
        ),
        sa.CheckConstraint("status IN ('dispatched', 'received', 'cancelled')", name=op.f("ck_transfers_status")),
        sa.CheckConstraint("expected_on >= dispatched_on", name=op.f("ck_transfers_expected_on")),
        sa.CheckConstraint("sender_id <> receiver_id", name=op.f("ck_transfers_two_offices")),
        sa.ForeignKeyConstraint(["closed_by_id"], ["people.id"], name=op.f("fk_transfers_closed_by_id")),
        sa.ForeignKeyConstraint(["dispatched_by_id"], ["people.id"], name=op.f("fk_transfers_dispatched_by_id")),
        sa.ForeignKeyConstraint(["receiver_id"], ["offices.id"], name=op.f("fk_transfers_receiver_id")),
        sa.ForeignKeyConstraint(["repays_id"], ["transfers.id"], name=op.f("fk_transfers_repays_id")),
        sa.ForeignKeyConstraint(["sender_id"], ["offices.id"], name=op.f("fk_transfers_sender_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfers")),
        sa.UniqueConstraint("request_id", name=op.f("uq_transfers_request_id")),
    )
    with op.batch_alter_table("transfers", schema=None) as batch_op:
        batch_op.create_index("ix_transfers_receiver_id_status", ["receiver_id", "status"], unique=False)
        batch_op.create_index(batch_op.f("ix_transfers_repays_id"), ["repays_id"], unique=False)
        batch_op.create_index("ix_transfers_sender_id_status", ["sender_id", "status"], unique=False)

    op.create_table(
        "transfer_lines",
        sa.Column("transfer_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("received", sa.Integer(), nullable=True),
        sa.Column("short", sa.Integer(), nullable=True),
        sa.Column("damaged", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(received IS NULL AND short IS NULL AND damaged IS NULL) OR (received IS NOT NULL AND short IS NOT NULL AND damaged IS NOT NULL AND received >= 0 AND short >= 0 AND damaged >= 0 AND sent = received + short + damaged)",
            name=op.f("ck_transfer_lines_accounted"),
        ),
        sa.CheckConstraint("sent BETWEEN 1 AND 10000000", name=op.f("ck_transfer_lines_sent")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_transfer_lines_item_id")),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfers.id"], name=op.f("fk_transfer_lines_transfer_id")),
        sa.PrimaryKeyConstraint("transfer_id", "item_id", name=op.f("pk_transfer_lines")),
    )
    # Added in place on SQLite too: a batch would copy the ledger and lose its triggers.
    op.execute(
        "ALTER TABLE movements ADD COLUMN transfer_id INTEGER"
        " CONSTRAINT fk_movements_transfer_id REFERENCES transfers (id)"
    )
    op.create_index("ix_movements_transfer_id", "movements", ["transfer_id"])


def downgrade():
    op.drop_index("ix_movements_transfer_id", "movements")
    op.execute("ALTER TABLE movements DROP COLUMN transfer_id")
    op.drop_table("transfer_lines")
    with op.batch_alter_table("transfers", schema=None) as batch_op:
        batch_op.drop_index("ix_transfers_sender_id_status")
        batch_op.drop_index(batch_op.f("ix_transfers_repays_id"))
        batch_op.drop_index("ix_transfers_receiver_id_status")

    op.drop_table("transfers")
