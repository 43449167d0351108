"""`notifier send-test`: the configured provider's answer, without a database or Redis."""

import os
import subprocess
import sys
from email.utils import getaddresses
from pathlib import Path

from chaos.providers import Postmark, StandIn
from chaos.sink import Sink

NOTIFIER = str(Path(sys.executable).with_name("notifier"))


def send_test(to: str = "Maya Chen <maya@example.com>", **environment: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "TERMINAL_WIDTH": "200", "MAIL_FROM": "Us <us@example.com>", **environment}
    argv = [NOTIFIER, "send-test", "--to", to]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_an_accepted_mail_is_shown_with_its_reference(stand_in: StandIn) -> None:
    ended = send_test(MAIL_URL=stand_in.url)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("accepted, reference ")
    [mail] = stand_in.taken
    assert getaddresses([mail.recipient]) == [("Maya Chen", "maya@example.com")]
    assert getaddresses([mail.sender]) == [("Us", "us@example.com")]
    assert mail.key.startswith("send_test")


def test_a_refusal_is_shown_with_its_remedy() -> None:
    with StandIn(Postmark()) as stand_in:
        stand_in.mood = lambda _: "reject"
        ended = send_test(MAIL_URL=stand_in.url)
        wrong_key = send_test(MAIL_URL=stand_in.url.replace("POSTMARK", "s3cret"))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines() == [
        "not accepted: 422 406 You tried to send to […] that have been marked as inactive.",
        "RecipientRefused: The recipient's address is refused for good. Correct the address, then retry the delivery.",
    ]
    assert wrong_key.returncode == 1
    assert "check MAIL_URL" in wrong_key.stderr.replace("Check", "check")
    assert "s3cret" not in wrong_key.stderr


def test_no_answer_is_not_called_a_refusal() -> None:
    with StandIn(Postmark()) as stand_in:
        stand_in.mood = lambda _: "hang_up_kept"
        ended = send_test(MAIL_URL=stand_in.url)

    assert ended.returncode == 1
    assert ended.stderr.startswith("it is unknown whether it was accepted: the request was sent, and no answer came")


def test_smtp_is_tried_too() -> None:
    sink = Sink()
    sink.start()
    try:
        ended = send_test(MAIL_URL=sink.url)
    finally:
        sink.stop()
    assert (ended.returncode, ended.stdout) == (0, "accepted, without a reference\n")
    assert sink.recipients == ["maya@example.com"]


def test_without_mail_url_or_with_half_a_recipient_it_says_what_to_give() -> None:
    nothing = send_test()
    half = send_test("maya@example.com", MAIL_URL="smtp://localhost")

    assert (nothing.returncode, half.returncode) == (2, 2)
    assert nothing.stderr == "configuration: MAIL_URL isn't set. See .env.example.\n"
    assert 'write the recipient as "Maya Chen <maya@example.com>"' in half.stderr
