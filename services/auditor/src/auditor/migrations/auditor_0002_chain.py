"""The chain: seals that cover the log's rows, and the queue of rows that no seal covers yet.

Adding the columns changes the catalogue alone. The lock on `audit_log` lasts for as long as reading the ids of the rows
that are there already: they are queued too.
"""

from alembic import op

revision = "auditor_0002"
down_revision = "auditor_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the chain. The triggers allow what an erasure does, and nothing else."""
    op.execute(
        """
        CREATE TABLE audit_unsealed (
            entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            ids   bigint[] NOT NULL CHECK (
                array_ndims(ids) = 1 AND cardinality(ids) BETWEEN 1 AND 10000 AND array_position(ids, NULL) IS NULL
            )
        );
        COMMENT ON TABLE audit_unsealed IS 'Ids of rows that no seal covers yet, as one statement wrote them';

        CREATE TABLE audit_seals (
            seal      bigint PRIMARY KEY,
            previous  bytea NOT NULL,
            sealed_at timestamptz NOT NULL,
            rows      bigint NOT NULL,
            row_ids   bigint[] NOT NULL,
            leaves    bytea NOT NULL,
            hash      bytea NOT NULL,
            salts     bytea NOT NULL
        );
        ALTER TABLE audit_seals ALTER leaves SET STORAGE EXTERNAL, ALTER salts SET STORAGE EXTERNAL;
        COMMENT ON COLUMN audit_seals.previous IS 'The hash of the seal before; 32 zero bytes for the first';
        COMMENT ON COLUMN audit_seals.rows IS 'How many rows the seals up to this one cover';
        COMMENT ON COLUMN audit_seals.leaves IS 'For each of row_ids its leaf, of 32 bytes; zeros if there was no row';
        COMMENT ON COLUMN audit_seals.salts IS 'For each of row_ids the salt of its commitment, of 16 bytes';

        ALTER TABLE audit_log ADD commitment bytea, ADD erased bigint[],
            ALTER email DROP NOT NULL, ALTER user_id DROP NOT NULL;
        COMMENT ON COLUMN audit_log.commitment IS 'Of a row whose personal data was erased: what stands for it';
        COMMENT ON COLUMN audit_log.erased IS 'Of an erasure: the rows whose personal data it removed';
        INSERT INTO audit_unsealed (ids) SELECT array_agg(id) FROM audit_log GROUP BY id / 100 ORDER BY id / 100;

        CREATE OR REPLACE FUNCTION audit_log_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE personal CONSTANT text[] := '{email,user_id,commitment}';
        BEGIN
            IF TG_OP = 'UPDATE' THEN
                IF OLD.commitment IS NULL AND NEW.commitment IS NOT NULL AND NEW.email IS NULL AND NEW.user_id IS NULL
                    AND OLD.erased IS NULL AND to_jsonb(NEW) - personal = to_jsonb(OLD) - personal
                THEN
                    RETURN NEW;
                END IF;
            END IF;
            RAISE EXCEPTION 'audit_log is append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
        END $$;

        CREATE FUNCTION audit_seals_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' THEN
                IF to_jsonb(NEW) - 'salts' = to_jsonb(OLD) - 'salts' THEN
                    RETURN NEW;
                END IF;
            END IF;
            RAISE EXCEPTION 'audit_seals is append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
        END $$;
        CREATE TRIGGER audit_seals_append_only BEFORE UPDATE OR DELETE ON audit_seals
            FOR EACH ROW EXECUTE FUNCTION audit_seals_refuse_change();
        CREATE TRIGGER audit_seals_no_truncate BEFORE TRUNCATE ON audit_seals
            FOR EACH STATEMENT EXECUTE FUNCTION audit_seals_refuse_change();
        """
    )


def downgrade() -> None:
    """Drop the chain. Rows whose personal data was erased can't become what they were: this fails if there are any."""
    op.execute(
        """
        DROP TABLE audit_seals, audit_unsealed;
        DROP FUNCTION audit_seals_refuse_change;
        ALTER TABLE audit_log DROP commitment, DROP erased,
            ALTER email SET NOT NULL, ALTER user_id SET NOT NULL;
        CREATE OR REPLACE FUNCTION audit_log_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'audit_log is append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
        END $$;
        """
    )
