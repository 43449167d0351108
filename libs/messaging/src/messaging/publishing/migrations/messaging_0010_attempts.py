"""Attempts that didn't succeed."""

from alembic import op

revision = "messaging_0010"
down_revision = "messaging_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table. Its foreign key locks `deliveries` for a moment; the wait for that is short (messaging_0003).

    A fifth of each page stays free: the eleventh attempt of a delivery overwrites the first one's row.
    """
    op.execute(
        """
        SET LOCAL lock_timeout = '3s';
        CREATE TABLE attempts (
            event_id     uuid NOT NULL,
            subscription text NOT NULL,
            place        smallint NOT NULL CHECK (place BETWEEN 0 AND 9),
            ordinal      int NOT NULL,
            generation   int NOT NULL,
            number       int NOT NULL,
            queued_at    timestamptz,
            started_at   timestamptz,
            ended_at     timestamptz NOT NULL,
            outcome      text NOT NULL,
            error        text,
            PRIMARY KEY (event_id, subscription, place),
            FOREIGN KEY (event_id, subscription) REFERENCES deliveries ON DELETE CASCADE
        ) WITH (fillfactor = 80);
        COMMENT ON TABLE attempts IS 'The last ten attempts of a delivery that did not succeed';
        COMMENT ON COLUMN attempts.place IS 'The ordinal modulo ten: a new attempt takes the place of an old one';
        COMMENT ON COLUMN attempts.ordinal IS 'Which of all attempts of the delivery that did not succeed, from 1';
        COMMENT ON COLUMN attempts.number IS 'Which attempt of its generation, as deliveries.attempts counted it';
        RESET lock_timeout;
        """
    )


def downgrade() -> None:
    """Forget the attempts. Deliveries keep their number and the last error."""
    op.execute("DROP TABLE attempts")
