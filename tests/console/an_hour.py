"""An hour that a Herald has been running, made up: plots of a Herald that has just started show one bar."""

from chaos.system import System

_HOUR = """
INSERT INTO delivery_counts (minute, subscription, counter, state, bucket, count, lag)
SELECT date_trunc('minute', now()) - ago * interval '1 minute', subscription, 'made up', state, bucket, count, lag
FROM generate_series(1, 59) AS ago CROSS JOIN (VALUES ('welcome_email'), ('audit_log')) AS effect (subscription)
CROSS JOIN LATERAL (VALUES
    ('succeeded', 4, (30 + 18 * sin(ago / 6.0) + (ago * 37) % 11)::bigint, 1.0),
    ('succeeded', CASE WHEN ago BETWEEN 18 AND 26 THEN 11 ELSE 5 + (ago / 7) % 2 END, (3 + ago % 2)::bigint, 2.0),
    ('retrying', 0, CASE WHEN subscription = 'welcome_email' AND ago BETWEEN 21 AND 26 THEN 14 ELSE 0 END, 0.0),
    ('failed', 0, CASE WHEN subscription = 'welcome_email' AND ago BETWEEN 22 AND 24 THEN 3 ELSE 0 END, 0.0)
) AS moves (state, bucket, count, lag)
WHERE count > 0
"""


def make_up(system: System) -> None:
    """Let the plots show a busy hour, in which a mail server was away for a few minutes."""
    system.query("users", _HOUR)
