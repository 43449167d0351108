"""What is said of two schemas: the rules that they break."""

from dataclasses import dataclass
from enum import Enum


class Rule(Enum):
    """The ways in which a reader refuses what is written."""

    MISSING = "the reader requires a field that the writer doesn't have"
    OPTIONAL = "the reader requires a field that the writer may leave out"
    UNKNOWN = "the reader refuses fields that it doesn't know"
    TYPE = "another type"
    VALUES = "a value that the reader doesn't accept"
    FORMAT = "another format"
    BOUND = "beyond a bound of the reader's"
    KEYWORD = "a keyword that can't be compared"
    INNER = "a break in a model that contains itself, which is reported where it is"


@dataclass(frozen=True)
class Break:
    """A field that the reader refuses. `path`: such as files[].size; empty, if it is the whole.

    `written` and `read`: what each side says there. For a missing field, `written` is the field of the writer that has
    the same schema and is unknown to the reader, because the field may have been renamed; or empty.
    """

    rule: Rule
    path: str
    written: str
    read: str
