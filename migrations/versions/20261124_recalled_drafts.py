"""A draft whose transfer is cancelled is recalled: it waits to be sent again."""

from alembic import op

revision = "20261124_recalled_drafts"
down_revision = "20261123_allotments"
branch_labels = None
depends_on = None

CHECKS = {
    "status": "status IN ('draft', 'sent', 'recalled', 'dropped')",
    "closed": "(status IN ('draft', 'recalled')) = (closed_at IS NULL)",
    "sent": "(status <> 'draft' OR transfer_id IS NULL)"
    " AND (status NOT IN ('sent', 'recalled') OR transfer_id IS NOT NULL)",
}
BEFORE = {
    "status": "status IN ('draft', 'sent', 'dropped')",
    "closed": "(status = 'draft') = (closed_at IS NULL)",
    "sent": "(status = 'sent') = (transfer_id IS NOT NULL)",
}

# What a closed or recalled draft says stays as it is, but for its steps; a new one may still be put right.
STEP = """
    OLD.status = 'draft' AND NEW.status IN ('draft', 'sent', 'dropped')
    OR (
        NEW.plan_id = OLD.plan_id AND NEW.item_id = OLD.item_id AND NEW.quantity = OLD.quantity
        AND NEW.sender_id = OLD.sender_id AND NEW.receiver_id = OLD.receiver_id
        AND (
            OLD.status = 'sent' AND NEW.status = 'recalled' AND NEW.transfer_id = OLD.transfer_id
            OR OLD.status = 'recalled' AND NEW.status = 'sent' AND NEW.transfer_id <> OLD.transfer_id
            OR OLD.status = 'recalled' AND NEW.status = 'dropped' AND NEW.transfer_id = OLD.transfer_id
        )
    )
"""
NOT_UNDER_WAY = """
    NEW.status IN ('sent', 'recalled')
    AND (SELECT status FROM transfers WHERE id = NEW.transfer_id) <> 'dispatched'
"""
# A recall comes right before its transfer is cancelled. Until it is, the draft goes no further.
NOT_TAKEN_BACK = """
    OLD.status = 'recalled' AND (SELECT status FROM transfers WHERE id = OLD.transfer_id) <> 'cancelled'
"""
AT_ODDS = """
    EXISTS (
        SELECT 1 FROM allotment_lines WHERE transfer_id = NEW.id
        AND (NEW.status = 'cancelled' AND status = 'sent' OR NEW.status = 'received' AND status = 'recalled')
    )
"""
TRIGGERS = {
    "sqlite": (
        f"""
        CREATE TRIGGER allotment_lines_steps BEFORE UPDATE ON allotment_lines
        WHEN COALESCE(NOT ({STEP}), 1) OR {NOT_UNDER_WAY} OR {NOT_TAKEN_BACK}
        BEGIN SELECT RAISE(ABORT, 'a draft takes no such step'); END
        """,
        """
        CREATE TRIGGER allotment_lines_no_delete BEFORE DELETE ON allotment_lines
        BEGIN SELECT RAISE(ABORT, 'a draft is never deleted'); END
        """,
        f"""
        CREATE TRIGGER transfers_drafts BEFORE UPDATE OF status ON transfers WHEN {AT_ODDS}
        BEGIN SELECT RAISE(ABORT, 'the transfer leaves its draft at odds with it'); END
        """,
    ),
    "postgresql": (
        f"""
        CREATE FUNCTION allotment_lines_check_step() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                RAISE EXCEPTION 'a draft is never deleted' USING ERRCODE = 'restrict_violation';
            END IF;
            IF COALESCE(NOT ({STEP}), true) OR {NOT_UNDER_WAY} OR {NOT_TAKEN_BACK} THEN
                RAISE EXCEPTION 'a draft takes no such step' USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER allotment_lines_steps BEFORE UPDATE OR DELETE ON allotment_lines
        FOR EACH ROW EXECUTE FUNCTION allotment_lines_check_step()
        """,
        f"""
        CREATE FUNCTION transfers_check_drafts() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF {AT_ODDS} THEN
                RAISE EXCEPTION 'the transfer leaves its draft at odds with it' USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER transfers_drafts BEFORE UPDATE OF status ON transfers
        FOR EACH ROW EXECUTE FUNCTION transfers_check_drafts()
        """,
    ),
}
TRIGGERS_BEFORE = {
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
RECALLED = """
    UPDATE allotment_lines SET status = 'recalled', closed_at = NULL, closed_by_id = NULL
    WHERE status = 'sent' AND transfer_id IN (SELECT id FROM transfers WHERE status = 'cancelled')
"""
# Before, a draft stayed sent when its transfer was cancelled, and one that was dropped had never been sent.
SENT_BEFORE = """
    UPDATE allotment_lines SET status = 'sent',
    closed_at = (SELECT recorded_at FROM transfers WHERE id = transfer_id),
    closed_by_id = (SELECT dispatched_by_id FROM transfers WHERE id = transfer_id)
    WHERE status = 'recalled'
"""
DROPPED_BEFORE = "UPDATE allotment_lines SET transfer_id = NULL WHERE status = 'dropped'"


def upgrade():
    _drop("allotment_lines_closed_once", "allotment_lines_are_closed_once")
    _replace_checks(CHECKS, (RECALLED,))
    _create(TRIGGERS)


def downgrade():
    _drop("transfers_drafts", "transfers_check_drafts", "transfers")
    _drop("allotment_lines_steps", "allotment_lines_check_step")
    _replace_checks(BEFORE, (SENT_BEFORE, DROPPED_BEFORE))
    _create(TRIGGERS_BEFORE)


def _replace_checks(checks, changes):
    """Old checks off, the rows changed, new checks on: the rows satisfy one set only. The batches make new tables on
    SQLite, which have no triggers."""
    with op.batch_alter_table("allotment_lines") as batch_op:
        for name in checks:
            batch_op.drop_constraint(op.f(f"ck_allotment_lines_{name}"), type_="check")
    for statement in changes:
        op.execute(statement)
    with op.batch_alter_table("allotment_lines") as batch_op:
        for name, condition in checks.items():
            batch_op.create_check_constraint(op.f(f"ck_allotment_lines_{name}"), condition)


def _drop(trigger, function, table="allotment_lines"):
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP TRIGGER {trigger} ON {table}")
        op.execute(f"DROP FUNCTION {function}()")
    else:
        op.execute(f"DROP TRIGGER {trigger}")


def _create(triggers):
    for statement in triggers[op.get_bind().dialect.name]:
        op.execute(statement)
