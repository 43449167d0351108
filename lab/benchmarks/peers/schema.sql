-- The peers' tables; what Herald's own migrations make, without what only Herald has.
CREATE TABLE users (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email      text NOT NULL UNIQUE,
    full_name  text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE audit_log (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     bigint NOT NULL,
    action      text NOT NULL,
    email       text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
