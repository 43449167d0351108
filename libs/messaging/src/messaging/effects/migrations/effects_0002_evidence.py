"""What an operator needs to decide about an uncertain effect."""

from alembic import op

revision = "effects_0002"
down_revision = "effects_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns that are set when an effect becomes uncertain. None of them has a default, so no row is rewritten.

    There is no index on uncertain effects: it would make every update of a state a write to every index.
    """
    op.execute(
        """
        ALTER TABLE effects ADD COLUMN evidence text, ADD COLUMN publisher text, ADD COLUMN dispatch int;
        COMMENT ON COLUMN effects.evidence IS 'What is known about an uncertain effect';
        COMMENT ON COLUMN effects.publisher IS 'Whose relay receives the receipt of an operator''s decision';
        """
    )


def downgrade() -> None:
    """Forget the evidence."""
    op.execute("ALTER TABLE effects DROP COLUMN evidence, DROP COLUMN publisher, DROP COLUMN dispatch")
