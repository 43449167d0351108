"""What the OpenAPI document says of each operation's answers, beside their models: errors, headers and links.

Links say which value of an answer is a parameter of which operation. Tests follow them.
"""

from typing import Any

from contracts import AUDIT_LOG
from messaging.publishing import confirming, operations
from users_api.documented import RETRY_AFTER, documented, problem
from users_api.examples import EVENT_ID, EVENT_STREAM
from users_api.idempotency import STILL_RUNNING
from users_api.operating_schemas import Requested
from users_api.problems import Problem
from users_api.registration import KEY_REUSED, TAKEN

Responses = dict[int | str, dict[str, Any]]

_NO_USER = problem(404, "There is no such user.", no_user="There is no user 4711.")
_NO_DELIVERY = problem(
    404,
    "There is no such delivery.",
    no_delivery=f"There is no delivery of event {EVENT_ID} to {AUDIT_LOG.name}.",
)


def _link(operation: str, place: str) -> dict[str, Any]:
    """Link to an operation on the delivery at a place of the answer."""
    parameters = {name: f"$response.body#{place}/{name}" for name in ("event_id", "subscription")}
    return {"operationId": operation, "parameters": parameters}


_OF_EVENT = {"operationId": "show_event", "parameters": {"event_id": "$response.body#/deliveries/0/event_id"}}

_INVALID = "body.full_name: must have 1 to 200 characters, not counting white space, and not look blank"
_FAULT = {"field": "body.full_name", "message": _INVALID.removeprefix("body.full_name: ")}

_CREATED: dict[str, Any] = {
    "description": "The user is registered, and every effect will follow.",
    "headers": {
        "Location": {
            "description": "The path of the user.",
            "required": True,
            "schema": {"type": "string", "pattern": "^/users/[0-9]+$"},
        },
        "X-Correlation-ID": {
            "description": "As sent, or generated.",
            "required": True,
            "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,128}$"},
        },
    },
    "links": {
        "user": {"operationId": "get_user", "parameters": {"user_id": "$response.body#/id"}},
        "deliveries": {"operationId": "get_deliveries", "parameters": {"user_id": "$response.body#/id"}},
    },
}

CREATE_USER: Responses = {
    201: _CREATED,
    **problem(
        409,
        "The address is taken, or a request with the same key is still running.",
        taken=TAKEN,
        still_running=STILL_RUNNING,
    ),
    **problem(
        422,
        "A header, a query parameter or the body is not as described, or the key was used for another request.",
        invalid=Problem(422, _INVALID, errors=[_FAULT]),
        key_reused=KEY_REUSED,
    ),
}

LIST_USERS: Responses = {
    200: {
        "description": "One page of users.",
        "links": {
            "next": {"operationId": "list_users", "parameters": {"cursor": "$response.body#/next"}},
        },
    }
}

GET_USER: Responses = {200: {"description": "The user."}, **_NO_USER}

GET_DELIVERIES: Responses = {
    200: {
        "description": "Every delivery of every event about the user.",
        "links": {
            "retry": _link("retry_delivery", "/deliveries/0"),
            "cancel": _link("cancel_delivery", "/deliveries/0"),
            "event": _OF_EVENT,
        },
    },
    **_NO_USER,
}

RETRY_DELIVERY: Responses = {
    **documented(403),
    202: {"description": "The delivery is due.", "links": {"cancel": _link("cancel_delivery", "")}},
    **_NO_DELIVERY,
    **problem(
        409,
        "The delivery is in a state that can't be retried.",
        pending=operations.not_retried(AUDIT_LOG.name, "pending"),
    ),
}

CANCEL_DELIVERY: Responses = {
    **documented(403),
    202: {"description": "The delivery is cancelled.", "links": {"retry": _link("retry_delivery", "")}},
    **_NO_DELIVERY,
    **problem(
        409, "The delivery is in a state that can't be cancelled.", cancelled=operations.not_cancelled("cancelled")
    ),
}

CONFIRM_DELIVERY: Responses = {
    **documented(403),
    202: {"description": "The delivery succeeded. The consumer is going to record that the effect happened."},
    **_NO_DELIVERY,
    **problem(409, "The delivery isn't uncertain.", pending=confirming.not_confirmed("pending")),
}

_OLDER = {"operationId": "list_operations", "parameters": {"cursor": "$response.body#/next"}}
_OF_OPERATION = {"operationId": "show_operation", "parameters": {"operation_id": "$response.body#/operation/id"}}
_NO_OPERATION = problem(404, "There is no such operation.", no_operation="There is no operation 4711.")

SEARCH_DELIVERIES: Responses = {
    200: {
        "description": "One page of deliveries.",
        "links": {
            "next": {"operationId": "search_deliveries", "parameters": {"cursor": "$response.body#/next"}},
            "event": _OF_EVENT,
        },
    }
}

GROUP_DELIVERIES: Responses = {200: {"description": "Failures, in groups."}}

MOVE_DELIVERIES: Responses = {
    **documented(403),
    200: {"model": Requested, "description": "A dry run: nothing was done."},
    202: {"description": "A relay will do it.", "links": {"progress": _OF_OPERATION}},
    **problem(404, "There is no such user.", no_user="There is no such user."),
    **problem(
        409,
        "The action can't be done to what the filter means.",
        no_state="Only deliveries that are pending or retrying can be cancelled.",
        no_since="A replay needs one subscription, and since when the events were made.",
    ),
}

LIST_OPERATIONS: Responses = {200: {"description": "One page of operations.", "links": {"next": _OLDER}}}

SHOW_OPERATION: Responses = {200: {"description": "The operation."}, **_NO_OPERATION}

CANCEL_OPERATION: Responses = {
    **documented(403),
    202: {"description": "It goes no further."},
    **_NO_OPERATION,
    **problem(409, "It isn't running.", done="The operation is done. Only one that is running can be cancelled."),
}

SHOW_EVENT: Responses = {
    200: {"description": "The event."},
    **problem(404, "There is no such event.", no_event=f"There is no event {EVENT_ID}."),
}

_NOT_APPLIED = {"postgresql": "ok", "migrations": "users_0003 not applied. Run: users-api migrate"}

READYZ: Responses = {
    200: {"description": "It can register and show users."},
    **problem(503, "It can't: see `checks`.", RETRY_AFTER, not_ready=Problem(503, "Not ready.", checks=_NOT_APPLIED)),
}

METRICS: Responses = {200: {"description": "The text format of Prometheus."}}

LIVE: Responses = {
    200: {
        "description": "A stream of server-sent events.",
        "content": {"text/event-stream": {"example": EVENT_STREAM}},
    }
}

STATUS: Responses = {200: {"description": "How everything is doing."}}

LIVEZ: Responses = {200: {"description": "It is alive."}}
