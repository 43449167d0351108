"""Who confirmed an uncertain effect, and the action `confirm` of operations."""

from alembic import op

revision = "messaging_0009"
down_revision = "messaging_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, without rewriting rows, and allow the action. The wait for locks is short (messaging_0003)."""
    op.execute(
        """
        SET LOCAL lock_timeout = '3s';
        ALTER TABLE deliveries ADD COLUMN confirmed_by text;
        COMMENT ON COLUMN deliveries.confirmed_by IS 'The operator who said that the effect has happened';
        ALTER TABLE operations DROP CONSTRAINT operations_action_check, ADD CONSTRAINT operations_action_check
            CHECK (CASE action WHEN 'run' THEN schedule IS NOT NULL
                ELSE action IN ('retry', 'cancel', 'replay', 'confirm') END) NOT VALID;
        RESET lock_timeout;
        """
    )


def downgrade() -> None:
    """Forget the confirmations. What was confirmed stays `succeeded`."""
    op.execute(
        """
        DELETE FROM operations WHERE action = 'confirm';
        ALTER TABLE operations DROP CONSTRAINT operations_action_check, ADD CONSTRAINT operations_action_check
            CHECK (CASE action WHEN 'run' THEN schedule IS NOT NULL ELSE action IN ('retry', 'cancel', 'replay') END);
        ALTER TABLE deliveries DROP COLUMN confirmed_by
        """
    )
