"""How many deliveries were moved, by minute; how many there are; and when a delivery was first due."""

from alembic import op

revision = "messaging_0006"
down_revision = "messaging_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and add the column without rewriting rows. The wait for the lock is short (messaging_0003).

    Half of each page stays free: a row is updated about twenty times a second while its minute lasts.
    """
    op.execute(
        """
        SET LOCAL lock_timeout = '3s';
        ALTER TABLE deliveries ADD COLUMN first_due_at timestamptz;
        COMMENT ON COLUMN deliveries.first_due_at IS 'When it was due the first time that a relay claimed it';
        RESET lock_timeout;

        CREATE TABLE delivery_counts (
            minute       timestamptz NOT NULL,
            subscription text NOT NULL,
            counter      text NOT NULL,
            state        text NOT NULL,
            bucket       smallint NOT NULL,
            count        bigint NOT NULL,
            lag          float8 NOT NULL,
            PRIMARY KEY (minute, subscription, counter, state, bucket)
        ) WITH (fillfactor = 50);
        COMMENT ON TABLE delivery_counts IS 'How many deliveries were moved to a state; written by the move itself';

        CREATE TABLE backlog (
            is_only    boolean PRIMARY KEY DEFAULT true CHECK (is_only),
            counted_at timestamptz NOT NULL,
            counts     jsonb NOT NULL
        );
        COMMENT ON TABLE backlog IS 'How many deliveries a relay has last counted, by subscription and state';
        """
    )


def downgrade() -> None:
    """Forget the counts."""
    op.execute("DROP TABLE backlog; DROP TABLE delivery_counts; ALTER TABLE deliveries DROP COLUMN first_due_at")
