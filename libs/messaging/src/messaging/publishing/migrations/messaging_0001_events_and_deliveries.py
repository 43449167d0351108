"""Events (the outbox) and deliveries."""

from alembic import op

revision = "messaging_0001"
down_revision = None
branch_labels = ("messaging",)
depends_on = None


def upgrade() -> None:
    """Create the tables. The partial indexes hold unfinished deliveries and dead letters; history adds nothing."""
    op.execute(
        """
        CREATE TABLE events (
            id           uuid PRIMARY KEY,
            type         text NOT NULL,
            subject      text NOT NULL,
            envelope     json NOT NULL,
            available_at timestamptz NOT NULL,
            recorded_at  timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX events_subject ON events (subject);

        CREATE TABLE deliveries (
            event_id     uuid NOT NULL REFERENCES events ON DELETE CASCADE,
            subscription text NOT NULL,
            state        text NOT NULL DEFAULT 'pending' CHECK (state IN
                ('pending', 'queued', 'running', 'retrying', 'succeeded', 'failed', 'uncertain')),
            attempts     int NOT NULL DEFAULT 0,
            crashes      int NOT NULL DEFAULT 0,
            dispatch     int NOT NULL DEFAULT 0,
            generation   int NOT NULL DEFAULT 0,
            message_id   text,
            last_error   text,
            created_at   timestamptz NOT NULL DEFAULT now(),
            due_at       timestamptz,
            lease_until  timestamptz,
            queued_at    timestamptz,
            started_at   timestamptz,
            finished_at  timestamptz,
            PRIMARY KEY (event_id, subscription),
            CHECK ((due_at IS NOT NULL) = (state IN ('pending', 'retrying'))),
            CHECK ((lease_until IS NOT NULL) = (state IN ('queued', 'running')))
        );
        CREATE INDEX deliveries_due ON deliveries (due_at) WHERE state IN ('pending', 'retrying');
        CREATE INDEX deliveries_leased ON deliveries (lease_until) WHERE state IN ('queued', 'running');
        CREATE INDEX deliveries_dead ON deliveries (finished_at) WHERE state IN ('failed', 'uncertain');
        COMMENT ON TABLE deliveries IS 'One event for one subscription. The states: docs/deliveries.md';
        COMMENT ON COLUMN deliveries.dispatch IS 'Fencing token: how often it was enqueued';
        COMMENT ON COLUMN deliveries.generation IS 'How often an operator retried it';
        """
    )


def downgrade() -> None:
    """Drop both tables, with every event."""
    op.execute("DROP TABLE deliveries; DROP TABLE events")
