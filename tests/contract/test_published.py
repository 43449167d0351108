"""Whatever was written in any published revision can be read as the newest version, upcasts included."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from contracts import decode
from contracts.compatibility.published import Revision, read_folder
from contracts.events import EVENTS, PUBLISHERS
from contracts.schemas import versions

from .contracts_copy import ORIGINAL
from .goldens import golden, goldens
from .instances import instances

REVISIONS = [each for each in read_folder(ORIGINAL / "schemas") if each.event != "envelope"]
NEWEST = {model.event_type: model for model in EVENTS}


@pytest.mark.parametrize("revision", REVISIONS, ids=str)
def test_every_message_of_a_published_revision_is_read_as_the_newest_version(revision: Revision) -> None:
    envelope = golden(revision.event, revision.number)

    @settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
    @given(instances(revision.schema))
    def check(data: dict[str, Any]) -> None:
        read = decode(envelope | {"data": data}, NEWEST[revision.event])
        assert read.dataschema == NEWEST[revision.event].schema_uri()

    check()


@pytest.mark.parametrize("revision", REVISIONS, ids=str)
def test_a_golden_message_has_every_field_of_its_revision(revision: Revision) -> None:
    assert golden(revision.event, revision.number)["data"].keys() == revision.schema["properties"].keys()


def test_golden_messages_come_from_services_that_publish_them() -> None:
    published = {
        (service, model.schema_uri())
        for service, models in PUBLISHERS.items()
        for each in models
        for model in versions(each)
    }

    assert {(each["source"], each["dataschema"]) for each in goldens().values()} <= published
