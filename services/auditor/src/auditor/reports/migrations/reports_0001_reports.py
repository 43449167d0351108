"""Reports that were made."""

from alembic import op

revision = "reports_0001"
down_revision = None
branch_labels = ("reports",)
depends_on = None


def upgrade() -> None:
    """Create the table. The key is what makes a report that comes again change nothing."""
    op.execute(
        """
        CREATE TABLE reports (
            event_id      uuid PRIMARY KEY,
            schedule      text NOT NULL,
            until         timestamptz NOT NULL,
            registrations bigint NOT NULL,
            seconds       float8 NOT NULL,
            made_at       timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON COLUMN reports.event_id IS 'The event report_due. The report in the report store has this name';
        """
    )


def downgrade() -> None:
    """Drop the table."""
    op.execute("DROP TABLE reports")
