"""Addresses are compared by case alone, and domains as IDNA 2008 has them: a@faß.de and a@fass.de are two."""

from alembic import op
from sqlalchemy import text

from users_api.fields import email_key

revision = "users_0003"
down_revision = "users_0002"
branch_labels = None
depends_on = None

_NOT_ASCII = r"SELECT id, email FROM users WHERE email ~ '[^\x01-\x7f]'"

_REPLACE = """
-- An address whose new key is taken by another user keeps its old key: no account is lost.
UPDATE users SET email_key = :key
WHERE id = :id AND email_key <> :key AND NOT EXISTS (SELECT FROM users WHERE email_key = :key)
"""


def upgrade() -> None:
    """Replace the keys that differ; those of addresses in ASCII don't."""
    connection = op.get_bind()
    for id_, email in connection.execute(text(_NOT_ASCII)).all():
        connection.execute(text(_REPLACE), {"id": id_, "key": email_key(email)})


def downgrade() -> None:
    """Leave the keys: they are unique, and the old ones might not be."""
