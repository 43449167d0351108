"""Operations record that an operator ran a schedule."""

from alembic import op

revision = "messaging_0008"
down_revision = "messaging_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Allow the action `run`, with the name of the schedule. The wait for the lock is short (messaging_0003)."""
    op.execute(
        """
        SET LOCAL lock_timeout = '3s';
        ALTER TABLE operations ADD COLUMN schedule text, DROP CONSTRAINT operations_action_check,
            ADD CONSTRAINT operations_action_check CHECK
                (CASE action WHEN 'run' THEN schedule IS NOT NULL ELSE action IN ('retry', 'cancel', 'replay') END);
        COMMENT ON TABLE operations IS 'What operators did: to deliveries, one by one or by a filter, and to schedules';
        RESET lock_timeout;
        """
    )


def downgrade() -> None:
    """Forget which schedules were run."""
    op.execute(
        """
        DELETE FROM operations WHERE action = 'run';
        ALTER TABLE operations DROP COLUMN schedule, ADD CONSTRAINT operations_action_check CHECK
            (action IN ('retry', 'cancel', 'replay'))
        """
    )
