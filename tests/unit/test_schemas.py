"""What a registration may look like, and that whatever is accepted can be stored, published and answered."""

import unicodedata
from collections.abc import Callable

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from users_api.fields import email_key
from users_api.queries import read_cursor
from users_api.schemas import NewUser

EVERYTHING = st.text(st.characters(codec=None, categories=None), max_size=250)  # lone surrogates and all
PATIENTLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
REFUSED_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}


def name(full_name: object) -> str:
    return NewUser.model_validate({"email": "maya@example.com", "full_name": full_name}).full_name


def email(address: object) -> str:
    return NewUser.model_validate({"email": address, "full_name": "Maya Chen"}).email


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Maya Chen", "Maya Chen"),
        ("\t Maya  Chen \n", "Maya  Chen"),
        ("\u2028Maya\x85", "Maya"),
        ("X", "X"),
        ("M" * 200, "M" * 200),
        (" " + "M" * 200 + " ", "M" * 200),
        ("😀" * 200, "😀" * 200),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
        ("<b>Maya</b>", "<b>Maya</b>"),
    ],
)
def test_a_name_is_kept_as_it_is_without_the_white_space_around_it(sent: str, kept: str) -> None:
    assert name(sent) == kept


@pytest.mark.parametrize("sent", ["", " ", "\t\n", "\u2003", "\u200b\u200d", "M" * 201, "😀" * 201])
def test_a_name_has_1_to_200_characters(sent: str) -> None:
    with pytest.raises(ValidationError, match="must have 1 to 200 characters"):
        name(sent)


BLANK = [
    *"\u3164\u2800\u115f\u1160\uffa0\u00ad\u034f\u061c\u17b4\u180e\u200b\u2060\u2064\u206a\ufe0f\ufeff\ufffc",
    *"\U0001d159\U0001d173\U00013441\U00016fe4\U0001bca0\U000e0001\U000e0041\U000e0100",
]


@pytest.mark.parametrize("blank", [*BLANK, "\u0301", "\u20dd"], ids=ascii)
def test_a_name_does_not_look_blank(blank: str) -> None:
    for sent in (blank, f" {blank}\u3164 {blank}"):
        with pytest.raises(ValidationError, match="not look blank"):
            name(sent)
    assert name(f"Maya {blank}") == f"Maya {blank}".strip(), "in a name that can be read it is somebody's spelling"


@pytest.mark.parametrize(
    "readable", ["한글", "ᄀ\u1160", "⠓⠑⠇⠇⠕", "\U0001d510", "ก็", "🐙\ufe0f", "¿", "7", "\u0645\u200c\u06cc"]
)
def test_a_name_in_any_script_is_readable(readable: str) -> None:
    assert name(readable) == readable


@pytest.mark.parametrize(
    "bad", [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029", "\u202e", "\u2066", "\ud800"]
)
def test_a_name_has_no_character_that_would_break_a_line_or_a_terminal(bad: str) -> None:
    with pytest.raises(ValidationError, match="must not contain"):
        name(f"Maya{bad}Chen")


@pytest.mark.parametrize("sent", [None, 5, 1.5, True, ["Maya"], {"first": "Maya"}])
def test_a_name_is_text(sent: object) -> None:
    with pytest.raises(ValidationError):
        name(sent)


@pytest.mark.parametrize(
    "sent",
    [None, 5, True, ["maya@example.com"], "", "maya", "maya@", "@example.com", "a@b@c.de", "Maya <maya@example.com>"],
)
def test_an_email_address_is_one(sent: object) -> None:
    with pytest.raises(ValidationError):
        email(sent)


@pytest.mark.parametrize("local", ["a" * 65, "a" * 32 + "." + "b" * 32, "é" * 33, "e\u0301" * 33, "😀" * 17])
def test_an_address_has_at_most_64_octets_before_the_at(local: str) -> None:
    with pytest.raises(ValidationError, match="before the @-sign"):
        email(f"{local}@example.com")


@pytest.mark.parametrize("local", ["a" * 64, "é" * 32, "e\u0301" * 32, "😀" * 16])
def test_an_address_may_have_64_octets_before_the_at(local: str) -> None:
    assert email(f"{local}@example.com") == f"{unicodedata.normalize('NFC', local)}@example.com"


@pytest.mark.parametrize("blank", BLANK, ids=ascii)
def test_an_address_has_nothing_invisible(blank: str) -> None:
    for local in (blank, f"ma{blank}ya"):
        with pytest.raises(ValidationError):
            email(f"{local}@example.com")


ONE = [
    ("maya@example.com", "MAYA@EXAMPLE.COM"),
    ("žofie@example.com", "ŽOFIE@example.com"),
    ("straße@example.com", "stra\u1e9ee@example.com"),
    ("οδος@example.com", "ΟΔΟΣ@example.com"),
    ("ǰan@example.com", "J\u030cAN@example.com"),
    ("rené@example.com", "RENE\u0301@example.com"),
    ("a@bücher.example", "a@BÜCHER.example"),
    ("a@bücher.example", "a@xn--bcher-kva.example"),
    ("a@faß.de", "A@xn--fa-hia.de"),
    ("a@faß.de", "a@FA\u1e9e.de"),
]
TWO = [
    ("a@faß.de", "a@fass.de"),
    ("straße@example.com", "strasse@example.com"),
    ("a@βόλος.com", "a@βόλοσ.com"),
    ("ﬁona@example.com", "fiona@example.com"),
    ("ŉa@example.com", "\u02bcna@example.com"),
    ("i@example.com", "\u0131@example.com"),
    ("rene@example.com", "rené@example.com"),
    ("a@öbb.at", "a@obb.at"),
]


@pytest.mark.parametrize(("one", "same"), ONE)
def test_case_and_spelling_do_not_make_another_address(one: str, same: str) -> None:
    assert email_key(email(one)) == email_key(email(same))


@pytest.mark.parametrize(("one", "other"), TWO)
def test_what_is_another_mailbox_or_domain_is_another_address(one: str, other: str) -> None:
    assert email_key(email(one)) != email_key(email(other))


@PATIENTLY
@given(EVERYTHING.map(lambda local: f"{local}@example.com"))
def test_a_key_is_never_coarser_than_it_was(sent: str) -> None:
    """So that addresses which were two when they were registered stay two."""
    try:
        kept = email(sent)
    except ValidationError:
        return
    assert email_key(email_key(kept)) == email_key(kept)
    assert email_key(kept).casefold() == kept.casefold() or not unicodedata.is_normalized("NFC", kept.casefold())


def test_a_refusal_does_not_quote_the_name() -> None:
    with pytest.raises(ValidationError) as refused:
        name("secret\0")
    assert "secret" not in refused.value.errors()[0]["msg"]


@PATIENTLY
@given(EVERYTHING)
def test_whatever_name_is_accepted_can_be_stored_and_shown(sent: str) -> None:
    try:
        kept = name(sent)
    except ValidationError:
        return
    assert 1 <= len(kept) <= 200
    assert kept == kept.strip()
    assert not REFUSED_CATEGORIES & set(map(unicodedata.category, kept))
    assert kept.encode().decode() == kept
    assert name(kept) == kept


@PATIENTLY
@given(st.one_of(st.emails(), EVERYTHING.map(lambda local: f"{local}@example.com"), EVERYTHING))
def test_whatever_address_is_accepted_can_be_stored_and_is_normal_already(sent: str) -> None:
    try:
        kept = email(sent)
    except ValidationError:
        return
    assert len(kept) <= 254
    assert not REFUSED_CATEGORIES & set(map(unicodedata.category, kept))
    assert unicodedata.is_normalized("NFC", kept)
    assert email(kept) == kept


PART = st.text("aZ09._+-", min_size=1, max_size=6)
LONG = st.integers(50, 70).map("a".__mul__)
DOMAIN = st.one_of(
    st.sampled_from(["example.com", "mail.example", "a.test", "localhost", "xn--bcher-kva.de", "xn--a.de", "zoë.de"]),
    st.lists(PART, min_size=1, max_size=4).map(".".join),
    st.lists(LONG, min_size=1, max_size=4).map(lambda parts: ".".join([*parts, "de"])),
)


@PATIENTLY
@given(st.one_of(PART, LONG), DOMAIN)
@example("a" * 65, "example.com")
@example("a" * 8, f"{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 59}.de")
@example("a" * 9, f"{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 59}.de")
def test_a_usual_address_is_judged_as_any_other(local: str, domain: str) -> None:
    sent = f"{local}@{domain}"
    assert judged(lambda: email(sent)) == judged(
        lambda: validate_email(sent, check_deliverability=False, strict=True).normalized
    )


def judged(judge: Callable[[], str]) -> str:
    try:
        return judge()
    except EmailNotValidError as error:
        return str(error)
    except ValidationError as error:
        return str(error.errors()[0]["ctx"]["reason"])


@PATIENTLY
@given(st.text())
def test_any_text_is_a_cursor_or_is_not(cursor: str) -> None:
    after = read_cursor(cursor)
    assert after is None or 0 <= after < 2**63
