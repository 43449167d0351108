"""Which slots of schedules have been made."""

from alembic import op

revision = "messaging_0005"
down_revision = "messaging_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table. The key is what makes a slot happen once."""
    op.execute(
        """
        CREATE TABLE schedule_slots (
            schedule text NOT NULL,
            slot     timestamptz NOT NULL,
            event_id uuid,
            made_at  timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (schedule, slot)
        );
        COMMENT ON TABLE schedule_slots IS 'The events that schedules made. Slot -infinity: when the schedule began';
        """
    )


def downgrade() -> None:
    """Drop the table: the schedules begin anew."""
    op.execute("DROP TABLE schedule_slots")
