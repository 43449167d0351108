"""The ledger of emails: which were sent, and which are being sent right now."""

from alembic import op

revision = "notifier_0001"
down_revision = None
branch_labels = ("notifier",)


def upgrade() -> None:
    """Create the ledger. A mail not in it was never begun, or certainly not accepted."""
    op.execute(
        """
        CREATE TABLE emails (
            event_id      uuid NOT NULL,
            kind          text NOT NULL,
            state         text NOT NULL CHECK (state IN ('sending', 'sent', 'uncertain')),
            claim         uuid NOT NULL,
            claimed_until timestamptz NOT NULL,
            generation    int NOT NULL,
            doubts        int NOT NULL DEFAULT 0,
            sent_at       timestamptz,
            PRIMARY KEY (event_id, kind)
        )
        """
    )


def downgrade() -> None:
    """Forget what was sent: every replayed event would be mailed again."""
    op.execute("DROP TABLE emails")
