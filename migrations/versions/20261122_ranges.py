"""Number ranges: which items keep their numbers, where each number is, and which movement moved it."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_ranges"
down_revision = "20261122_counts"
branch_labels = None
depends_on = None

BLOCK = 1000

# Ranges of an item never overlap, so the row that begins last at or before a number is the only one that can hold it,
# and nothing before that row needs to be looked at.
OVERLAPPING = """
    SELECT 1 FROM number_ranges AS other
    WHERE other.item_id = NEW.item_id AND other.prefix = NEW.prefix AND other.width = NEW.width
      AND other.first <= NEW.last AND other.last >= NEW.first
      AND other.first >= coalesce((
          SELECT max(before.first) FROM number_ranges AS before
          WHERE before.item_id = NEW.item_id AND before.prefix = NEW.prefix AND before.width = NEW.width
            AND before.first <= NEW.first), 0)
"""

# History is written before its movement and complete with it.
TOO_LATE_OR_TWICE = f"""
    SELECT 1 FROM movements AS done
    WHERE done.request_id = NEW.request_id AND done.request_line = NEW.request_line
    UNION ALL
    SELECT 1 FROM movement_ranges AS other
    WHERE other.request_id = NEW.request_id AND other.request_line = NEW.request_line
      AND other.prefix = NEW.prefix AND other.width = NEW.width
      AND other.first BETWEEN NEW.first / {BLOCK} * {BLOCK} AND NEW.last AND other.last >= NEW.first
"""

# Quantity and ranges agree: the sum of the lengths is the quantity where numbers are kept, and nothing elsewhere.
DISAGREEING = """
    SELECT 1 WHERE (
        SELECT coalesce(sum(moved.last - moved.first + 1), 0) FROM movement_ranges AS moved
        WHERE moved.request_id = NEW.request_id AND moved.request_line = NEW.request_line
    ) <> (SELECT CASE WHEN kept.numbered THEN abs(NEW.quantity) ELSE 0 END FROM items AS kept WHERE kept.id = NEW.item_id)
    UNION ALL
    SELECT 1 FROM movement_ranges AS stray
    WHERE stray.request_id = NEW.request_id AND stray.request_line = NEW.request_line AND stray.item_id <> NEW.item_id
"""

IN_USE = "SELECT 1 FROM balances WHERE balances.item_id = NEW.id AND balances.last_seq > 0"

TRIGGERS = {
    "sqlite": (
        f"""
        CREATE TRIGGER number_ranges_apart BEFORE INSERT ON number_ranges
        WHEN EXISTS ({OVERLAPPING})
        BEGIN SELECT RAISE(ABORT, 'a number is in one place only'); END
        """,
        """
        CREATE TRIGGER number_ranges_no_update BEFORE UPDATE ON number_ranges
        BEGIN SELECT RAISE(ABORT, 'number ranges are cut, not changed'); END
        """,
        """
        CREATE TRIGGER movement_ranges_no_update BEFORE UPDATE ON movement_ranges
        BEGIN SELECT RAISE(ABORT, 'movement ranges are append-only'); END
        """,
        """
        CREATE TRIGGER movement_ranges_no_delete BEFORE DELETE ON movement_ranges
        BEGIN SELECT RAISE(ABORT, 'movement ranges are append-only'); END
        """,
        f"""
        CREATE TRIGGER movement_ranges_once BEFORE INSERT ON movement_ranges
        WHEN EXISTS ({TOO_LATE_OR_TWICE})
        BEGIN SELECT RAISE(ABORT, 'a movement moves a number once, and from its beginning'); END
        """,
        f"""
        CREATE TRIGGER movements_ranges BEFORE INSERT ON movements
        WHEN EXISTS ({DISAGREEING})
        BEGIN SELECT RAISE(ABORT, 'quantity and number ranges must agree'); END
        """,
        f"""
        CREATE TRIGGER items_numbered BEFORE UPDATE OF numbered ON items
        WHEN NEW.numbered <> OLD.numbered AND EXISTS ({IN_USE})
        BEGIN SELECT RAISE(ABORT, 'an item in use keeps its numbers or does not'); END
        """,
    ),
    "postgresql": (
        f"""
        CREATE FUNCTION number_ranges_check() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' THEN
                RAISE EXCEPTION 'number ranges are cut, not changed' USING ERRCODE = 'restrict_violation';
            END IF;
            IF EXISTS ({OVERLAPPING}) THEN
                RAISE EXCEPTION 'a number is in one place only' USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER number_ranges_apart BEFORE INSERT OR UPDATE ON number_ranges
        FOR EACH ROW EXECUTE FUNCTION number_ranges_check()
        """,
        """
        CREATE FUNCTION movement_ranges_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'movement ranges are append-only' USING ERRCODE = 'restrict_violation';
        END $$
        """,
        """
        CREATE TRIGGER movement_ranges_no_change BEFORE UPDATE OR DELETE ON movement_ranges
        FOR EACH ROW EXECUTE FUNCTION movement_ranges_are_append_only()
        """,
        """
        CREATE TRIGGER movement_ranges_no_truncate BEFORE TRUNCATE ON movement_ranges
        FOR EACH STATEMENT EXECUTE FUNCTION movement_ranges_are_append_only()
        """,
        f"""
        CREATE FUNCTION movement_ranges_check() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS ({TOO_LATE_OR_TWICE}) THEN
                RAISE EXCEPTION 'a movement moves a number once, and from its beginning'
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER movement_ranges_once BEFORE INSERT ON movement_ranges
        FOR EACH ROW EXECUTE FUNCTION movement_ranges_check()
        """,
        f"""
        CREATE FUNCTION movements_check_ranges() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS ({DISAGREEING}) THEN
                RAISE EXCEPTION 'quantity and number ranges must agree' USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER movements_ranges BEFORE INSERT ON movements
        FOR EACH ROW EXECUTE FUNCTION movements_check_ranges()
        """,
        f"""
        CREATE FUNCTION items_check_numbered() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS ({IN_USE}) THEN
                RAISE EXCEPTION 'an item in use keeps its numbers or does not' USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER items_numbered BEFORE UPDATE OF numbered ON items
        FOR EACH ROW WHEN (NEW.numbered <> OLD.numbered) EXECUTE FUNCTION items_check_numbered()
        """,
    ),
}


def upgrade():
    # In place on SQLite too: a batch would copy the table, and later ones would lose its trigger.
    op.execute("ALTER TABLE items ADD COLUMN numbered BOOLEAN DEFAULT false NOT NULL")
    op.create_table(
        "number_ranges",
        sa.Column("item_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("prefix", sa.String(length=8), nullable=False),
        sa.Column("width", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(length=16), nullable=False),
        sa.Column("transfer_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "first BETWEEN 0 AND last AND length(CAST(last AS VARCHAR(12))) <= width",
            name=op.f("ck_number_ranges_numbers"),
        ),
        sa.CheckConstraint("length(prefix) <= 8 AND width BETWEEN 1 AND 12", name=op.f("ck_number_ranges_series")),
        sa.CheckConstraint(
            "place IN ('store', 'transit', 'printed', 'spoiled', 'destroyed', 'missing', 'outside')",
            name=op.f("ck_number_ranges_place"),
        ),
        sa.CheckConstraint(
            "place = 'outside' OR (place = 'transit') = (transfer_id IS NOT NULL)",
            name=op.f("ck_number_ranges_transfer"),
        ),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_number_ranges_item_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_number_ranges_office_id")),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfers.id"], name=op.f("fk_number_ranges_transfer_id")),
        sa.PrimaryKeyConstraint("item_id", "prefix", "width", "first", name=op.f("pk_number_ranges")),
        sa.UniqueConstraint(
            "item_id", "prefix", "width", "last", name=op.f("uq_number_ranges_item_id_prefix_width_last")
        ),
    )
    held = ["office_id", "item_id", "place", "prefix", "width", "first"]
    op.create_index("ix_number_ranges_held", "number_ranges", held)
    op.create_index(op.f("ix_number_ranges_transfer_id"), "number_ranges", ["transfer_id"])
    op.create_table(
        "movement_ranges",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("request_line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("prefix", sa.String(length=8), nullable=False),
        sa.Column("width", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "first BETWEEN 0 AND last AND length(CAST(last AS VARCHAR(12))) <= width",
            name=op.f("ck_movement_ranges_numbers"),
        ),
        sa.CheckConstraint("length(prefix) <= 8 AND width BETWEEN 1 AND 12", name=op.f("ck_movement_ranges_series")),
        sa.CheckConstraint(f"first / {BLOCK} = last / {BLOCK}", name=op.f("ck_movement_ranges_block")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_movement_ranges_item_id")),
        sa.ForeignKeyConstraint(
            ["request_id", "request_line"],
            ["movements.request_id", "movements.request_line"],
            name=op.f("fk_movement_ranges_request_id_request_line"),
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.PrimaryKeyConstraint(
            "request_id", "request_line", "prefix", "width", "first", name=op.f("pk_movement_ranges")
        ),
    )
    op.create_index("ix_movement_ranges_number", "movement_ranges", ["item_id", "prefix", "width", "first"])
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)

    op.add_column("destruction_lines", sa.Column("numbers", sa.Text(), server_default="", nullable=False))


def downgrade():
    op.drop_column("destruction_lines", "numbers")
    postgresql = op.get_bind().dialect.name == "postgresql"
    for name, table in (("movements_ranges", "movements"), ("items_numbered", "items")):
        op.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if postgresql else ""))
    op.drop_table("movement_ranges")
    op.drop_table("number_ranges")
    if postgresql:
        for name in (
            "number_ranges_check",
            "movement_ranges_are_append_only",
            "movement_ranges_check",
            "movements_check_ranges",
            "items_check_numbered",
        ):
            op.execute(f"DROP FUNCTION {name}")
    op.execute("ALTER TABLE items DROP COLUMN numbered")
