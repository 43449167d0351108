"""Deliveries in every state, as the pages of the console show them. The times are those of a slow afternoon."""

from typing import Any

from tests.integration.live_api import LiveApi

AWAY = "MailServerAway: mail.example.com:587: connection refused"
SILENT = "MailUncertain: no answer within 10 s after the content was sent to mail.example.com:587"
NAMES = ("maya", "ada", "li", "noor", "sven", "yuki", "zoe", "omar")

_MOVE = """
UPDATE deliveries SET state = %s, attempts = %s, last_error = %s, reference = %s, crashes = %s,
    queued_at = created_at + make_interval(secs => %s), started_at = created_at + make_interval(secs => %s),
    finished_at = CASE WHEN %s IN ('succeeded', 'failed', 'uncertain', 'cancelled')
        THEN created_at + make_interval(secs => %s) END,
    due_at = CASE WHEN %s IN ('pending', 'retrying') THEN now() + interval '40 seconds' END,
    lease_until = CASE WHEN %s IN ('queued', 'running') THEN now() + interval '1 hour' END
WHERE event_id = %s AND subscription = %s
"""


_MAKE_OLDER = """
UPDATE events SET recorded_at = now() - interval '3 minutes', envelope = (envelope::jsonb
    || jsonb_build_object('time', to_json(now() - interval '180.004 seconds')))::json
"""


def event_of(api: LiveApi, user: int) -> str:
    """Return the id of a user's event."""
    [row] = api.rows("SELECT id FROM events WHERE subject = %s", f"users/{user}")
    return str(row["id"])


def register(api: LiveApi, name: str, full_name: str = "", **fields: str) -> tuple[int, str]:
    """Register a user, and return the ids of the user and the event."""
    answer = api.register(email=f"{name}@example.com", full_name=full_name or name.title(), **fields)
    assert answer.status_code == 201, answer.text
    user = int(answer.json()["id"])
    return user, event_of(api, user)


def move(  # noqa: PLR0913  # most have defaults
    api: LiveApi,
    event: str,
    state: str,
    error: str | None = None,
    *,
    subscription: str = "welcome_email",
    attempts: int = 1,
    crashes: int = 0,
    reference: str | None = None,
    times: tuple[float, float, float] = (0.02, 0.03, 0.4),
) -> None:
    """Move a delivery. `times`: seconds from its creation until it was queued, was started, and ended."""
    queued, started, ended = times
    values = (state, attempts, error, reference, crashes, queued, started, state, ended, state, state)
    api.execute(_MOVE, *values, event, subscription)


_TRIED = """
INSERT INTO attempts
SELECT event_id, subscription, mod(%s, 10), %s, 0, %s, created_at + make_interval(secs => %s),
    created_at + make_interval(secs => %s), created_at + make_interval(secs => %s), %s, %s
FROM deliveries WHERE event_id = %s AND subscription = 'welcome_email'
"""


def tried(api: LiveApi, event: str, number: int, ended: tuple[str, str], times: tuple[float, float, float]) -> None:
    """Record an attempt. `ended`: its outcome and error. `times`: as in `move`."""
    api.execute(_TRIED, number, number, number, *times, *ended, event)


def afternoon(api: LiveApi) -> dict[str, tuple[int, str]]:
    """Register people of whom each is in another state. Return user and event of each, by name."""
    people = {name: register(api, name) for name in NAMES}
    api.execute(_MAKE_OLDER)
    api.execute("UPDATE users SET created_at = now() - interval '3 minutes'")
    api.execute("UPDATE deliveries SET created_at = now() - interval '3 minutes'")
    for _, event in people.values():
        move(api, event, "succeeded", subscription="audit_log", times=(0.011, 0.019, 0.03))
    fates: dict[str, dict[str, Any]] = {
        "maya": {"state": "succeeded", "reference": "250 2.0.0 Ok: queued as 4FzK1x2Pz9", "times": (0.012, 0.02, 0.31)},
        "ada": {"state": "failed", "error": "MailRefused: 550 5.1.1 <ada@example.com>: no such user", "attempts": 1},
        "li": {"state": "failed", "error": "MailRefused: 550 5.1.1 <li@example.com>: no such user", "attempts": 1},
        "noor": {
            "state": "uncertain",
            "error": SILENT,
            "attempts": 3,
            "crashes": 1,
            "times": (130.0, 130.02, 140.1),
        },
        "sven": {
            "state": "retrying",
            "error": AWAY,
            "attempts": 8,
            "times": (150.0, 150.01, 0),
        },
        "yuki": {"state": "running", "times": (170.0, 171.0, 0)},
        "zoe": {"state": "cancelled", "times": (20.0, 20.5, 30.0), "attempts": 2},
    }
    for name, fate in fates.items():
        state = fate.pop("state")
        move(api, people[name][1], state, fate.pop("error", None), **fate)
    for number, began in enumerate((0.02, 1.1, 3.4, 8.0, 19.5, 41.0, 88.0, 150.01), 1):
        tried(api, people["sven"][1], number, ("retry", AWAY), (began - 0.01, began, began + 0.12))
    tried(api, people["noor"][1], 1, ("crashed", "the worker process died during this attempt"), (0.02, 0.03, 11.0))
    tried(api, people["noor"][1], 2, ("uncertain", SILENT), (12.0, 12.01, 22.1))
    tried(api, people["noor"][1], 3, ("uncertain", SILENT), (130.0, 130.02, 140.1))
    return people
