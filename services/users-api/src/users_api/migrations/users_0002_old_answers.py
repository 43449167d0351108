"""Old answers to requests that carried an Idempotency-Key can be found without reading the new ones."""

from alembic import op

revision = "users_0002"
down_revision = "users_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index the answers by age."""
    op.execute("CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at)")


def downgrade() -> None:
    """Drop the index."""
    op.execute("DROP INDEX idempotency_keys_created_at")
