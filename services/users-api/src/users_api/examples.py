"""The examples of the OpenAPI document. A test sends the requests, and compares the answers."""

import json

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
    "confirmed_by": None,
    "created_at": _TIME,
    "due_at": _TIME,
    "queued_at": None,
    "started_at": None,
    "finished_at": None,
}
_ATTEMPT = {
    "generation": 0,
    "number": 1,
    "queued_at": _TIME,
    "started_at": _TIME,
    "ended_at": _TIME,
    "outcome": "retry",
    "error": "OperationalError: connection to 10.0.0.7:5432 refused",
}
_DELIVERY_HISTORY = _DELIVERY | {
    "state": "retrying",
    "attempts": 1,
    "last_error": _ATTEMPT["error"],
    "queued_at": _TIME,
    "started_at": _TIME,
    "history": [_ATTEMPT],
    "history_omitted": 0,
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
    "finished_since": None,
    "finished_until": None,
}
_TOTAL = {"count": 1, "exact": True}
_OPERATION = {
    "id": 1,
    "action": "cancel",
    "schedule": None,
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
        "datacontenttype": "application/json",
        "dataschema": "urn:herald:user_registered:1",
        "correlationid": "order-42",
        "data": {"user_id": 1, **_MAYA, "registered_at": _TIME},
    },
    "deliveries": [_DELIVERY_HISTORY],
}

_MOVES = {
    "succeeded": 1204,
    "failed": 0,
    "uncertain": 0,
    "retried": 3,
    "lag_mean": 0.0181,
    "lag_median": 0.02,
    "lag_p95": 0.05,
}
_SUBSCRIPTION = {
    "name": "audit_log",
    "service": "auditor",
    "declared": True,
    "states": {
        state: {"count": count, "exact": True}
        for state, count in (
            ("pending", 1),
            ("retrying", 0),
            ("queued", 0),
            ("running", 1),
            ("failed", 1),
            ("uncertain", 0),
        )
    },
    "oldest_seconds": 62.5,
    "overdue_seconds": 0.4,
    "longest_running": [{"event_id": EVENT_ID, "subject": "users/1", "started_at": _TIME}],
    "last_succeeded_at": "2026-11-23T16:26:00Z",
    "last_error": {"text": "OperationalError: the connection is lost", "state": "failed", "at": _TIME},
    "hour": _MOVES,
    "minutes": [_MOVES | {"minute": "2026-11-23T16:26:00Z"}],
}
_STATUS = {
    "time": _TIME,
    "counted_at": "2026-11-23T16:26:40Z",
    "unqueued_seconds": 0.4,
    "subscriptions": [_SUBSCRIPTION],
    "postgresql": {"version": "18.6", "connections": 14, "max_connections": 100, "database_bytes": 48_234_496},
    "redis": {
        "fault": None,
        "version": "8.2.1",
        "used_bytes": 1_482_752,
        "max_bytes": 0,
        "policy": "noeviction",
        "receipts": 0,
        "queues": [{"queue": "auditor", "waiting": 0, "messages": 1}],
        "workers": [{"worker": "auditor-1.7.0c9f21d4a3b1", "alive": True, "holds": {"auditor": 1}}],
        "relays": [
            {"publisher": "users-api", "relay": "relay-1.7", "alive": True, "up_seconds": 86_400, "failing": {}}
        ],
    },
}

OF_MODELS = {
    "NewUser": _MAYA,
    "User": _USER,
    "Registered": {"id": 1, **_MAYA, "message": "User created. Background tasks scheduled."},
    "UserPage": {"users": [_USER], "next": "MQ=="},
    "Attempt": _ATTEMPT,
    "DeliveryHistory": _DELIVERY_HISTORY,
    "Deliveries": {"deliveries": [_DELIVERY_HISTORY]},
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
    "Status": _STATUS,
    "Ready": {"status": "ready", "checks": {"postgresql": "ok", "migrations": "ok"}},
}
"""By the name of the model."""

EVENT_STREAM = f"id: 1f0c2d9e-41\nevent: delivery\ndata: {json.dumps(_DELIVERY | {'subject': 'users/1'})}\n\n"
