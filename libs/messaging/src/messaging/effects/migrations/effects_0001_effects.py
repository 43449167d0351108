"""The effect ledger: which effects are done, which are being caused, and which may have happened."""

from alembic import op

revision = "effects_0001"
down_revision = None
branch_labels = ("effects",)
depends_on = None


def upgrade() -> None:
    """Create the ledger. An effect without a row was never claimed."""
    op.execute(
        """
        CREATE TABLE effects (
            event_id      uuid NOT NULL,
            subscription  text NOT NULL,
            state         text NOT NULL CHECK (state IN ('claimed', 'done', 'uncertain', 'released')),
            claim         uuid NOT NULL,
            claimed_until timestamptz NOT NULL,
            generation    int NOT NULL,
            doubts        int NOT NULL DEFAULT 0,
            reference     text,
            done_at       timestamptz,
            PRIMARY KEY (event_id, subscription)
        );
        COMMENT ON COLUMN effects.claim IS 'Fencing token: only the attempt that holds it may record';
        COMMENT ON COLUMN effects.doubts IS 'How many attempts ended without an answer';
        COMMENT ON COLUMN effects.generation IS 'The operator''s retry that the claim belongs to';
        COMMENT ON COLUMN effects.reference IS 'What the provider calls it';
        """
    )


def downgrade() -> None:
    """Drop the ledger. Every replayed event would then cause its effect again."""
    op.execute("DROP TABLE effects")
