"""Which endpoints of webhooks are disabled, because they answered 410 Gone."""

from alembic import op

revision = "notifier_0003"
down_revision = "notifier_0002"


def upgrade() -> None:
    """Create the table. An endpoint without a row is enabled."""
    op.execute(
        """
        CREATE TABLE webhook_endpoints (
            url_hash    bytea PRIMARY KEY,
            disabled_at timestamptz NOT NULL DEFAULT now(),
            reason      text NOT NULL
        );
        COMMENT ON COLUMN webhook_endpoints.url_hash IS 'SHA-256 of WEBHOOK_URL, which may hold a token';
        """
    )


def downgrade() -> None:
    """Drop the table. Endpoints that are gone would be called again."""
    op.execute("DROP TABLE webhook_endpoints")
