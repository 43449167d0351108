"""The audit log: one row for each event, and no way to change or delete it."""

from alembic import op

revision = "auditor_0001"
down_revision = None
branch_labels = ("auditor",)
depends_on = None


def upgrade() -> None:
    """Create the log. The triggers make it append-only for every role, its owner included."""
    op.execute(
        """
        CREATE TABLE audit_log (
            id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            event_id       uuid NOT NULL UNIQUE,
            action         text NOT NULL,
            email          text NOT NULL,
            user_id        bigint NOT NULL,
            correlation_id text NOT NULL,
            occurred_at    timestamptz NOT NULL,
            recorded_at    timestamptz NOT NULL DEFAULT clock_timestamp()
        );

        CREATE FUNCTION audit_log_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'audit_log is append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
        END $$;
        CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log
            FOR EACH ROW EXECUTE FUNCTION audit_log_refuse_change();
        CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log
            FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse_change();
        """
    )


def downgrade() -> None:
    """Drop the log, with every entry."""
    op.execute("DROP TABLE audit_log; DROP FUNCTION audit_log_refuse_change")
