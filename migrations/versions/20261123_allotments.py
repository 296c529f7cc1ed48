"""Plans that split a delivery or propose loans, and their drafts of transfers."""

import sqlalchemy as sa
from alembic import op

revision = "20261123_allotments"
down_revision = "20261123_backtests"
branch_labels = None
depends_on = None

TRIGGERS = {
    "sqlite": (
        """
        CREATE TRIGGER allotment_lines_closed_once BEFORE UPDATE ON allotment_lines WHEN OLD.status <> 'draft'
        BEGIN SELECT RAISE(ABORT, 'a draft is closed once'); END
        """,
        """
        CREATE TRIGGER allotment_lines_no_delete BEFORE DELETE ON allotment_lines
        BEGIN SELECT RAISE(ABORT, 'a draft is never deleted'); END
        """,
    ),
    "postgresql": (
        """
        CREATE FUNCTION allotment_lines_are_closed_once() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' OR OLD.status <> 'draft' THEN
                RAISE EXCEPTION 'a draft is closed once and never deleted' USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER allotment_lines_closed_once BEFORE UPDATE OR DELETE ON allotment_lines
        FOR EACH ROW EXECUTE FUNCTION allotment_lines_are_closed_once()
        """,
    ),
}


def upgrade():
    # What a draft is sent by has the draft's own ends: its reference names all three.
    op.create_index("uq_transfers_ends", "transfers", ["id", "sender_id", "receiver_id"], unique=True)
    op.create_table(
        "allotment_plans",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=True),
        sa.Column("reserve", sa.Integer(), nullable=False),
        sa.Column("pack", sa.Integer(), nullable=False),
        sa.Column("planned_on", sa.Date(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("made_by_id", sa.Integer(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("mode IN ('split', 'loans')", name=op.f("ck_allotment_plans_mode")),
        sa.CheckConstraint("pack >= 1", name=op.f("ck_allotment_plans_pack")),
        sa.CheckConstraint("(mode = 'split') = (quantity IS NOT NULL)", name=op.f("ck_allotment_plans_split")),
        sa.CheckConstraint("quantity BETWEEN 1 AND 10000000", name=op.f("ck_allotment_plans_quantity")),
        sa.CheckConstraint(
            "reserve >= 0 AND (quantity IS NULL OR reserve < quantity)", name=op.f("ck_allotment_plans_reserve")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_allotment_plans_item_id")),
        sa.ForeignKeyConstraint(["made_by_id"], ["people.id"], name=op.f("fk_allotment_plans_made_by_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_allotment_plans_office_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allotment_plans")),
        sa.UniqueConstraint("request_id", name=op.f("uq_allotment_plans_request_id")),
    )
    op.create_index("ix_allotment_plans_office_id", "allotment_plans", ["office_id"])
    op.create_table(
        "allotment_lines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("sender_id", sa.Integer(), nullable=False),
        sa.Column("receiver_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("transfer_id", sa.Integer(), nullable=True),
        sa.Column("why", sa.JSON(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("status IN ('draft', 'sent', 'dropped')", name=op.f("ck_allotment_lines_status")),
        sa.CheckConstraint("quantity BETWEEN 1 AND 10000000", name=op.f("ck_allotment_lines_quantity")),
        sa.CheckConstraint("sender_id <> receiver_id", name=op.f("ck_allotment_lines_two_offices")),
        sa.CheckConstraint("(status = 'draft') = (closed_at IS NULL)", name=op.f("ck_allotment_lines_closed")),
        sa.CheckConstraint("(status = 'sent') = (transfer_id IS NOT NULL)", name=op.f("ck_allotment_lines_sent")),
        sa.ForeignKeyConstraint(["closed_by_id"], ["people.id"], name=op.f("fk_allotment_lines_closed_by_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_allotment_lines_item_id")),
        sa.ForeignKeyConstraint(["plan_id"], ["allotment_plans.id"], name=op.f("fk_allotment_lines_plan_id")),
        sa.ForeignKeyConstraint(["receiver_id"], ["offices.id"], name=op.f("fk_allotment_lines_receiver_id")),
        sa.ForeignKeyConstraint(["sender_id"], ["offices.id"], name=op.f("fk_allotment_lines_sender_id")),
        sa.ForeignKeyConstraint(
            ["transfer_id", "item_id"],
            ["transfer_lines.transfer_id", "transfer_lines.item_id"],
            name=op.f("fk_allotment_lines_transfer_id_item_id"),
        ),
        sa.ForeignKeyConstraint(
            ["transfer_id", "sender_id", "receiver_id"],
            ["transfers.id", "transfers.sender_id", "transfers.receiver_id"],
            name=op.f("fk_allotment_lines_transfer_id_sender_id_receiver_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allotment_lines")),
        sa.UniqueConstraint(
            "plan_id", "sender_id", "receiver_id", name=op.f("uq_allotment_lines_plan_id_sender_id_receiver_id")
        ),
        sa.UniqueConstraint("transfer_id", name=op.f("uq_allotment_lines_transfer_id")),
    )
    op.create_index("ix_allotment_lines_sender_id_status", "allotment_lines", ["sender_id", "status"])
    op.create_index("ix_allotment_lines_receiver_id_status", "allotment_lines", ["receiver_id", "status"])
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade():
    op.drop_table("allotment_lines")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION allotment_lines_are_closed_once()")
    op.drop_index("ix_allotment_plans_office_id", "allotment_plans")
    op.drop_table("allotment_plans")
    op.drop_index("uq_transfers_ends", "transfers")
