"""Proposals that wait for a second person, destructions and write-offs, and the shift of spoiled cards."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_proposals"
down_revision = "20261122_seals"
branch_labels = None
depends_on = None

GUARDED = """
    (NEW.kind = 'receipt' AND NEW.reverses_id IS NOT NULL)
    OR NEW.kind = 'destroy'
    OR (NEW.kind = 'spoil' AND NEW.reason = 'obsolete')
"""
# An approved proposal of the right kind for the same office; for a reversal, one that names the receipt or another
# movement of the receipt's delivery.
IS_APPROVED = """
    SELECT 1 FROM proposals p
    WHERE p.id = NEW.proposal_id AND p.status = 'approved' AND p.office_id = NEW.office_id
    AND p.kind = CASE NEW.kind WHEN 'receipt' THEN 'reversal' WHEN 'destroy' THEN 'destruction' ELSE 'write_off' END
    AND (p.kind <> 'reversal' OR p.movement_id = NEW.reverses_id OR EXISTS (
        SELECT 1 FROM movements named JOIN movements original ON original.delivery_id = named.delivery_id
        WHERE named.id = p.movement_id AND original.id = NEW.reverses_id
    ))
"""
TRIGGERS = {
    "sqlite": (
        f"""
        CREATE TRIGGER movements_second_person BEFORE INSERT ON movements
        WHEN ({GUARDED}) AND NOT EXISTS ({IS_APPROVED})
        BEGIN SELECT RAISE(ABORT, 'a second person must approve this movement'); END
        """,
        """
        CREATE TRIGGER proposals_decided_once BEFORE UPDATE ON proposals WHEN OLD.status <> 'proposed'
        BEGIN SELECT RAISE(ABORT, 'a proposal is decided once'); END
        """,
        """
        CREATE TRIGGER proposals_no_delete BEFORE DELETE ON proposals
        BEGIN SELECT RAISE(ABORT, 'a proposal is never deleted'); END
        """,
    ),
    "postgresql": (
        f"""
        CREATE FUNCTION movements_check_second_person() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS ({IS_APPROVED}) THEN
                RAISE EXCEPTION 'a second person must approve this movement' USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
        """,
        f"""
        CREATE TRIGGER movements_second_person BEFORE INSERT ON movements
        FOR EACH ROW WHEN ({GUARDED}) EXECUTE FUNCTION movements_check_second_person()
        """,
        """
        CREATE FUNCTION proposals_are_decided_once() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' OR OLD.status <> 'proposed' THEN
                RAISE EXCEPTION 'a proposal is decided once and never deleted' USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER proposals_decided_once BEFORE UPDATE OR DELETE ON proposals
        FOR EACH ROW EXECUTE FUNCTION proposals_are_decided_once()
        """,
    ),
}


def upgrade():
    op.create_table(
        "proposals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("proposed_by_id", sa.Integer(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by_id", sa.Integer(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("movement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("note", sa.String(length=500), server_default="", nullable=False),
        sa.Column("decision_note", sa.String(length=500), server_default="", nullable=False),
        sa.CheckConstraint("kind IN ('destruction', 'write_off', 'reversal')", name=op.f("ck_proposals_kind")),
        sa.CheckConstraint(
            "status IN ('proposed', 'approved', 'rejected', 'withdrawn')", name=op.f("ck_proposals_status")
        ),
        sa.CheckConstraint("(status = 'proposed') = (decided_at IS NULL)", name=op.f("ck_proposals_decided_at")),
        sa.CheckConstraint("(decided_at IS NULL) = (decided_by_id IS NULL)", name=op.f("ck_proposals_decided_by")),
        sa.CheckConstraint(
            "decided_by_id IS NULL OR (status = 'withdrawn') = (decided_by_id = proposed_by_id)",
            name=op.f("ck_proposals_second_person"),
        ),
        sa.CheckConstraint("(kind = 'reversal') = (movement_id IS NOT NULL)", name=op.f("ck_proposals_movement")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["people.id"], name=op.f("fk_proposals_decided_by_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_proposals_office_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["people.id"], name=op.f("fk_proposals_proposed_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposals")),
        sa.UniqueConstraint("request_id", name=op.f("uq_proposals_request_id")),
    )
    op.create_index("ix_proposals_office_id_status", "proposals", ["office_id", "status"])
    op.create_index(
        "uq_proposals_movement_id",
        "proposals",
        ["movement_id"],
        unique=True,
        sqlite_where=sa.text("status = 'proposed'"),
        postgresql_where=sa.text("status = 'proposed'"),
    )
    op.create_table(
        "destructions",
        sa.Column("proposal_id", sa.Integer(), nullable=False),
        sa.Column("happened_on", sa.Date(), nullable=False),
        sa.Column("place", sa.String(length=120), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("first_witness", sa.String(length=120), nullable=False),
        sa.Column("first_position", sa.String(length=120), nullable=False),
        sa.Column("second_witness", sa.String(length=120), nullable=False),
        sa.Column("second_position", sa.String(length=120), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.CheckConstraint("method IN ('burned', 'shredded', 'cut', 'other')", name=op.f("ck_destructions_method")),
        sa.CheckConstraint("total BETWEEN 1 AND 10000000", name=op.f("ck_destructions_total")),
        sa.CheckConstraint("first_witness <> second_witness", name=op.f("ck_destructions_two_witnesses")),
        sa.ForeignKeyConstraint(["proposal_id"], ["proposals.id"], name=op.f("fk_destructions_proposal_id")),
        sa.PrimaryKeyConstraint("proposal_id", name=op.f("pk_destructions")),
    )
    op.create_table(
        "destruction_lines",
        sa.Column("proposal_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(length=24), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "cause IN ('misprint', 'encoding_failure', 'defective', 'obsolete', 'arrived_damaged')",
            name=op.f("ck_destruction_lines_cause"),
        ),
        sa.CheckConstraint("quantity BETWEEN 1 AND 10000000", name=op.f("ck_destruction_lines_quantity")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_destruction_lines_item_id")),
        sa.ForeignKeyConstraint(
            ["proposal_id"], ["destructions.proposal_id"], name=op.f("fk_destruction_lines_proposal_id")
        ),
        sa.PrimaryKeyConstraint("proposal_id", "item_id", "cause", name=op.f("pk_destruction_lines")),
    )
    # Added in place on SQLite too: a batch would copy the ledger and lose its triggers.
    op.execute(
        "ALTER TABLE movements ADD COLUMN proposal_id INTEGER"
        " CONSTRAINT fk_movements_proposal_id REFERENCES proposals (id)"
    )
    op.create_index("ix_movements_proposal_id", "movements", ["proposal_id"])
    op.execute(
        "ALTER TABLE movements ADD COLUMN shift VARCHAR(12) CONSTRAINT ck_movements_shift"
        " CHECK (shift IS NULL OR (kind = 'spoil' AND shift IN ('morning', 'afternoon', 'evening')))"
    )
    op.execute(
        "ALTER TABLE offices ADD COLUMN destroy_within_days INTEGER DEFAULT 30 NOT NULL"
        " CONSTRAINT ck_offices_destroy_within_days CHECK (destroy_within_days BETWEEN 1 AND 365)"
    )
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade():
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    op.execute("DROP TRIGGER movements_second_person" + (" ON movements" if on_postgresql else ""))
    op.execute("DROP TRIGGER proposals_decided_once" + (" ON proposals" if on_postgresql else ""))
    if on_postgresql:
        op.execute("DROP FUNCTION movements_check_second_person()")
        op.execute("DROP FUNCTION proposals_are_decided_once()")
    else:
        op.execute("DROP TRIGGER proposals_no_delete")
    op.execute("ALTER TABLE offices DROP COLUMN destroy_within_days")
    op.execute("ALTER TABLE movements DROP COLUMN shift")
    op.drop_index("ix_movements_proposal_id", "movements")
    op.execute("ALTER TABLE movements DROP COLUMN proposal_id")
    op.drop_table("destruction_lines")
    op.drop_table("destructions")
    op.drop_index("uq_proposals_movement_id", "proposals")
    op.drop_index("ix_proposals_office_id_status", "proposals")
    op.drop_table("proposals")
