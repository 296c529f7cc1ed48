"""A finished count is not made to go away by who took part in it."""

from alembic import op

revision = "20261201_second_persons"
down_revision = "20261201_factors"
branch_labels = None
depends_on = None

# What a count has brought to light is approved or given up by somebody else, whatever the application says.
TOOK_PART = """
    NEW.cancelled_by_id = NEW.opened_by_id OR EXISTS (
        SELECT 1 FROM stocktake_lines WHERE stocktake_id = NEW.id
        AND (counted_by_id = NEW.cancelled_by_id OR recounted_by_id = NEW.cancelled_by_id)
    )
"""
SAID = "a finished count is cancelled by somebody who did not count"

TRIGGERS = {
    "sqlite": (
        f"""
        CREATE TRIGGER stocktakes_cancelling BEFORE UPDATE ON stocktakes
        WHEN OLD.status = 'counted' AND NEW.status = 'cancelled' AND ({TOOK_PART})
        BEGIN SELECT RAISE(ABORT, '{SAID}'); END
        """,
    ),
    "postgresql": (
        f"""
        CREATE FUNCTION stocktakes_check_cancelling() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF {TOOK_PART} THEN
                RAISE EXCEPTION '{SAID}' USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER stocktakes_cancelling BEFORE UPDATE ON stocktakes
        FOR EACH ROW WHEN (OLD.status = 'counted' AND NEW.status = 'cancelled')
        EXECUTE FUNCTION stocktakes_check_cancelling()
        """,
    ),
}


def upgrade():
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade():
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER stocktakes_cancelling ON stocktakes")
        op.execute("DROP FUNCTION stocktakes_check_cancelling()")
    else:
        op.execute("DROP TRIGGER stocktakes_cancelling")
