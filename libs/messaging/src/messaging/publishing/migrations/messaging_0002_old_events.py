"""An index by which housekeeping and replay find old events without reading the new ones."""

from alembic import op

revision = "messaging_0002"
down_revision = "messaging_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index events by age. The id orders the events of one transaction, which have the same time."""
    op.execute("CREATE INDEX events_recorded_at ON events (recorded_at, id)")


def downgrade() -> None:
    """Drop the index."""
    op.execute("DROP INDEX events_recorded_at")
