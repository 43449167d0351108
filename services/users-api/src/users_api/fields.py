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
MAX_LOCAL_PART = 64
"""Octets before the @ (RFC 5321, 4.5.3.1.1)."""

_REFUSED = {"Cc": "control characters", "Cs": "surrogates", "Zl": "line separators", "Zp": "paragraph separators"}
_REORDERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # they make text read as what it isn't

_BLANK = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\u2800\ufffc\U00013441\U00013442\U0001d159\U00016fe4]"
)
"""Characters that fonts show as nothing: Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt), and in
the last line those that are blank by design."""

_USUAL = re.compile(r"([a-z0-9]+(?:[._+-][a-z0-9]+)*)@([a-z0-9.-]+)")
"""An address as most are: what is before the @ needs no look, and what comes after has been looked at before."""


def _clean_email(value: str) -> str:
    """Check and normalise one plain address; "Maya <maya@example.com>" isn't one."""
    address = value.strip()
    try:
        usual = _USUAL.fullmatch(address)
        if usual and len(usual[1]) <= MAX_LOCAL_PART and len(address) <= MAX_ADDRESS:
            return f"{usual[1]}@{_clean_domain(usual[2])}"
        return _clean_unusual(address)
    except EmailNotValidError as error:
        raise PydanticCustomError("email", "not a valid email address: {reason}", {"reason": str(error)}) from None


def _clean_unusual(address: str) -> str:
    clean = validate_email(address, check_deliverability=False, strict=True)
    if len(clean.local_part.encode()) > MAX_LOCAL_PART:
        raise EmailNotValidError(f"The email address has more than {MAX_LOCAL_PART} octets before the @-sign.")
    if _BLANK.search(clean.local_part):
        raise EmailNotValidError("The email address has invisible characters before the @-sign.")
    return clean.normalized


@lru_cache(maxsize=1000)
def _clean_domain(domain: str) -> str:
    return validate_email(f"a@{domain}", check_deliverability=False).domain


def email_key(email: str) -> str:
    """Return what makes a normalised address unique: its domain as IDNA 2008 has it, its local part without case.

    `casefold` does more than that: it makes ß and ss one. A character that folds to several is left as it is.
    """
    if email.isascii():
        return email.lower()
    local, at, domain = email.rpartition("@")
    return unicodedata.normalize("NFC", "".join(map(_without_case, local))) + at + domain


def _without_case(character: str) -> str:
    return next((each for each in (character.casefold(), character.lower()) if len(each) == 1), character)


def _clean_name(value: str) -> str:
    name = value.strip()
    if 0 < len(name) <= MAX_NAME and name.isascii() and name.isprintable():
        return name  # as most are: nothing to look for
    for character in name:
        if refused := _refused(character):
            raise PydanticCustomError("characters", "must not contain {refused}", {"refused": refused})
    if len(name) > MAX_NAME or not any(map(_is_visible, name)):
        raise PydanticCustomError(
            "length", "must have 1 to 200 characters, not counting white space, and not look blank"
        )
    return name


def _refused(character: str) -> str | None:
    if unicodedata.bidirectional(character) in _REORDERING:
        return "characters that change the direction of text"
    return _REFUSED.get(unicodedata.category(character))


def _is_visible(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNPS" and not _BLANK.match(character)


ADDRESS = {
    "type": "string",
    "format": "email",
    "maxLength": MAX_ADDRESS,
    "description": "One address, without a name. Its domain can't be a reserved one (RFC 6761). Unicode is accepted.",
    "examples": ["maya@example.com"],
}

EmailAddress = Annotated[str, AfterValidator(_clean_email), WithJsonSchema(ADDRESS)]

FullName = Annotated[
    str,
    AfterValidator(_clean_name),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_NAME,
            "description": "Readable: not blank, no control characters, none that change the direction of text.",
            "examples": ["Maya Chen"],
        }
    ),
]
