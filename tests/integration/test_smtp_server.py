"""A real mail server (aiosmtpd): the composed mail arrives whole; TLS and login as MAIL_URL asks for them."""

import asyncio
import email
import email.policy
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from notifier.errors import MailDeferred
from notifier.mail import Address, compose
from notifier.senders.smtp import Sender
from notifier.senders.smtp.mime import write

NAME = "Zoë “Dot” <b>Ünal</b>, 🎉"
WELCOME = compose(
    "welcome",
    sender=Address("Herald", "hello@herald.example"),
    recipient=Address(NAME, "zoe@example.org"),
    key="1",
    date=datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
    full_name=NAME,
)
CONTENT = write(WELCOME)


class Inbox:
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.logins: list[object] = []

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        self.logins.append(session.auth_data)
        return "250 kept"


class AnyPort(Controller):
    """A controller that takes a free port."""

    def _trigger_server(self) -> None:
        server = cast(asyncio.Server, self.server)
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, signed by nobody else; its key is beside it as key.pem."""
    if shutil.which("openssl") is None:
        pytest.skip("makes a certificate with openssl, which is not installed")
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    use = ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    keys = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem"]
    command = ["openssl", "req", "-x509", "-days", "2", *keys, "-out", "cert.pem", *names, *use]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem"


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


@contextmanager
def serving(inbox: Inbox, **options: Any) -> Iterator[int]:
    controller = AnyPort(inbox, hostname="127.0.0.1", port=0, **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def send(url: str) -> None:
    with closing(Sender(url)) as sender:
        sender.send(WELCOME)
        sender.send(WELCOME)


def login_taken(_server: object, _session: object, _envelope: object, _mechanism: object, data: object) -> AuthResult:
    return AuthResult(success=True, auth_data=data)


def test_the_mail_arrives_as_it_was_composed() -> None:
    inbox = Inbox()
    with serving(inbox) as port:
        send(f"smtp://127.0.0.1:{port}")

    assert len(inbox.envelopes) == 2
    envelope = inbox.envelopes[0]
    assert (envelope.mail_from, envelope.rcpt_tos) == ("hello@herald.example", ["zoe@example.org"])
    assert envelope.original_content == CONTENT
    message = email.message_from_bytes(CONTENT, policy=email.policy.SMTP)
    assert message["To"].addresses[0].display_name == NAME


@pytest.mark.parametrize("trusted_by", ["SSL_CERT_FILE", "verify=no"])
def test_starttls_then_login(
    certificate: Path, server_tls: ssl.SSLContext, trusted_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = "?verify=no" if trusted_by == "verify=no" else ""
    if not options:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    inbox = Inbox()
    tls = {"tls_context": server_tls, "require_starttls": True}
    with serving(inbox, **tls, auth_required=True, authenticator=login_taken) as port:
        send(f"smtp://me%40herald:p%2Fss%20word@127.0.0.1:{port}{options}")

    assert [envelope.original_content for envelope in inbox.envelopes] == [CONTENT] * 2
    assert inbox.logins == [LoginPassword(b"me@herald", b"p/ss word")] * 2


def test_tls_from_the_first_byte(server_tls: ssl.SSLContext) -> None:
    inbox = Inbox()
    with serving(inbox, ssl_context=server_tls) as port:
        send(f"smtps://127.0.0.1:{port}?verify=no")

    assert len(inbox.envelopes) == 2


def test_smtp_to_a_port_for_tls_says_so(server_tls: ssl.SSLContext) -> None:
    with (
        serving(Inbox(), ssl_context=server_tls) as port,
        closing(Sender(f"smtp://127.0.0.1:{port}", timeout=0.5)) as sender,
        pytest.raises(MailDeferred, match=r"greeting: .* a port for TLS needs smtps://"),
    ):
        sender.send(WELCOME)


@pytest.mark.parametrize("mechanism", ["plain", "login"])
def test_the_mechanism_can_be_chosen(server_tls: ssl.SSLContext, mechanism: str) -> None:
    used: list[object] = []

    def note(_server: object, _session: object, _envelope: object, mechanism: str, data: object) -> AuthResult:
        used.append(mechanism)
        return AuthResult(success=True, auth_data=data)

    inbox = Inbox()
    with serving(inbox, tls_context=server_tls, auth_required=True, authenticator=note) as port:
        send(f"smtp://me:pw@127.0.0.1:{port}?verify=no&auth={mechanism}")

    assert used == [mechanism.upper()]
    assert inbox.logins == [LoginPassword(b"me", b"pw")] * 2


@pytest.mark.parametrize("url", ["smtp://127.0.0.1:{}?starttls=required", "smtp://127.0.0.1:{}?starttls=if-offered"])
def test_a_certificate_that_nobody_vouches_for_is_refused_with_the_remedy(server_tls: ssl.SSLContext, url: str) -> None:
    inbox = Inbox()
    with (
        serving(inbox, tls_context=server_tls) as port,
        pytest.raises(MailDeferred, match=r"self.signed.*SSL_CERT_FILE.*verify=no"),
    ):
        send(url.format(port))

    assert inbox.envelopes == []
