"""Who made a machine, or a token of it, does not decide on what it asked for or counted."""

from alembic import op

revision = "20261203_makers"
down_revision = "20261202_given_passwords"
branch_labels = None
depends_on = None

SAID = "who made a machine does not decide on what it did"


def made_by(decider, machines):
    """SQL: whether the decider made one of the machines or a token of it."""
    return f"""
        EXISTS (SELECT 1 FROM service_accounts WHERE created_by_id = {decider} AND person_id IN ({machines}))
        OR EXISTS (SELECT 1 FROM api_tokens WHERE created_by_id = {decider} AND person_id IN ({machines}))
    """


TOOK_PART = """
    SELECT NEW.opened_by_id
    UNION SELECT counted_by_id FROM stocktake_lines WHERE stocktake_id = NEW.id
    UNION SELECT recounted_by_id FROM stocktake_lines WHERE stocktake_id = NEW.id
"""
RULES = {
    "proposals": (
        "OLD.status = 'proposed' AND NEW.status IN ('approved', 'rejected')",
        made_by("NEW.decided_by_id", "NEW.proposed_by_id"),
    ),
    "stocktakes": (
        "OLD.status <> 'approved' AND NEW.status = 'approved'",
        made_by("NEW.approved_by_id", TOOK_PART),
    ),
}


def upgrade():
    for table, (when, wrong) in RULES.items():
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"""
                CREATE FUNCTION {table}_check_maker() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF {wrong} THEN
                        RAISE EXCEPTION '{SAID}' USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NEW;
                END $$
            """)
            op.execute(f"""
                CREATE TRIGGER {table}_maker BEFORE UPDATE ON {table}
                FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {table}_check_maker()
            """)
        else:
            op.execute(f"""
                CREATE TRIGGER {table}_maker BEFORE UPDATE ON {table} WHEN {when} AND ({wrong})
                BEGIN SELECT RAISE(ABORT, '{SAID}'); END
            """)


def downgrade():
    for table in RULES:
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"DROP TRIGGER {table}_maker ON {table}")
            op.execute(f"DROP FUNCTION {table}_check_maker()")
        else:
            op.execute(f"DROP TRIGGER {table}_maker")
