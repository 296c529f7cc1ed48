"""Public boards of offices, and indexes that find documents and places by the beginning of what people type."""

import sqlalchemy as sa
from alembic import op

revision = "20261130_boards"
down_revision = "20261129_messages_kept"
branch_labels = None
depends_on = None

KEYS = (
    ("ix_deliveries_bast_number_key", "deliveries", None, "bast_number"),
    ("ix_deliveries_office_id_bast_number_key", "deliveries", "office_id", "bast_number"),
    ("ix_transfers_bast_number_key", "transfers", None, "bast_number"),
    ("ix_transfers_sender_id_bast_number_key", "transfers", "sender_id", "bast_number"),
    ("ix_transfers_receiver_id_bast_number_key", "transfers", "receiver_id", "bast_number"),
    ("ix_outreach_plans_place_key", "outreach_plans", None, "place"),
)


def upgrade():
    op.create_table(
        "boards",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("shown", sa.Boolean(), nullable=False),
        sa.Column("precision", sa.String(length=16), nullable=False),
        sa.Column("few_below", sa.Integer(), nullable=False),
        sa.Column("sentence", sa.String(length=200), server_default="", nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("chosen_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("few_below BETWEEN 1 AND 10000000", name=op.f("ck_boards_few_below")),
        sa.CheckConstraint("precision IN ('exact', 'tens', 'hundreds', 'level')", name=op.f("ck_boards_precision")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_boards_version")),
        sa.ForeignKeyConstraint(["chosen_by_id"], ["people.id"], name=op.f("fk_boards_chosen_by_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_boards_office_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_boards")),
        sa.UniqueConstraint("office_id", "version", name=op.f("uq_boards_office_id_version")),
        sa.UniqueConstraint("request_id", name=op.f("uq_boards_request_id")),
    )
    op.create_table(
        "board_items",
        sa.Column("board_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["board_id"], ["boards.id"], name=op.f("fk_board_items_board_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_board_items_item_id")),
        sa.PrimaryKeyConstraint("board_id", "item_id", name=op.f("pk_board_items")),
    )
    for name, table, office, column in KEYS:
        columns = ", ".join(each for each in (office, _key(column)) if each)
        op.execute(f"CREATE INDEX {name} ON {table} ({columns})")


def downgrade():
    for name, *_ in reversed(KEYS):
        op.execute(f"DROP INDEX {name}")
    op.drop_table("board_items")
    op.drop_table("boards")


def _key(column):
    # PostgreSQL is told to compare bytes; SQLite does so by itself.
    found = f'({column} COLLATE "C")' if op.get_bind().dialect.name == "postgresql" else column
    for mark in "/.- ":
        found = f"replace({found}, '{mark}', '')"
    return f"lower({found})"
