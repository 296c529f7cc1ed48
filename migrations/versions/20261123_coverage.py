"""Known figures and equipment as they were reported, and the forms and files that reported them."""

import sqlalchemy as sa
from alembic import op

revision = "20261123_coverage"
down_revision = "20261122_alerts_of_offices"
branch_labels = None
depends_on = None

MEASURES = (
    "'eligible', 'enrolled', 'not_enrolled', 'print_ready', 'card_holders', 'digital_id', 'digital_id_target', "
    "'population', 'villages', 'villages_online'"
)


def _recorded(table):
    """What every report says beside its numbers."""
    return (
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("note", sa.String(length=500), server_default="", nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("length(trim(source)) > 0", name=op.f(f"ck_{table}_source")),
        sa.CheckConstraint("as_of >= '2011-01-01'", name=op.f(f"ck_{table}_as_of")),
        sa.CheckConstraint("revision >= 1", name=op.f(f"ck_{table}_revision")),
        sa.ForeignKeyConstraint(["entry_id"], ["figure_entries.id"], name=op.f(f"fk_{table}_entry_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f(f"fk_{table}_office_id")),
        sa.ForeignKeyConstraint(["recorded_by_id"], ["people.id"], name=op.f(f"fk_{table}_recorded_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )


def upgrade():
    op.create_table(
        "figure_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("file_name", sa.String(length=200), server_default="", nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("corrected", sa.Integer(), nullable=False),
        sa.Column("known", sa.Integer(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_by_id", sa.Integer(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('checked', 'recorded')", name=op.f("ck_figure_entries_status")),
        sa.CheckConstraint("(status = 'checked') = (content IS NOT NULL)", name=op.f("ck_figure_entries_content")),
        sa.CheckConstraint(
            "(status = 'recorded') = (recorded_at IS NOT NULL)", name=op.f("ck_figure_entries_recorded")
        ),
        sa.CheckConstraint("added >= 0 AND corrected >= 0 AND known >= 0", name=op.f("ck_figure_entries_counts")),
        sa.ForeignKeyConstraint(["checked_by_id"], ["people.id"], name=op.f("fk_figure_entries_checked_by_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_figure_entries_office_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_figure_entries")),
        sa.UniqueConstraint("request_id", name=op.f("uq_figure_entries_request_id")),
    )
    op.create_index(op.f("ix_figure_entries_office_id"), "figure_entries", ["office_id"])
    op.create_index("ix_figure_entries_status", "figure_entries", ["status", "checked_at"])
    op.create_table(
        "reported_figures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("measure", sa.String(length=24), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        *_recorded("reported_figures"),
        sa.CheckConstraint(f"measure IN ({MEASURES})", name=op.f("ck_reported_figures_measure")),
        sa.CheckConstraint("value BETWEEN 0 AND 400000000", name=op.f("ck_reported_figures_value")),
        sa.UniqueConstraint(
            "office_id",
            "as_of",
            "measure",
            "source",
            "revision",
            name=op.f("uq_reported_figures_office_id_as_of_measure_source_revision"),
        ),
    )
    op.create_index(op.f("ix_reported_figures_entry_id"), "reported_figures", ["entry_id"])
    op.create_index(
        "ix_reported_figures_office_id_measure_as_of", "reported_figures", ["office_id", "measure", "as_of"]
    )
    op.create_table(
        "equipment_reports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("working", sa.Integer(), nullable=False),
        sa.Column("out_of_order", sa.Integer(), nullable=False),
        sa.Column("cards_a_day", sa.Integer(), nullable=True),
        *_recorded("equipment_reports"),
        sa.CheckConstraint("kind IN ('printer', 'enrolment_set')", name=op.f("ck_equipment_reports_kind")),
        sa.CheckConstraint("working BETWEEN 0 AND 100000", name=op.f("ck_equipment_reports_working")),
        sa.CheckConstraint("out_of_order BETWEEN 0 AND 100000", name=op.f("ck_equipment_reports_out_of_order")),
        sa.CheckConstraint(
            "(kind = 'printer') = (cards_a_day IS NOT NULL)", name=op.f("ck_equipment_reports_capacity")
        ),
        sa.CheckConstraint("cards_a_day BETWEEN 1 AND 100000", name=op.f("ck_equipment_reports_cards_a_day")),
        sa.UniqueConstraint(
            "office_id", "kind", "as_of", "revision", name=op.f("uq_equipment_reports_office_id_kind_as_of_revision")
        ),
    )
    op.create_index(op.f("ix_equipment_reports_entry_id"), "equipment_reports", ["entry_id"])


def downgrade():
    op.drop_index(op.f("ix_equipment_reports_entry_id"), "equipment_reports")
    op.drop_table("equipment_reports")
    op.drop_index("ix_reported_figures_office_id_measure_as_of", "reported_figures")
    op.drop_index(op.f("ix_reported_figures_entry_id"), "reported_figures")
    op.drop_table("reported_figures")
    op.drop_index("ix_figure_entries_status", "figure_entries")
    op.drop_index(op.f("ix_figure_entries_office_id"), "figure_entries")
    op.drop_table("figure_entries")
