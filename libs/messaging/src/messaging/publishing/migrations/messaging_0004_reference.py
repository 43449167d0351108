"""The provider's reference of a delivery."""

from alembic import op

revision = "messaging_0004"
down_revision = "messaging_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, without rewriting rows. As in messaging_0003 the wait for the lock is short."""
    op.execute(
        """
        SET LOCAL lock_timeout = '3s';
        ALTER TABLE deliveries ADD COLUMN reference text;
        COMMENT ON COLUMN deliveries.reference IS 'What the provider calls the effect';
        RESET lock_timeout;
        """
    )


def downgrade() -> None:
    """Forget the references."""
    op.execute("ALTER TABLE deliveries DROP COLUMN reference")
