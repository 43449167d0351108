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

_FILTER = {
    "email": None,
    "user": None,
    "event": None,
    "subscription": ["audit_log"],
    "state": ["pending", "retrying"],
    "error": None,
    "group": None,
    "since": None,
    "until": None,
}
_TOTAL = {"count": 1, "exact": True}
_OPERATION = {
    "id": 1,
    "action": "cancel",
    "filter": _FILTER,
    "requested_by": "ada",
    "requested_at": _TIME,
    "state": "running",
    "eligible": _TOTAL,
    "moved": 0,
    "progress_at": _TIME,
    "finished_at": None,
    "detail": None,
}
_GROUP = {
    "subscription": "audit_log",
    "group": "OperationalError: connection to <host> refused",
    "count": 1,
    "states": {"failed": 1},
    "first_seen": _TIME,
    "last_seen": _TIME,
    "example": "OperationalError: connection to 10.0.0.7:5432 refused",
    "event_id": EVENT_ID,
}
_EVENT = {
    "id": EVENT_ID,
    "type": "user_registered",
    "subject": "users/1",
    "recorded_at": _TIME,
    "available_at": _TIME,
    "envelope": {
        "specversion": "1.0",
        "id": EVENT_ID,
        "source": "users-api",
        "type": "user_registered",
        "subject": "users/1",
        "time": _TIME,
    },
    "deliveries": [_DELIVERY],
}

OF_MODELS = {
    "NewUser": _MAYA,
    "User": _USER,
    "Registered": {"id": 1, **_MAYA, "message": "User created. Background tasks scheduled."},
    "UserPage": {"users": [_USER], "next": "MQ=="},
    "Delivery": _DELIVERY,
    "Deliveries": {"deliveries": [_DELIVERY]},
    "Moved": {"event_id": EVENT_ID, "subscription": "audit_log", "state": "pending"},
    "Total": _TOTAL,
    "DeliveryFilter": _FILTER,
    "FoundDelivery": _DELIVERY | {"subject": "users/1"},
    "DeliveryPage": {
        "deliveries": [_DELIVERY | {"subject": "users/1"}],
        "total": _TOTAL,
        "next": None,
        "searched_to": None,
    },
    "ErrorGroup": _GROUP,
    "ErrorGroups": {"groups": [_GROUP], "total": _TOTAL, "since": None},
    "EventDetails": _EVENT,
    "NewOperation": {"action": "cancel", "filter": {"subscription": ["audit_log"]}, "dry_run": False, "by": "ada"},
    "Operation": _OPERATION,
    "Requested": {"filter": _FILTER, "eligible": _TOTAL, "operation": _OPERATION},
    "OperationPage": {"operations": [_OPERATION], "next": None},
    "StoppedOperation": {"id": 1, "state": "cancelled"},
    "Alive": {"status": "alive"},
    "Ready": {"status": "ready", "checks": {"postgresql": "ok", "migrations": "ok"}},
}
"""By the name of the model."""
