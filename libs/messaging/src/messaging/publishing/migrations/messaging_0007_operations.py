"""What operators did, and an index of what needs them."""

from alembic import op

from messaging.process.indexes import build_index

revision = "messaging_0007"
down_revision = "messaging_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index failed, uncertain and retrying deliveries by their key, and create the table.

    The index holds all that searches and groups look at, so they read no row of the table for a delivery that they
    don't show. An event that goes well never touches it. Building it reads the table twice, beside registrations.
    """
    build_index(
        "deliveries_troubled",
        "deliveries",
        "(event_id, subscription) INCLUDE (state, last_error, started_at, finished_at)"
        " WHERE state IN ('failed', 'uncertain', 'retrying')",
    )
    op.execute(
        """
        CREATE TABLE operations (
            id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            action       text NOT NULL CHECK (action IN ('retry', 'cancel', 'replay')),
            filter       jsonb NOT NULL,
            requested_by text,
            requested_at timestamptz NOT NULL DEFAULT now(),
            state        text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'cancelled', 'failed')),
            eligible     int NOT NULL,
            exact        boolean NOT NULL,
            moved        int NOT NULL DEFAULT 0,
            event_id     uuid,
            subscription text,
            progress_at  timestamptz NOT NULL DEFAULT now(),
            finished_at  timestamptz,
            detail       text,
            CHECK ((finished_at IS NULL) = (state = 'running'))
        );
        CREATE INDEX operations_running ON operations (progress_at) WHERE state = 'running';
        COMMENT ON TABLE operations IS 'What operators did to deliveries: one by one, or all that a filter finds';
        COMMENT ON COLUMN operations.event_id IS 'With subscription: the place up to which the filter was carried out';
        """
    )


def downgrade() -> None:
    """Drop both. What operators did is forgotten."""
    op.execute("DROP INDEX deliveries_troubled; DROP TABLE operations")
