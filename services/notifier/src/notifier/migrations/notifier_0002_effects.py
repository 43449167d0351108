"""What the ledger of emails knew moves into the effect ledger."""

from alembic import op

revision = "notifier_0002"
down_revision = "notifier_0001"
depends_on = "effects_0001"


def upgrade() -> None:
    """Move every mail at one moment. Stop the notifiers of the old version first: they could record nothing more."""
    op.execute(
        """
        LOCK TABLE emails IN ACCESS EXCLUSIVE MODE;
        INSERT INTO effects (event_id, subscription, state, claim, claimed_until, generation, doubts, done_at)
        SELECT event_id, kind, CASE state WHEN 'sent' THEN 'done' WHEN 'sending' THEN 'claimed' ELSE state END,
            claim, claimed_until, generation, doubts, sent_at
        FROM emails;
        DROP TABLE emails;
        """
    )


def downgrade() -> None:
    """There is no way back but to restore the database: which mails were sent would be forgotten."""
    raise NotImplementedError("restore the notifier's database from before notifier_0002")
