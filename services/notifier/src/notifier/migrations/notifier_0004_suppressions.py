"""The suppression list."""

from alembic import op

revision = "notifier_0004"
down_revision = "notifier_0003"


def upgrade() -> None:
    """Create the list. `changed_at` is how processes find what has changed since they read it."""
    op.execute(
        """
        CREATE TABLE suppressions (
            address    text PRIMARY KEY,
            reason     text NOT NULL,
            added_at   timestamptz NOT NULL DEFAULT now(),
            removed_at timestamptz,
            changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
        );
        CREATE INDEX suppressions_changed ON suppressions (changed_at);
        """
    )


def downgrade() -> None:
    """Forget which addresses were refused."""
    op.execute("DROP TABLE suppressions")
