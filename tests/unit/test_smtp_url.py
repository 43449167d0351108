"""What each MAIL_URL for SMTP means, and what a wrong one says."""

import pytest

from notifier.errors import MailUrlInvalid
from notifier.senders import open_sender
from notifier.senders.smtp.url import SmtpSettings, parse


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("smtp://mail", SmtpSettings("mail", 25)),
        ("smtp://mail:2525/", SmtpSettings("mail", 2525)),
        ("smtp://localhost:1025", SmtpSettings("localhost", 1025, starttls="never")),
        ("smtp://127.0.0.2", SmtpSettings("127.0.0.2", 25, starttls="never")),
        ("smtp://[::1]:1025", SmtpSettings("::1", 1025, starttls="never")),
        ("smtp://localhost?starttls=required", SmtpSettings("localhost", 25, starttls="required")),
        ("smtp://me:pw@mail", SmtpSettings("mail", 587, starttls="required", user="me", password="pw")),
        ("smtp://me:pw@localhost", SmtpSettings("localhost", 587, starttls="required", user="me", password="pw")),
        ("smtp://me:pw@mail:25?starttls=never", SmtpSettings("mail", 25, starttls="never", user="me", password="pw")),
        (
            "smtp://me%40x.org:p%2F%3A%3F%23%40%25@mail",
            SmtpSettings("mail", 587, starttls="required", user="me@x.org", password="p/:?#@%"),
        ),
        ("smtps://mail", SmtpSettings("mail", 465, implicit_tls=True, starttls="never")),
        (
            "smtps://me:pw@mail:4650?verify=no",
            SmtpSettings("mail", 4650, implicit_tls=True, starttls="never", verify=False, user="me", password="pw"),
        ),
        (
            "smtp://me:pw@mail?auth=login",
            SmtpSettings("mail", 587, starttls="required", user="me", password="pw", auth=frozenset({"login"})),
        ),
        (
            "smtp://me:pw@mail?auth=PLAIN,cram-md5,plain&ehlo=a.example.org",
            SmtpSettings(
                "mail",
                587,
                starttls="required",
                user="me",
                password="pw",
                auth=frozenset({"plain", "cram-md5"}),
                ehlo="a.example.org",
            ),
        ),
        ("smtp://mail?ehlo=[192.0.2.1]", SmtpSettings("mail", 25, ehlo="[192.0.2.1]")),
        ("smtp://mail?ehlo=%5BIPv6:2001:db8::1%5D", SmtpSettings("mail", 25, ehlo="[IPv6:2001:db8::1]")),
    ],
)
def test_a_url_says_where_and_how(url: str, settings: SmtpSettings) -> None:
    assert parse(url) == settings


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", r"begin with one of .*, ses://, smtp://, smtps://\."),
        ("mail:25", r"begin with one of .*, ses://, smtp://, smtps://\."),
        ("http://mail", r"begin with one of .*, ses://, smtp://, smtps://\."),
        ("smtp://", "no host"),
        ("smtp://:25", "no host"),
        ("smtp://mail:0", "no usable port"),
        ("smtp://mail:99999", "can't be read"),
        ("smtp://mail:port", "can't be read"),
        ("smtp://me:se/cret@mail", "percent-encode"),
        ("smtp://me:se#cret@mail", "percent-encode"),
        ("smtp://me:se?cret@mail", "percent-encode"),
        ("smtp://mail/inbox", "nothing but"),
        ("smtp://me@mail", "give both user and password"),
        ("smtp://:secret@mail", "give both user and password"),
        ("smtp://me:s%C3%A9cret@mail", "ASCII"),
        ("smtp://mail?starttls=maybe", "starttls=never"),
        ("smtp://mail?verify=maybe", "verify=yes"),
        ("smtp://mail?timeout=3", "starttls=never"),
        ("smtps://mail?starttls=required", "starttls= needs smtp://"),
        ("smtp://me:cret@mail?auth=", "auth=cram-md5"),
        ("smtp://me:cret@mail?auth=ntlm", "auth=cram-md5"),
        ("smtp://me:cret@mail?auth=plain,ntlm", "auth=cram-md5"),
        ("smtp://me:cret@mail?auth=plain&auth=login", "each once"),
        ("smtp://mail?auth=plain", "auth= needs a user"),
        ("smtp://mail?ehlo=", "ehlo=NAME"),
        ("smtp://mail?ehlo=two%20words", "ehlo=NAME"),
        ("smtp://mail?ehlo=a%0D%0AMAIL", "ehlo=NAME"),
        ("smtp://mail?ehlo=b%C3%BCcher.example", "ASCII"),
    ],
)
def test_a_wrong_url_names_the_fault_and_the_remedy_but_never_itself(url: str, fault: str) -> None:
    with pytest.raises(MailUrlInvalid, match=fault) as caught:
        open_sender(url, timeout=1.0)

    assert "Write smtp://host:port" in str(caught.value)
    assert "cret" not in str(caught.value)


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(parse("smtp://me:secret@mail"))
