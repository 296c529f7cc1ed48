"""Imports of files, the days that they have filled in, and the movements that came with them."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_imports"
down_revision = "20261122_ranges"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "imports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("movement_count", sa.Integer(), nullable=False),
        sa.Column("totals", sa.JSON(), nullable=False),
        sa.Column("fault_count", sa.Integer(), nullable=False),
        sa.Column("faults", sa.JSON(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_by_id", sa.Integer(), nullable=True),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("imported_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("(status = 'checked') = (content IS NOT NULL)", name=op.f("ck_imports_content")),
        sa.CheckConstraint("(status = 'imported') = (imported_at IS NOT NULL)", name=op.f("ck_imports_imported")),
        sa.CheckConstraint("(status = 'refused') = (fault_count > 0)", name=op.f("ck_imports_fault_count")),
        sa.CheckConstraint("kind IN ('opening', 'deliveries', 'consumption')", name=op.f("ck_imports_kind")),
        sa.CheckConstraint("length(digest) = 64", name=op.f("ck_imports_digest")),
        sa.CheckConstraint("row_count >= 0 AND movement_count >= 0 AND size >= 0", name=op.f("ck_imports_counts")),
        sa.CheckConstraint("status IN ('checked', 'refused', 'imported', 'expired')", name=op.f("ck_imports_status")),
        sa.ForeignKeyConstraint(["checked_by_id"], ["people.id"], name=op.f("fk_imports_checked_by_id")),
        sa.ForeignKeyConstraint(["imported_by_id"], ["people.id"], name=op.f("fk_imports_imported_by_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_imports_office_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
        sa.UniqueConstraint("request_id", name=op.f("uq_imports_request_id")),
    )
    with op.batch_alter_table("imports", schema=None) as batch_op:
        batch_op.create_index("ix_imports_office_id", ["office_id", "id"], unique=False)
        batch_op.create_index("ix_imports_status", ["status", "checked_at"], unique=False)
        batch_op.create_index(
            "uq_imports_digest",
            ["kind", "digest"],
            unique=True,
            sqlite_where=sa.text("status = 'imported'"),
            postgresql_where=sa.text("status = 'imported'"),
        )

    op.create_table(
        "imported_days",
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["imports.id"], name=op.f("fk_imported_days_import_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_imported_days_item_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_imported_days_office_id")),
        sa.PrimaryKeyConstraint("office_id", "item_id", "day", name=op.f("pk_imported_days")),
    )
    with op.batch_alter_table("imported_days", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_imported_days_import_id"), ["import_id"], unique=False)
    # Added in place on SQLite too: a batch would copy the ledger and lose its triggers.
    op.execute(
        "ALTER TABLE movements ADD COLUMN import_id INTEGER CONSTRAINT fk_movements_import_id REFERENCES imports (id)"
    )
    op.create_index("ix_movements_import_id", "movements", ["import_id"])


def downgrade():
    op.drop_index("ix_movements_import_id", "movements")
    op.execute("ALTER TABLE movements DROP COLUMN import_id")
    with op.batch_alter_table("imported_days", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_imported_days_import_id"))

    op.drop_table("imported_days")
    with op.batch_alter_table("imports", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_imports_digest",
            sqlite_where=sa.text("status = 'imported'"),
            postgresql_where=sa.text("status = 'imported'"),
        )
        batch_op.drop_index("ix_imports_status")
        batch_op.drop_index("ix_imports_office_id")

    op.drop_table("imports")
