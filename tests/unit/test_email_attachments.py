"""Attachments of a mail, read back with the standard library's parser."""

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.mail import Address, Attachment, Mail
from notifier.senders.smtp.mime import write

MAIL = Mail(
    Address("Herald", "hello@herald.example"),
    Address("Ada Byron", "ada@example.org"),
    subject="Registrations",
    text="The report is attached.\n",
    html="<p>The report is attached.</p>\n",
    message_id="<1@herald.example>",
    date=datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
)
CSV = Attachment("registrations.csv", "text/csv", b"day,registrations\r\n2025-01-01,3\r\n")
PNG = Attachment("registrations.png", "image/png", bytes(range(256)) * 40)


def parse(mail: Mail) -> EmailMessage:
    message = email.message_from_bytes(write(mail), policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    assert [part.defects for part in message.walk() if part.defects] == []
    return message


def arrived(mail: Mail) -> list[Attachment]:
    files = parse(mail).iter_attachments()
    return [
        Attachment(
            part["content-disposition"].params["filename"],
            part.get_content_type(),
            part.get_payload(decode=True),  # type: ignore[arg-type]  # bytes: not multipart
        )
        for part in files
    ]


def test_files_arrive_whole_with_their_names_and_types_beside_both_forms() -> None:
    mail = replace(MAIL, attachments=(CSV, PNG))
    message = parse(mail)

    assert message.get_content_type() == "multipart/mixed"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content() == "The report is attached.\r\n"
    assert html.get_content() == "<p>The report is attached.</p>\r\n"
    assert arrived(mail) == [CSV, PNG]
    assert [part.get_content_disposition() for part in message.iter_attachments()] == ["attachment", "attachment"]


def test_lines_stay_short_and_ascii() -> None:
    content = write(replace(MAIL, attachments=(CSV, PNG, Attachment("Zoë", "text/plain", b"a" * 5000))))

    assert content.isascii()
    assert content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n")
    assert max(map(len, content.split(b"\r\n"))) <= 78


def test_a_mail_without_attachments_has_no_part_more() -> None:
    assert write(MAIL) == (
        b'From: "Herald" <hello@herald.example>\r\n'
        b'To: "Ada Byron" <ada@example.org>\r\n'
        b"Subject: Registrations\r\n"
        b"Date: Thu, 02 Jan 2025 03:04:05 +0000\r\n"
        b"Message-ID: <1@herald.example>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Auto-Submitted: auto-generated\r\n"
        b'Content-Type: multipart/alternative; boundary="=_herald"\r\n\r\n'
        b"--=_herald\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        b"The report is attached.\r\n\r\n"
        b"--=_herald\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        b"<p>The report is attached.</p>\r\n\r\n"
        b"--=_herald--\r\n"
    )


@settings(deadline=None)  # the machine may be busy
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60), st.binary(max_size=300))
def test_any_name_and_content_arrive_whole(name: str, content: bytes) -> None:
    mail = replace(MAIL, attachments=(Attachment(name, "text/csv", content), CSV))

    assert len(parse(mail).items()) == len(parse(MAIL).items())
    [file, csv] = arrived(mail)
    assert (file.name.split(), file.content) == (name.split(), content)
    assert csv == CSV


@pytest.mark.parametrize("content_type", ["text/csv\r\nBcc: x@example.org", "", "csv", 'text/csv; name="x"'])
def test_an_unusual_content_type_is_not_repeated(content_type: str) -> None:
    [file] = arrived(replace(MAIL, attachments=(Attachment("a", content_type, b"a"),)))

    assert file.content_type == "application/octet-stream"


@settings(deadline=None)  # the machine may be busy
@given(st.text("mixed=_herald-\n", max_size=100))
def test_no_text_ends_the_forms(text: str) -> None:
    mail = replace(MAIL, text=f"--mixed=_herald--\n--mixed=_herald\n{text}", attachments=(CSV,))

    assert arrived(mail) == [CSV]


def test_a_file_is_not_shown_in_a_log() -> None:
    assert "registrations" not in repr(replace(MAIL, attachments=(CSV,)))
    assert "2025" not in repr(CSV)
