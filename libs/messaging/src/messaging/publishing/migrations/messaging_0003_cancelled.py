"""A delivery can be cancelled."""

from alembic import op

revision = "messaging_0003"
down_revision = "messaging_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Allow the state `cancelled`, without reading the table.

    The new check is NOT VALID, and stays so: it binds every write, and the rows that are there keep the stricter check
    which it replaces. To validate it here would read the whole table under a lock that stops registrations.
    Registrations queue behind this statement while it waits for its lock, so it gives up when a backup or a long query
    has the table: nothing is changed then, and `migrate` can be run again.
    """
    op.execute(
        """
        SET LOCAL lock_timeout = '3s';
        ALTER TABLE deliveries DROP CONSTRAINT deliveries_state_check, ADD CONSTRAINT deliveries_state_check CHECK
            (state IN ('pending', 'queued', 'running', 'retrying', 'succeeded', 'failed', 'uncertain', 'cancelled'))
            NOT VALID;
        RESET lock_timeout;
        """
    )


def downgrade() -> None:
    """Forget the state: what was cancelled is failed."""
    op.execute(
        """
        UPDATE deliveries SET state = 'failed', last_error = 'cancelled by an operator' WHERE state = 'cancelled';
        ALTER TABLE deliveries DROP CONSTRAINT deliveries_state_check, ADD CONSTRAINT deliveries_state_check CHECK
            (state IN ('pending', 'queued', 'running', 'retrying', 'succeeded', 'failed', 'uncertain'))
        """
    )
