"""Users, and the answers to requests that carried an Idempotency-Key."""

from alembic import op

revision = "users_0001"
down_revision = None
branch_labels = ("users",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.execute(
        """
        CREATE TABLE users (
            id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            email      text NOT NULL,
            email_key  text NOT NULL UNIQUE,
            full_name  text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON COLUMN users.email_key IS 'The address without regard to case: what makes it unique';

        CREATE TABLE idempotency_keys (
            key         text PRIMARY KEY,
            fingerprint text NOT NULL,
            status      int NOT NULL,
            body        json NOT NULL,
            created_at  timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON COLUMN idempotency_keys.fingerprint IS 'Hash of the request that was answered so';
        """
    )


def downgrade() -> None:
    """Drop both tables, with every user."""
    op.execute("DROP TABLE idempotency_keys; DROP TABLE users")
