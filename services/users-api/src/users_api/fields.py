"""What a registration may hold: an address that mail can be sent to, and a name that people can read."""

import re
import unicodedata
from functools import lru_cache
from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_NAME = 200
MAX_ADDRESS = 254

_REFUSED = {"Cc": "control characters", "Cs": "surrogates", "Zl": "line separators", "Zp": "paragraph separators"}
_REORDERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # they make text read as what it isn't


_USUAL = re.compile(r"([a-z0-9]+(?:[._+-][a-z0-9]+)*)@([a-z0-9.-]+)")
"""An address as most are: what is before the @ needs no look, and what comes after has been looked at before."""


def _clean_email(value: str) -> str:
    """Check and normalise one plain address; "Maya <maya@example.com>" isn't one."""
    address = value.strip()
    try:
        usual = _USUAL.fullmatch(address)
        if usual and len(address) <= MAX_ADDRESS:
            return f"{usual[1]}@{_clean_domain(usual[2])}"
        return validate_email(address, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise PydanticCustomError("email", "not a valid email address: {reason}", {"reason": str(error)}) from None


@lru_cache(maxsize=1000)
def _clean_domain(domain: str) -> str:
    return validate_email(f"a@{domain}", check_deliverability=False).domain


def _clean_name(value: str) -> str:
    name = value.strip()
    if 0 < len(name) <= MAX_NAME and name.isascii() and name.isprintable():
        return name  # as most are: nothing to look for
    for character in name:
        if refused := _refused(character):
            raise PydanticCustomError("characters", "must not contain {refused}", {"refused": refused})
    if len(name) > MAX_NAME or not any(map(_is_visible, name)):
        raise PydanticCustomError("length", "must have 1 to 200 characters, not counting white space around it")
    return name


def _refused(character: str) -> str | None:
    if unicodedata.bidirectional(character) in _REORDERING:
        return "characters that change the direction of text"
    return _REFUSED.get(unicodedata.category(character))


def _is_visible(character: str) -> bool:
    return unicodedata.category(character)[0] not in "CZ"


EmailAddress = Annotated[
    str,
    AfterValidator(_clean_email),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": MAX_ADDRESS, "examples": ["maya@example.com"]}),
]

FullName = Annotated[
    str,
    AfterValidator(_clean_name),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_NAME, "examples": ["Maya Chen"]}),
]
