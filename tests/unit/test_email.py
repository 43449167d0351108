"""The welcome email, read back with the standard library's parser."""

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import getaddresses
from html import unescape
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from messaging import ConfigurationError
from messaging.process.settings import load
from notifier.errors import MailRefused
from notifier.handlers import send_email
from notifier.mail import Address, Mail, compose
from notifier.senders.smtp.mime import write
from notifier.settings import NotifierSettings

SENT = datetime(2025, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
EVENT = UUID("0198c0de-0000-7000-8000-000000000001")

#: Any Unicode but control characters and lone surrogates.
NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=200)


class Kept:
    """A sender that keeps what it is given."""

    def send(self, mail: Mail) -> str:
        self.mail = mail
        return "kept"


def composed(
    full_name: str = "Ada Lovelace", address: str = "ada@example.org", sender: str = "Herald <hello@herald.example>"
) -> Mail:
    kept, mail_from = Kept(), Address.sender(sender)
    key = f"welcome_email.{EVENT}"
    assert send_email("welcome", address, full_name, key=key, sent=SENT, sender=kept, mail_from=mail_from) == "kept"
    return kept.mail


def parse(mail: Mail) -> EmailMessage:
    message = email.message_from_bytes(write(mail), policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    assert message.defects == []
    return message


def bodies(message: EmailMessage) -> tuple[str, str]:
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


def test_the_headers() -> None:
    mail = composed()
    message = parse(mail)

    assert {name: str(value) for name, value in message.items()} == {
        "From": "Herald <hello@herald.example>",
        "To": "Ada Lovelace <ada@example.org>",
        "Subject": "Welcome, Ada Lovelace",
        "Date": "Thu, 02 Jan 2025 03:04:05 +0000",
        "Message-ID": f"<welcome_email.{EVENT}@herald.example>",
        "MIME-Version": "1.0",
        "Auto-Submitted": "auto-generated",
        "Content-Type": 'multipart/alternative; boundary="=_herald"',
    }
    assert (mail.sender.email, mail.recipient.email) == ("hello@herald.example", "ada@example.org")
    assert mail.message_id == message["Message-ID"]


def test_text_first_and_html_as_the_preferred_form() -> None:
    message = parse(composed())
    text, html = bodies(message)

    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert text.startswith("Hello Ada Lovelace,")
    assert "Welcome, <bdi>Ada Lovelace</bdi>!" in html
    assert re.search(r"https?://|<img|<link|<script|url\(", html) is None


def test_the_same_event_gives_the_same_bytes() -> None:
    assert composed() == composed()
    assert write(composed()) == write(composed())


@pytest.mark.parametrize(
    "name",
    [
        'Ada "the first" Lovelace, Countess',
        "Ada \\ Lovelace",
        "Zoë",
        "🎉" * 200,
        "שלום עולם",
        "\u202eevil",
        "<script>alert(1)</script>",
        "{{ 7 * 7 }}",
        "=?utf-8?q?decoded?=",
        "A" * 200,
        '"' * 200,
        ".",
        " ",
        "Bcc: x@example.org",
        "evil@example.org",
    ],
)
def test_every_name_arrives_whole(name: str) -> None:
    check_name(name)


@given(NAMES)
def test_any_name_arrives_whole(name: str) -> None:
    check_name(name)


def check_name(name: str) -> None:
    mail = composed(name)
    message = parse(mail)
    text, html = bodies(message)

    assert len(message.items()) == 8
    assert recipients(mail) == [(name, "ada@example.org")]
    assert str(message["Subject"]).strip() == f"Welcome, {name}".strip()
    assert f"Hello {name},\n" in text.replace("\r\n", "\n")
    assert unescape(html.split("<bdi>")[1].split("</bdi>")[0]) == name
    assert_fit_for_any_server(write(mail))


def recipients(mail: Mail) -> list[tuple[str, str]]:
    """Read To as RFC 2047 says; the newer policies of `email` put spaces between the words of a long name."""
    raw = email.message_from_bytes(write(mail))["To"]
    return [(str(make_header(decode_header(name))), address) for name, address in getaddresses([raw])]


def assert_fit_for_any_server(content: bytes) -> None:
    assert content.isascii()
    assert content.endswith(b"\r\n")
    assert content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n")
    lines = [line for line in content.split(b"\r\n") if not line.startswith(b"Message-ID: ")]
    head = lines[: lines.index(b"")]
    assert max(map(len, head)) <= 78
    assert max(map(len, lines)) <= 998


@given(st.text(max_size=40))
def test_no_name_can_add_a_header_even_with_line_breaks(text: str) -> None:
    name = f"Ada\r\nBcc: x@example.org\r\n\r\n{text.encode('utf-8', 'replace').decode()}"
    mail = composed(name)
    message = email.message_from_bytes(write(mail))

    assert len(message.items()) == 8
    assert message["Bcc"] is None
    assert [address for _, address in recipients(mail)] == ["ada@example.org"]


def test_markup_in_a_name_is_escaped() -> None:
    _, html = bodies(parse(composed("<script>alert(1)</script>")))

    assert "&lt;script&gt;alert(1)" in html
    assert "<script" not in html


@pytest.mark.parametrize(
    ("address", "recipient"),
    [
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"),
        ("a.d+a@Example.org", "a.d+a@Example.org"),
    ],
)
def test_a_domain_in_any_script_is_written_in_ascii(address: str, recipient: str) -> None:
    mail = composed(address=address)

    assert mail.recipient.email == recipient
    assert parse(mail)["To"].addresses[0].addr_spec == recipient
    assert write(mail).isascii()


def test_a_non_ascii_local_part_stays_as_it_is() -> None:
    mail = composed(address="zoë@bücher.example")

    assert mail.recipient.email == "zoë@xn--bcher-kva.example"
    assert "<zoë@xn--bcher-kva.example>\r\n".encode() in write(mail)


@pytest.mark.parametrize(
    "local",
    ["=?utf-8?q?evil?=", "=?utf-8?b?ZXZpbA==?=", "a=?utf-8?q?evil?=", "=?utf-8?q?evil?=.b", "=?=?=?", "=?é?q?a?="],
)
@pytest.mark.parametrize("name", ["Ada Lovelace", "", "Zoë"])
def test_a_local_part_that_looks_encoded_stands_for_itself(local: str, name: str) -> None:
    mail = composed(name, address=f"{local}@example.org")
    raw = re.search(rb"\r\nTo: .*?([^ ]*)\r\n(?! )", write(mail), re.DOTALL)

    assert mail.recipient.email == f"{local}@example.org"
    assert raw is not None
    assert b"=?" not in raw[1], "no client can decode it"
    if local.isascii():
        [to] = parse(mail)["To"].addresses
        assert (to.username, to.domain, to.display_name) == (local, "example.org", name)
        [(_, old)] = getaddresses([email.message_from_bytes(write(mail))["To"]])
        assert old.replace("\\", "").replace('"', "") == f"{local}@example.org"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@",
        "ada@example.org\r\nBcc: x@example.org",
        "ada@example.org>, <x@example.org",
        "ada@example.org, x@example.org",
        "ada smith@example.org",
        "ada@-\u0301.example",
        "ada@=?utf-8?q?evil?=",
        "ada@" + "ü" * 70 + ".example",
    ],
)
def test_what_is_not_one_plain_address_is_refused_without_naming_it(address: str) -> None:
    with pytest.raises(MailRefused) as caught:
        composed(address=address)

    assert "@" not in str(caught.value)


@pytest.mark.parametrize(
    ("sender", "address", "header"),
    [
        ("hello@herald.example", "hello@herald.example", "hello@herald.example"),
        ("Zoë <hello@bücher.example>", "hello@xn--bcher-kva.example", "Zoë <hello@xn--bcher-kva.example>"),
        ('"Herald, Inc." <hello@herald.example>', "hello@herald.example", '"Herald, Inc." <hello@herald.example>'),
    ],
)
def test_the_sender_may_have_a_name(sender: str, address: str, header: str) -> None:
    mail = composed(sender=sender)

    assert mail.sender.email == address
    assert str(parse(mail)["From"]) == header
    assert mail.message_id.endswith("@" + address.split("@")[1] + ">")


@pytest.mark.parametrize("sender", ["", "Herald", "a@x.org, b@x.org", "zoë@x.org", "a@x.org\r\nBcc: b@x.org"])
def test_a_wrong_sender_says_how_to_write_it(sender: str) -> None:
    with pytest.raises(ConfigurationError, match=r"Herald <hello@example\.org>"):
        composed(sender=sender)


@pytest.mark.parametrize(("name", "value"), [("MAIL_URL", "http://mail"), ("MAIL_FROM", "Herald")])
def test_a_worker_that_could_send_nothing_is_told_what_is_wrong(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"DATABASE_URL": "postgresql://", "REDIS_URL": "redis://", "MAIL_URL": "smtp://mail", name: value}
    for each in environment.items():
        monkeypatch.setenv(*each)

    with pytest.raises(ConfigurationError, match=rf"^{name} can't be used: .* Write "):
        load(NotifierSettings)


BODIES = st.text(st.characters(codec="utf-8"), max_size=300) | st.text("a.=\r\n -", max_size=200)


@given(BODIES, BODIES)
@example("a" * 999, "a" * 998)
@example("--=_herald--\n", "\n--=_herald\n")
@example("\0", "\x0c")
def test_any_body_arrives_whole_in_lines_that_any_server_takes(html: str, text: str) -> None:
    mail = replace(composed(), text=text, html=html)
    parts = list(email.message_from_bytes(write(mail), policy=email.policy.compat32).walk())[1:]

    assert_fit_for_any_server(write(mail))
    assert len(parts) == 2
    for body, part in ((text, parts[0]), (html, parts[1])):
        arrived = part.get_payload(decode=True).decode()  # type: ignore[union-attr]
        assert arrived.replace("\r\n", "\n").rstrip("\n") == re.sub("\r\n?", "\n", body).rstrip("\n")


@pytest.mark.parametrize(
    ("html", "encoding"),
    [
        ("<p>Hello</p>\n", "7bit"),
        ("a" * 998, "7bit"),
        ("a" * 999, "quoted-printable"),
        ("é", "quoted-printable"),
        ("\0", "quoted-printable"),
        ("--=_herald", "quoted-printable"),
    ],
)
def test_a_body_is_encoded_only_if_it_must_be(html: str, encoding: str) -> None:
    [text, part] = parse(replace(composed(), html=html)).iter_parts()

    assert text["Content-Transfer-Encoding"] == "7bit"
    assert part["Content-Transfer-Encoding"] == encoding


@given(st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace").decode()))
def test_more_headers_may_hold_anything(value: str) -> None:
    mail = replace(composed(), headers=(("List-Unsubscribe", value), ("X-Kind", "welcome")))
    message = email.message_from_bytes(write(mail))

    assert len(message.items()) == 9
    assert message["X-Kind"] == "welcome"


def test_neither_a_mail_nor_an_address_shows_a_person_in_a_log() -> None:
    assert "da" not in repr(composed("Ada", "ada@example.org")).replace("datetime", "").replace("date=", "")


def test_a_variable_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="full_name"):
        compose("welcome", sender=Address("", "a@b.org"), recipient=Address("", "c@d.org"), key="k", date=SENT)
