"""Old events can be found without reading the new ones: for housekeeping, and for replay."""

from alembic import op

revision = "messaging_0002"
down_revision = "messaging_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index events by age; the id makes a place among those of one transaction."""
    op.execute("CREATE INDEX events_recorded_at ON events (recorded_at, id)")


def downgrade() -> None:
    """Drop the index."""
    op.execute("DROP INDEX events_recorded_at")
