"""Logging in, the name that we give, and what is told when the server isn't what MAIL_URL says."""

import hmac
import socket
from base64 import b64encode
from contextlib import closing

import pytest

from notifier.errors import ServerAway
from notifier.senders.smtp import Sender
from notifier.senders.smtps import Sender as TlsSender

from .mails import CONTENT, MAIL
from .scripted_smtp import DROP, HANG, ScriptedSmtpServer

ALL = ["250-scripted\r\n250 AUTH PLAIN LOGIN CRAM-MD5 GSSAPI"] * 9
BAD = "535 5.7.8 bad credentials"


def send(port: int, options: str = "", login: str = "me:s3cret@", timeout: float = 5.0) -> None:
    url = f"smtp://{login}127.0.0.1:{port}?starttls=never{options}"
    with closing(Sender(url, timeout=timeout)) as sender:
        sender.send(MAIL)


def failure(port: int, options: str = "", login: str = "me:s3cret@", timeout: float = 5.0) -> str:
    with pytest.raises(ServerAway) as caught:
        send(port, options, login, timeout)
    assert "s3cret" not in repr(caught.value)
    return str(caught.value)


def mechanisms(server: ScriptedSmtpServer) -> list[str]:
    return [command.split()[1] for command in server.commands if command.startswith("AUTH ")]


@pytest.mark.parametrize("reply", [BAD, "454 4.7.0 not now"])
def test_after_a_login_that_failed_the_next_is_tried(reply: str) -> None:
    with ScriptedSmtpServer(ehlo=ALL, auth=[reply, "235 ok"]) as server:
        send(server.port)

        assert mechanisms(server) == ["CRAM-MD5", "PLAIN"]
        assert server.connections == 1
        assert server.contents == [CONTENT]


def test_all_logins_share_one_deadline() -> None:
    with ScriptedSmtpServer(ehlo=ALL, auth=[BAD, HANG]) as server:
        assert "login: " in failure(server.port, timeout=0.5)

        assert mechanisms(server) == ["CRAM-MD5", "PLAIN"]


@pytest.mark.parametrize(
    ("auth", "tried"),
    [("plain", ["PLAIN"]), ("LOGIN,plain", ["PLAIN", "LOGIN"]), ("login,cram-md5", ["CRAM-MD5", "LOGIN"])],
)
def test_auth_chooses_the_mechanisms(auth: str, tried: list[str]) -> None:
    with ScriptedSmtpServer(ehlo=ALL, auth=[BAD] * 9) as server:
        failure(server.port, f"&auth={auth}")

        assert mechanisms(server) == tried


def test_cram_md5_sends_no_password() -> None:
    digest = hmac.new(b"s3cret", b"<1@scripted>", "md5").hexdigest()
    answer = b64encode(f"me {digest}".encode()).decode()
    challenge = "334 " + b64encode(b"<1@scripted>").decode()
    with ScriptedSmtpServer(ehlo=ALL, auth=[challenge], **{answer.lower(): ["235 ok"]}) as server:
        send(server.port, "&auth=cram-md5")

        assert server.commands[1:3] == ["AUTH CRAM-MD5", answer]


@pytest.mark.parametrize(
    ("ehlo", "options", "told"),
    [
        ("250 scripted", "", "login: the server offers none that ?auth= allows, but []; many do only after STARTTLS"),
        (
            "250-scripted\r\n250 AUTH GSSAPI NTLM",
            "",
            "login: the server offers none that ?auth= allows, but ['GSSAPI', ",
        ),
        (
            "250-scripted\r\n250 AUTH LOGIN",
            "&auth=plain",
            "login: the server offers none that ?auth= allows, but ['LOGIN']",
        ),
    ],
)
def test_a_server_without_a_login_that_we_know_is_told(ehlo: str, options: str, told: str) -> None:
    with ScriptedSmtpServer(ehlo=[ehlo]) as server:
        assert told in failure(server.port, options)
        assert "AUTH" not in server.verbs()


@pytest.mark.parametrize(
    "reply",
    [
        "535 AUTH PLAIN " + b64encode(b"\0me\0s3cret").decode() + " is bad",
        "535 s3cret is wrong",
        "535 S3CRET? " + b64encode(b"s3cret").decode(),
        "535 bad s%33cret, czNjcmV0",
        "s3cret" + DROP,
    ],
)
def test_a_reply_that_repeats_the_login_shows_no_password(reply: str) -> None:
    with ScriptedSmtpServer(ehlo=ALL, auth=[reply] * 9) as server:
        told = failure(server.port)

    assert "cret" not in told.lower().replace("[secret]", "")
    assert "czNjcmV0" not in told
    assert "AHMzY3JldA" not in told
    assert told.startswith("login: ")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ({"connect": ["554 not you"]}, "greeting: 554 not you"),
        ({"connect": [DROP]}, "greeting: no mail server answers, it says ''. Check host and port in MAIL_URL"),
        ({"connect": ["SSH-2.0-OpenSSH_9.2"]}, "greeting: no mail server answers, it says 'SSH-2.0-OpenSSH_9.2"),
        ({"connect": ["* OK IMAP4rev1 ready"]}, "greeting: no mail server answers, it says '* OK IMAP4rev1 ready"),
        ({"connect": ["HTTP/1.1 400 Bad Request"]}, "greeting: no mail server answers, it says 'HTTP/1.1 400"),
        ({"ehlo": ["550 no", "550 no"], "helo": ["550 bad name"]}, "EHLO: 550 bad name (?ehlo=NAME in MAIL_URL"),
        ({"ehlo": [DROP]}, "EHLO: Connection unexpectedly closed"),
        ({"auth": [BAD] * 9}, "login: 535"),
    ],
)
def test_the_error_names_the_step_and_the_servers_reply(script: dict[str, list[str]], told: str) -> None:
    with ScriptedSmtpServer(**({"ehlo": ALL} | script)) as server:
        assert failure(server.port).startswith(told)


def test_a_refused_connection_is_one_step_too() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        assert failure(unheard.getsockname()[1]).startswith("connect: ")


@pytest.mark.parametrize("name", ["mail.example.org", "[192.0.2.1]"])
def test_the_name_that_we_give_can_be_set(name: str) -> None:
    with ScriptedSmtpServer() as server:
        send(server.port, f"&ehlo={name}", login="")

        assert server.commands[0].lower() == f"ehlo {name}"


@pytest.mark.parametrize("host", ["no_name.example.org", "noname", "-a.example.org"])
def test_a_host_name_that_is_none_is_not_given(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    with ScriptedSmtpServer() as server:
        send(server.port, login="")

        assert server.commands[0].lower() == "ehlo [127.0.0.1]"


def test_a_silent_port_is_told_what_it_may_be() -> None:
    with ScriptedSmtpServer(connect=[HANG]) as server:
        told = failure(server.port, timeout=0.4)

    assert told.startswith("greeting: the server took too long to say anything. Check host and port in MAIL_URL")
    assert "a port for TLS needs smtps://, and an HTTP port takes no mail" in told


@pytest.mark.parametrize("answer", [b"\x15\x03\x01\x00\x02\x02\x28", b"\x16\x03\x03\x00\x40\x02"])
def test_a_port_for_tls_is_known_by_its_alert(answer: bytes) -> None:
    with ScriptedSmtpServer(connect=[answer.decode("latin-1")]) as server:
        assert "speaks TLS from the first byte: write smtps://" in failure(server.port)


@pytest.mark.parametrize("answer", ["220 scripted", "HTTP/1.1 400 Bad Request"])
def test_smtps_to_a_port_in_clear_says_so(answer: str) -> None:
    with ScriptedSmtpServer(connect=[answer]) as server:
        url = f"smtps://127.0.0.1:{server.port}?verify=no"
        with closing(TlsSender(url)) as sender, pytest.raises(ServerAway) as caught:
            sender.send(MAIL)

    assert "TLS handshake: the server answers in clear: write smtp:// in MAIL_URL" in str(caught.value)
