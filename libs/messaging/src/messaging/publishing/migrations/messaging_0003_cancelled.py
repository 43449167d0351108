"""The state `cancelled` of deliveries."""

from alembic import op

revision = "messaging_0003"
down_revision = "messaging_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Allow the state `cancelled`, without reading the table.

    The new check is NOT VALID, and stays so. It binds every write, and the existing rows have already passed the
    stricter check that it replaces. Validating it here would read the whole table under a lock that stops
    registrations.
    While this statement waits for its lock, registrations queue behind it. So it gives up after 3 s if a backup or a
    long query has locked the table: then nothing has changed, and `migrate` can be run again.
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
    """Remove the state: cancelled deliveries become failed ones."""
    op.execute(
        """
        UPDATE deliveries SET state = 'failed', last_error = 'cancelled by an operator' WHERE state = 'cancelled';
        ALTER TABLE deliveries DROP CONSTRAINT deliveries_state_check, ADD CONSTRAINT deliveries_state_check CHECK
            (state IN ('pending', 'queued', 'running', 'retrying', 'succeeded', 'failed', 'uncertain'))
        """
    )
