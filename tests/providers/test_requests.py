"""What each provider gets: the request as its documentation states it, and the whole mail in it."""

from dataclasses import replace
from email.utils import getaddresses

from hypothesis import given
from hypothesis import strategies as st

from chaos.providers import StandIn
from notifier.mail import Address, Attachment
from notifier.providers.mailbox import mailbox, one_line
from notifier.senders.ses import Sender as SesSender
from notifier.senders.smtp import mime

from .conftest import OpenSender
from .letters import FILES, KEY, NAME, WELCOME

REFERENCES = {
    "Mailgun": "<1@mg.example.org>",
    "Postmark": "00000001-0a46-4e4d-9d5f-000000000000",
    "SendGrid": "sg-1",
    "Ses": "0102000000000001-000000",
}
MESSAGE_ID = {
    "Mailgun": "Message-Id",
    "Postmark": "Message-ID",
    "SendGrid": "Message-ID",
    "Ses": "X-Herald-Message-ID",  # it replaces a Message-ID
}


def test_the_whole_mail_arrives(stand_in: StandIn, opened: OpenSender) -> None:
    provider = type(stand_in.provider).__name__

    reference = opened(stand_in.url).send(WELCOME)

    assert stand_in.wrong == []
    [mail] = stand_in.taken
    assert reference == REFERENCES[provider]
    assert getaddresses([mail.sender]) == [("Herald, Inc.", "hello@herald.example")]
    assert getaddresses([mail.recipient]) == [(NAME, "zoe@example.org")]
    assert (mail.subject, mail.text, mail.html) == (f"Welcome, {NAME}", WELCOME.text, WELCOME.html)
    assert mail.headers["Auto-Submitted"] == "auto-generated"
    assert mail.headers[MESSAGE_ID[provider]] == f"<{KEY}@herald.example>"
    assert mail.key == (KEY.replace(".", "-") if provider == "Ses" else KEY)  # a tag may have no dot
    assert mail.files == ()


def test_so_do_attachments(stand_in: StandIn, opened: OpenSender) -> None:
    opened(stand_in.url).send(replace(WELCOME, attachments=FILES))

    assert stand_in.wrong == []
    [mail] = stand_in.taken
    assert [Attachment(*file) for file in mail.files] == list(FILES)
    assert (mail.text, mail.html) == (WELCOME.text, WELCOME.html)


def test_a_recipient_without_a_name(stand_in: StandIn, opened: OpenSender) -> None:
    opened(stand_in.url).send(replace(WELCOME, recipient=Address("", "zoe@example.org")))

    assert stand_in.wrong == []
    assert [mail.recipient for mail in stand_in.taken] == ["zoe@example.org"]


def test_a_name_with_line_ends_adds_no_header_and_no_address(stand_in: StandIn, opened: OpenSender) -> None:
    evil = 'a"\r\nBcc: x@example.org,\\'
    opened(stand_in.url).send(replace(WELCOME, recipient=Address(evil, "zoe@example.org"), subject=f"Hi {evil}"))

    assert stand_in.wrong == []
    [mail] = stand_in.taken
    assert "\n" not in mail.recipient + mail.subject
    assert mail.headers.keys() <= {"Auto-Submitted", "X-PM-KeepID", *MESSAGE_ID.values()}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_name_leaves_one_address(name: str) -> None:
    [(_, email)] = getaddresses([mailbox(Address(name, "zoe@example.org"))])
    assert email == "zoe@example.org"
    assert len(one_line(name).splitlines()) <= 1

    encoded = mime.mailbox(Address(name, "zoe@example.org")).replace("\r\n", "")
    assert encoded.isascii()
    assert [address for _, address in getaddresses([encoded])] == ["zoe@example.org"]


def test_one_connection_carries_many_mails(stand_in: StandIn, opened: OpenSender) -> None:
    sender = opened(stand_in.url)
    for number in range(20):
        sender.send(replace(WELCOME, message_id=f"<key.{number}@herald.example>"))

    assert len(stand_in.accepted()) == 20
    assert stand_in.wrong == []


def test_temporary_credentials_and_the_region_in_the_host(stand_in: StandIn, opened: OpenSender) -> None:
    if type(stand_in.provider).__name__ == "Ses":
        opened(f"{stand_in.url}&session_token=a%2Bb/c==").send(WELCOME)
        assert stand_in.wrong == []
    sender = SesSender("ses://AK:SECRET@email.us-east-2.amazonaws.com", timeout=1.0)
    assert "/us-east-2/ses/" in sender.request(WELCOME)[2]["Authorization"]
