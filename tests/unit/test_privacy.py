"""What a server may quote, and that nothing of it identifies the recipient or shows the password."""

from base64 import b64encode
from urllib.parse import quote

import pytest

from messaging.privacy import Hidden

ADA = Hidden(("Ada Lovelace", "ada", "example.org"), ("s3cret/pw",))
ZOE = Hidden(("Zoë Ünal", "zoë.ünal", "xn--bcher-kva.example"))
LI = Hidden(("李四", "用户", "例え.テスト"))

IDENTIFYING = ("ada", "lovelace", "example.org", "zo", "nal", "cher", "用户", "李四", "例え", "s3cret")


@pytest.mark.parametrize(
    ("hidden", "text"),
    [
        (ADA, "<ada@example.org>: no such user"),
        (ADA, "ada: no such user"),
        (ADA, "ADA... (Ada)? 'aDa' /var/mail/ada, user=ada;"),
        (ADA, "no host example.org"),
        (ADA, "bounce-ada=example.org@relay.test"),
        (ADA, "ada_at_example.org"),
        (ADA, "ada%40example.org"),
        (ADA, "%3Cada%40example.org%3E"),
        (ADA, "%61d%61 or =61da or +61da or \\x61da or \\141da or &#97;da or &#x61;da or \\u0061da"),
        (ADA, '"a\\da"@example.org'),
        (ADA, "rfc822;ada+40example.org"),
        (ADA, "Ada Lovelace"),
        (ADA, "Lovelace, Ada"),
        (ADA, "ada\nlovelace"),
        (ADA, "=?utf-8?q?Ada_Lovelace?= <x>"),
        (ADA, "see https://mail.test/?u=" + b64encode(b"ada@example.org").decode()),
        (ADA, "see https://mail.test/" + b"<ada@example.org>".hex()),
        (ADA, "帐号ada不存在"),
        (ADA, "\uff41\uff44\uff41"),
        (ZOE, "zoë.ünal"),
        (ZOE, "ZOË.ÜNAL"),
        (ZOE, "zoe\u0308.u\u0308nal"),
        (ZOE, "zoe.unal"),
        (ZOE, quote("zoë.ünal")),
        (ZOE, "zo=C3=AB.=C3=BCnal"),
        (ZOE, "zo\\x{EB}.\\x{FC}nal"),
        (ZOE, "zo\\303\\253.\\303\\274nal"),
        (ZOE, "zo%EB.%FCnal"),
        (ZOE, "zo\ufffd.\ufffdnal"),
        (ZOE, "zo?.?nal"),
        (ZOE, "zoÃ«.Ã¼nal"),
        (ZOE, "xn--" + "zoë.ünal".encode("punycode").decode()),
        (ZOE, "bücher.example and xn--bcher-kva.example"),
        (LI, "用户李四不存在"),
        (LI, quote("用户")),
        (LI, "no host xn--r8jz45g.xn--zckzah or 例え.テスト"),
        (ADA, "AUTH PLAIN " + b64encode(b"\0me\0s3cret/pw").decode()),
        (ADA, b64encode(b"s3cret/pw").decode()),
        (ADA, "'s3cret/pw' is wrong; s3cret%2Fpw too"),
    ],
)
def test_nothing_identifies_the_recipient_however_it_is_spelt(hidden: Hidden, text: str) -> None:
    told = hidden.out_of(text)

    shown = told.lower().replace("[recipient]", "").replace("[address]", "").replace("[secret]", "")
    assert not any(each in shown for each in IDENTIFYING)
    assert "[" in told


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("5.1.1 No such user - gsmtp", None),
        ("5.1.1 no such user, see https://support.google.com/mail/?p=NoSuchUser a1-20020a.12 - gsmtp",
         "5.1.1 no such user, see […] - gsmtp"),
        ("adam, adage and canada are others; zada too", None),
        ("what?? why? C:\\temp\\x (not 'yours') #5.7.1 100% full", "what?? why? […] (not 'yours') #5.7.1 100% full"),
        ("I/O re-try, user's MAILBOX Full: 4096", None),
        ("size=4096 a@b c.d", "[…]"),
        ("", None),
    ],
)  # fmt: skip
def test_plain_words_that_identify_nobody_stay(text: str, shown: str | None) -> None:
    assert ADA.out_of(text) == (text if shown is None else shown)


def test_a_long_text_is_cut() -> None:
    assert ADA.out_of("no " * 999 + "ada@example.org") == ("no " * 67)[:200]


def test_the_words_of_a_password_are_hidden_too() -> None:
    assert Hidden(secrets=("p@ss word", "")).out_of("p@ss Word is wrong") == "[…] [secret] is wrong"


def test_of_a_short_local_part_nothing_is_seen() -> None:
    assert Hidden(("", "a", "b.org")).out_of("a: no such user") == "[recipient]: no such user"


@pytest.mark.parametrize("text", ["<ada@example.org>: relay", "Ada Lovelace: relay", "ADA: relay"])
def test_a_decision_is_made_without_what_the_recipient_chose(text: str) -> None:
    assert ADA.names_out_of(text).split()[-1] == "relay"
    assert not any(each in ADA.names_out_of(text).lower() for each in IDENTIFYING)


def test_without_a_recipient_all_words_count_in_a_decision() -> None:
    assert Hidden().names_out_of("relay access") == "relay access"
