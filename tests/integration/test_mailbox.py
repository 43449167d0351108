"""The development mailbox: it keeps each mail as a file, and shows it on a page on which a mail can do nothing."""

import http.client
import os
import re
import smtplib
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from html import unescape
from pathlib import Path
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]  # it has no types of its own
import pytest

from devstack.mail_pages import inert
from devstack.mail_server import MailServer
from devstack.mailbox import Mailbox
from devstack.mails import read, summary


def test_a_mail_is_kept_byte_for_byte(tmp_path: Path) -> None:
    seen: list[Path] = []
    box = Mailbox(tmp_path / "mail", on_mail=seen.append)
    box.start()
    headers = "To: żółw@example.com\r\nSubject: Grüße\r\nContent-Type: text/plain; charset=utf-8\r\n"
    content = headers + "\r\nHello, Zoë!\r\n.dot\r\n"
    try:
        with smtplib.SMTP("127.0.0.1", box.port) as smtp:
            for _ in range(2):
                smtp.sendmail("a@b.c", ["../żółw@example.com"], content.encode(), mail_options=["SMTPUTF8"])
    finally:
        box.stop()
    assert seen == box.mails
    assert [mail.read_bytes() for mail in box.mails] == [content.encode()] * 2
    assert box.mails[0].name.endswith("Z-0001-.._żółw@example.com.eml")
    letter = read(box.mails[0])
    assert (letter.summary.recipient, letter.summary.subject) == ("żółw@example.com", "Grüße")
    assert letter.text == "Hello, Zoë!\n.dot\n"
    assert letter.html is None


STRANGE = {
    "nothing at all": b"",
    "no text": b"\xff\xfe",
    "every byte": bytes(range(256)) * 40,
    "no headers": b"\r\njust this\r\n",
    "headers alone": b"Subject: a",
    "an unknown charset": b"Content-Type: text/plain; charset=klingon\r\n\r\nx\xff",
    "an address that is none": b"From: \xff@\xff <\r\nTo: @\r\nSubject: =?utf-8?b?=?=\r\nContent-Type: x\r\n\r\n",
    "a control character": b"Subject: \x1b[2J\x07\r\n\r\n\x1b[2J",
    "half a surrogate": b"Subject: =?utf-8?q?=ED=A0=80?=\r\n\r\nx",
    "an endless header": b"Subject: " + b"a" * 2_000_000 + b"\r\n\r\nx",
    "a multipart without a boundary": b"Content-Type: multipart/alternative\r\n\r\n--a\r\n\r\nx",
    "parts within parts": b"".join(
        b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(90)
    ),
    "base64 that is none": b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\xff",
    "ten megabytes": b"Subject: big\r\n\r\n" + (b"x" * 900 + b"\r\n") * 11_000,
}


class Pages:
    """A mailbox's pages, and the directory of its mails."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.server = MailServer(directory)

    def keep(self, name: str, content: bytes) -> str:
        """Put a mail in its place, and return the address of its page."""
        (self.directory / name).write_bytes(content)
        return f"/mails/{quote(name, safe='')}"

    def get(self, path: str, method: str = "GET", host: str = "") -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            connection.request(method, path, headers={"Host": host or f"127.0.0.1:{self.server.port}"})
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def page(self, path: str) -> str:
        answer, body = self.get(path)
        assert answer.status == 200, path
        return body.decode()


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    shown = Pages(tmp_path)
    shown.server.start()
    yield shown
    shown.server.stop()


@pytest.mark.parametrize("content", STRANGE.values(), ids=STRANGE.keys())
def test_no_mail_is_too_strange_to_show(pages: Pages, content: bytes) -> None:
    mail = pages.keep("a.eml", content)

    listed = pages.page("/")
    shown = pages.page(mail)
    answer, source = pages.get(f"{mail}/source")

    assert f'href="{mail}"' in listed
    assert len(listed) < 5_000
    assert len(shown) < 1_100_000
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", listed + shown)
    assert source == content
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def letter(html: str, text: str = "Hello", subject: str = "Hello") -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = '"<i>Herald" <a@example.com>', "maya@example.com", subject
    mail.set_content(text)
    mail.add_alternative(html, subtype="html")
    return mail.as_bytes()


def test_mails_are_listed_newest_first_and_page_by_page(pages: Pages) -> None:
    assert "No mails yet" in pages.page("/")
    for number in range(150):
        pages.keep(f"2026{number:04}.eml", letter("", subject=f"number {number}"))
    (pages.directory / "unfinished.part").touch()

    first = pages.page("/")
    [older] = re.findall(r'href="(/\?before=[^"]+)"', first)
    second = pages.page(unescape(older))

    def subjects(page: str) -> list[str]:
        return re.findall(r'<span class="subject">number (\d+)</span>', page)

    assert subjects(first) + subjects(second) == [str(number) for number in reversed(range(150))]
    assert 'http-equiv="refresh"' in first
    assert 'http-equiv="refresh"' not in second, "nothing new comes there"
    assert "before" not in second


def test_a_mail_is_shown_as_text_as_html_and_as_its_source(pages: Pages) -> None:
    content = letter("<p>Good <b>day</b></p>", text="Good day")
    mail = pages.keep("a.eml", content)

    page = pages.page(mail)

    assert "<pre>Good day\n</pre>" in page
    assert f'<iframe sandbox title="The mail\'s HTML" src="{mail}/html">' in page
    assert pages.page(f"{mail}/html") == "<p>Good <b>day</b></p>\n"
    assert pages.page(f"{mail}/source").encode() == content


EVIL = "<script>document.title = 'owned'</script>\"'&"


def test_what_a_mail_says_is_text_on_our_pages(pages: Pages) -> None:
    mail = pages.keep('<script>"&.eml', letter("x", text=EVIL, subject=EVIL))

    for page in (pages.page("/"), pages.page(mail)):
        assert "<script" not in page
        assert "<i>Herald" not in page
        assert EVIL in unescape(page)


def test_a_mails_html_can_neither_run_nor_fetch_anything(pages: Pages) -> None:
    mail = pages.keep("a.eml", letter(EVIL))

    policies = {path: pages.get(path)[0].headers["Content-Security-Policy"] for path in ("/", mail, f"{mail}/html")}

    assert all(policy.startswith("default-src 'none'; ") for policy in policies.values())
    assert not any("script" in policy or "http" in policy for policy in policies.values())
    assert policies[f"{mail}/html"].endswith("; sandbox"), "also where it is opened alone"
    assert pages.get(f"{mail}/source")[0].headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("tag", ["link", "LINK", "iframe", "frame", "object", "embed", "meta", "base"])
def test_no_browser_connects_ahead_for_a_mail(tag: str) -> None:
    assert inert(f"<p>a</p><{tag} rel=preconnect>") == f"<p>a</p><x-{tag} rel=preconnect>"


@pytest.mark.parametrize(
    "path",
    [
        "/mails/secret",
        "/mails/../secret",
        "/mails/%2e%2e%2fsecret",
        "/mails/..%2fsecret.eml/source",
        "/mails/%2e%2e/source",
        "/mails//source",
        "/mails/link.eml/source",
        "/mails/folder.eml",
        "/mails/%00.eml",
        "/mails/%ff.eml",
        "/mails/a.eml/else",
        "/else",
        "/mails/*.eml",
    ],
)
def test_only_mails_are_shown(pages: Pages, path: str) -> None:
    secret = pages.directory.parent / "secret.eml"
    secret.write_bytes(b"secret")
    pages.keep("a.eml", b"a")
    (pages.directory / "link.eml").symlink_to(secret)
    (pages.directory / "folder.eml").mkdir()

    answer, body = pages.get(path)

    assert answer.status == 404
    assert b"secret</" not in body
    assert "link.eml" not in pages.page("/")


def test_a_name_that_is_no_text_is_a_name_too(pages: Pages) -> None:
    (pages.directory / os.fsdecode(b"\xff\n.eml")).write_bytes(b"here")

    listed = pages.page("/")

    assert pages.page("/mails/%FF%0A.eml/source") == "here"
    assert 'href="/mails/%FF%0A.eml"' in listed
    assert "\N{REPLACEMENT CHARACTER}" in pages.page("/mails/%FF%0A.eml")


def test_the_pages_answer_to_this_machine_alone(pages: Pages) -> None:
    assert pages.get("/", host="localhost:8025")[0].status == 200
    for host in ("evil.example", "evil.example:8025", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "[::1"):
        assert pages.get("/", host=host)[0].status == 421
    own = psutil.Process().net_connections()
    assert {each.laddr.ip for each in own if each.laddr.port == pages.server.port} == {"127.0.0.1"}


def test_head_has_the_length_and_no_body(pages: Pages) -> None:
    mail = pages.keep("a.eml", letter("x"))
    for path in ("/", mail, f"{mail}/html", f"{mail}/source"):
        answer, body = pages.get(path, method="HEAD")
        assert (answer.status, body) == (200, b"")
        assert int(answer.headers["Content-Length"]) == len(pages.get(path)[1])


def test_a_reader_who_hangs_up_leaves_no_traceback(pages: Pages, capfd: pytest.CaptureFixture[str]) -> None:
    mail = pages.keep("a.eml", STRANGE["ten megabytes"])
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", pages.server.port)) as client:
            client.sendall(f"GET {mail}/source HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            client.recv(1)
    pages.page("/")
    assert capfd.readouterr().err == ""


def test_a_mail_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(letter("x", subject="Welcome"))
    mail = summary(tmp_path / "a.eml")
    assert (mail.name, mail.recipient, mail.subject) == ("a.eml", "maya@example.com", "Welcome")
