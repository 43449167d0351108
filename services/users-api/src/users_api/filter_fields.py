"""What the fields of a filter on deliveries may hold, over HTTP and on the command line."""

from typing import Annotated

from pydantic import Field

from messaging.publishing.states import STATES, DeliveryState

MAX_ID = 2**53 - 1
"""The largest integer that every reader of JSON reads exactly."""

MAX_LISTED = 20
MAX_ERROR = 500
MAX_GROUP = 2250
"""Of an error of 500 characters: `1,` becomes `<number>,`."""

NAME = r"^[\w.-]+$"
TEXT = r"^[^\x00]*$"

Names = Annotated[list[Annotated[str, Field(pattern=NAME, max_length=100)]], Field(min_length=1, max_length=MAX_LISTED)]
States = Annotated[list[DeliveryState], Field(min_length=1, max_length=len(STATES))]
UserNumber = Annotated[int, Field(ge=1, le=MAX_ID)]
ErrorText = Annotated[str, Field(min_length=1, max_length=MAX_ERROR, pattern=TEXT)]
GroupText = Annotated[str, Field(max_length=MAX_GROUP, pattern=TEXT)]
