"""The examples of the OpenAPI document. A test sends the requests, and compares the answers."""

EVENT_ID = "019abc6f-7d1c-7c3e-9d0a-3f2b8c6d5e4f"

_TIME = "2026-11-23T16:27:01.123456Z"
_MAYA = {"email": "maya@example.com", "full_name": "Maya Chen"}
_USER = {"id": 1, **_MAYA, "created_at": _TIME}
_DELIVERY = {
    "event_id": EVENT_ID,
    "event_type": "user_registered",
    "subscription": "audit_log",
    "state": "pending",
    "attempts": 0,
    "crashes": 0,
    "last_error": None,
    "reference": None,
    "created_at": _TIME,
    "due_at": _TIME,
    "queued_at": None,
    "started_at": None,
    "finished_at": None,
}

OF_MODELS = {
    "NewUser": _MAYA,
    "User": _USER,
    "Registered": {"id": 1, **_MAYA, "message": "User created. Background tasks scheduled."},
    "UserPage": {"users": [_USER], "next": "MQ=="},
    "Delivery": _DELIVERY,
    "Deliveries": {"deliveries": [_DELIVERY]},
    "Moved": {"event_id": EVENT_ID, "subscription": "audit_log", "state": "pending"},
    "Alive": {"status": "alive"},
    "Ready": {"status": "ready", "checks": {"postgresql": "ok", "migrations": "ok"}},
}
"""By the name of the model."""
