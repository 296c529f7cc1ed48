"""Documents, their numbers without gaps, and the counters that give them out."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_documents"
down_revision = "20261122_imports"
branch_labels = None
depends_on = None

# Rows never go away, so a number whose predecessor is there leaves no gap below it.
FOLLOWS = """
    NEW.number = 1 OR EXISTS (
        SELECT 1 FROM documents AS earlier
        WHERE earlier.office_id = NEW.office_id AND earlier.year = NEW.year AND earlier.number = NEW.number - 1
    )
"""

TRIGGERS = {
    "sqlite": (
        """
        CREATE TRIGGER documents_no_update BEFORE UPDATE ON documents
        BEGIN SELECT RAISE(ABORT, 'documents are append-only'); END
        """,
        """
        CREATE TRIGGER documents_no_delete BEFORE DELETE ON documents
        BEGIN SELECT RAISE(ABORT, 'documents are append-only'); END
        """,
        f"""
        CREATE TRIGGER documents_no_gap BEFORE INSERT ON documents
        WHEN NOT ({FOLLOWS})
        BEGIN SELECT RAISE(ABORT, 'document numbers have no gaps'); END
        """,
    ),
    "postgresql": (
        """
        CREATE FUNCTION documents_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'documents are append-only' USING ERRCODE = 'restrict_violation';
        END $$
        """,
        """
        CREATE TRIGGER documents_no_change BEFORE UPDATE OR DELETE ON documents
        FOR EACH ROW EXECUTE FUNCTION documents_are_append_only()
        """,
        """
        CREATE TRIGGER documents_no_truncate BEFORE TRUNCATE ON documents
        FOR EACH STATEMENT EXECUTE FUNCTION documents_are_append_only()
        """,
        f"""
        CREATE FUNCTION documents_check_number() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT ({FOLLOWS}) THEN
                RAISE EXCEPTION 'document numbers have no gaps' USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER documents_no_gap BEFORE INSERT ON documents
        FOR EACH ROW EXECUTE FUNCTION documents_check_number()
        """,
    ),
}


def upgrade():
    op.create_table(
        "document_counters",
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.CheckConstraint("last >= 0", name=op.f("ck_document_counters_last")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_document_counters_office_id")),
        sa.PrimaryKeyConstraint("office_id", "year", name=op.f("pk_document_counters")),
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=43), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("number >= 1", name=op.f("ck_documents_number")),
        sa.CheckConstraint(
            "kind IN ('delivery', 'transfer', 'count_sheet', 'stocktake', 'destruction', 'stock_card', 'monthly_report', 'late_entries')",
            name=op.f("ck_documents_kind"),
        ),
        sa.CheckConstraint("subject <> ''", name=op.f("ck_documents_subject")),
        sa.CheckConstraint("length(digest) = 64", name=op.f("ck_documents_digest")),
        sa.CheckConstraint("length(token) >= 22", name=op.f("ck_documents_token")),
        sa.ForeignKeyConstraint(["issued_by_id"], ["people.id"], name=op.f("fk_documents_issued_by_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_documents_office_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
        sa.UniqueConstraint("office_id", "kind", "subject", name=op.f("uq_documents_office_id_kind_subject")),
        sa.UniqueConstraint("office_id", "year", "number", name=op.f("uq_documents_office_id_year_number")),
        sa.UniqueConstraint("token", name=op.f("uq_documents_token")),
    )
    op.create_index("ix_documents_office_id_id", "documents", ["office_id", "id"])
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade():
    op.drop_table("documents")
    op.drop_table("document_counters")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION documents_are_append_only()")
        op.execute("DROP FUNCTION documents_check_number()")
