import smtplib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.sink_process import SinkProcess


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[SinkProcess]:
    process = SinkProcess(tmp_path / "sink.log")
    process.start()
    yield process
    process.kill()


def test_mails_of_smtplib_are_counted_and_taken_once(sink: SinkProcess) -> None:
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as smtp:
        for number in range(3):
            smtp.sendmail("a@example.com", [f"{number}@example.com"], "Subject: dots\r\n\r\n.\r\n..\r\nend\r\n")
        assert smtp.has_extn("pipelining")
        assert smtp.has_extn("smtputf8")

    assert sink.count() == 3
    assert [recipient for _, recipient in sink.take()] == ["0@example.com", "1@example.com", "2@example.com"]
    assert sink.take() == []


def test_a_pipelined_conversation_is_answered_command_by_command(sink: SinkProcess) -> None:
    envelope = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
    with socket.create_connection(("127.0.0.1", sink.port), timeout=5) as connection, connection.makefile("rb") as told:
        connection.sendall(b"EHLO here\r\n" + envelope)
        replies = [told.readline()[:3] for _ in range(1 + 4 + 3)]
        connection.sendall(b"Subject: x\r\n\r\nhello\r\n.\r\n" + envelope)  # and the next at once
        replies += [told.readline()[:3] for _ in range(1 + 3)]
        connection.sendall(b".\r\nQUIT\r\n")  # an empty mail
        replies += [told.readline()[:3] for _ in range(2)]

    assert replies == [b"220", *[b"250"] * 4, b"250", b"250", b"354", b"250", b"250", b"250", b"354", b"250", b"221"]
    assert sink.count() == 2


def test_a_mail_in_pieces_ends_at_its_lone_dot_only(sink: SinkProcess) -> None:
    whole = (
        b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\r\n..not the end\r\n.\r\nRSET\r\nDATA\r\nQUIT\r\n"
    )
    with socket.create_connection(("127.0.0.1", sink.port), timeout=5) as connection:
        for at in range(len(whole)):
            connection.sendall(whole[at : at + 1])
        with connection.makefile("rb") as told:
            replies = [line[:3] for line in told]

    assert replies == [b"220", b"250", b"250", b"354", b"250", b"250", b"503", b"221"]
    assert [recipient for _, recipient in sink.take()] == ["c@d"]
