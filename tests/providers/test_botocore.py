"""What Amazon SES gets, beside Amazon's own description of its API: the model in botocore."""

import json
from base64 import b64decode
from dataclasses import replace
from typing import Any

import botocore.session  # type: ignore[import-untyped]
from botocore.validate import ParamValidator  # type: ignore[import-untyped]

from notifier.senders.ses import Sender

from .letters import FILES, WELCOME

URL = "ses://AK:SECRET@email.eu-west-1.amazonaws.com"


def test_the_request_is_as_the_model_says() -> None:
    operation = botocore.session.get_session().get_service_model("sesv2").operation_model("SendEmail")

    path, content, _ = Sender(URL, timeout=1.0).request(replace(WELCOME, attachments=FILES))

    assert ("POST", path) == (operation.http["method"], operation.http["requestUri"])
    body = json.loads(content)
    files = body["Content"]["Simple"]["Attachments"]
    for file in files:
        file["RawContent"] = b64decode(file["RawContent"], validate=True)
    report = ParamValidator().validate(body, operation.input_shape)
    assert not report.has_errors(), report.generate_report()
    assert unknown(body, operation.input_shape) == []


def unknown(value: Any, shape: Any, path: str = "") -> list[str]:
    """Return the fields that the model doesn't have: the validator lets them pass."""
    if shape.type_name == "list":
        return [name for item in value for name in unknown(item, shape.member, f"{path}[]")]
    if shape.type_name != "structure":
        return []
    absent = [f"{path}.{name}" for name in value if name not in shape.members]
    known = [(name, item) for name, item in value.items() if name in shape.members]
    return absent + [each for name, item in known for each in unknown(item, shape.members[name], f"{path}.{name}")]
