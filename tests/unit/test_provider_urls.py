"""What each MAIL_URL for a provider means, and what a wrong one says."""

import subprocess
import sys
import threading

import pytest

from notifier.errors import MailUrlInvalid
from notifier.providers.sender import ApiSender
from notifier.providers.url import Endpoint
from notifier.senders import open_sender


def endpoint(url: str) -> Endpoint:
    sender = open_sender(url, timeout=1.0)
    assert isinstance(sender, ApiSender)
    return sender.endpoint


@pytest.mark.parametrize(
    ("url", "origin", "user", "password", "path"),
    [
        ("postmark://TOKEN@api.postmarkapp.com", "https://api.postmarkapp.com", "TOKEN", "", ""),
        ("postmark://TOKEN@127.0.0.1:9000/?tls=no", "http://127.0.0.1:9000", "TOKEN", "", ""),
        ("postmark://TOKEN@[::1]:9000?tls=no", "http://[::1]:9000", "TOKEN", "", ""),
        ("sendgrid://SG.a-b_c@api.eu.sendgrid.com:443", "https://api.eu.sendgrid.com", "SG.a-b_c", "", ""),
        ("sendgrid://SG%2Fa%40b@proxy:8443?tls=yes", "https://proxy:8443", "SG/a@b", "", ""),
        ("mailgun://key@api.mailgun.net/mg.example.org", "https://api.mailgun.net", "key", "", "mg.example.org"),
        ("mailgun://key@localhost:80/mg.example.org?tls=no", "http://localhost", "key", "", "mg.example.org"),
        ("ses://AK:a%2Fb%2Bc+@email.eu-west-1.api.aws", "https://email.eu-west-1.api.aws", "AK", "a/b+c+", ""),
        ("ses://AK:s@email-fips.us-gov-west-1.api.aws", "https://email-fips.us-gov-west-1.api.aws", "AK", "s", ""),
        ("ses://AK:s@localhost:9000?tls=no&region=eu-west-1", "http://localhost:9000", "AK", "s", ""),
    ],
)
def test_a_url_says_where_and_how(url: str, origin: str, user: str, password: str, path: str) -> None:
    found = endpoint(url)
    assert (found.origin, found.user, found.password, found.path) == (origin, user, password, path)


def test_a_session_token_may_have_a_plus_percent_encoded_or_not() -> None:
    url = "ses://AK:s@vpce-1.example.org?region=eu-west-1&session_token=a%2Bb+c%2F=="
    assert endpoint(url).options == {"region": "eu-west-1", "session_token": "a+b+c/=="}


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("postmark://", "no host"),
        ("postmark://s3cret", "its key"),
        ("postmark://@api.postmarkapp.com", "its key"),
        ("postmark://s3cret:more@api.postmarkapp.com", "its key"),
        ("postmark://s3cret@", "no host"),
        ("postmark://s3cret@bücher.example", "no host"),
        ("postmark://s3cret@ho st", "no host"),
        ("postmark://s3cret@host:0", "no usable port"),
        ("postmark://s3cret@host:99999", "can't be read"),
        ("postmark://s3/cret@host", "percent-encode"),
        ("postmark://s3#cret@host", "percent-encode"),
        ("postmark://s3?cret@host", "after the [?]|percent-encode"),
        ("postmark://s3cret%0A@host", "its key"),
        ("postmark://s3cret%20@host", "its key"),
        ("postmark://s%C3%A9cret@host", "its key"),
        ("postmark://s3cret@host/path", "follows the host"),
        ("postmark://s3cret@host?tls=maybe", "tls is yes or no"),
        ("postmark://s3cret@host?tls=no&tls=no", "each once"),
        ("postmark://s3cret@host?region=x", "it takes only tls="),
        ("postmark://s3cret@host?s3cret", "it takes only tls="),
        ("sendgrid://s3cret:s3cret@host", "its key"),
        ("mailgun://s3cret@api.mailgun.net", "follows the host"),
        ("mailgun://s3cret@api.mailgun.net/a/b", "follows the host"),
        ("mailgun://s3cret@api.mailgun.net/a%2Fb", "follows the host"),
        ("ses://s3cret@email.eu-west-1.amazonaws.com", "one of two"),
        ("ses://AK:s3cret@localhost", "region"),
        ("ses://AK:s3cret@email.eu-west-1.amazonaws.com.example.org", "region"),
        ("ses://AK:s3cret@localhost?region=", "takes only region=, session_token=, tls="),
        ("ses://AK:s3cret@localhost?session_token=a%0Ab&region=x", "each once"),
    ],
)
def test_a_wrong_url_names_the_fault_and_the_remedy_but_never_itself(url: str, fault: str) -> None:
    with pytest.raises(MailUrlInvalid, match=fault) as caught:
        open_sender(url, timeout=1.0)

    scheme = url.partition(":")[0]
    assert f"Write {scheme}://" in str(caught.value)
    assert "cret" not in str(caught.value)


def test_secrets_are_not_shown() -> None:
    url = "ses://AK:s3cret@localhost?region=eu-west-1&session_token=t0ken"
    assert repr(endpoint(url)) == "Endpoint(origin='https://localhost', authority='localhost', path='')"


def test_opening_a_sender_starts_no_thread() -> None:
    before = threading.active_count()
    for url in ("postmark://k@h", "sendgrid://k@h", "mailgun://k@h/d", "ses://k:s@h?region=r"):
        open_sender(url, timeout=1.0)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("url", "loads"), [("smtp://localhost", False), ("postmark://key@localhost", True), ("mailgun://key@host/d", True)]
)
def test_only_a_provider_loads_the_http_client(url: str, loads: bool) -> None:
    code = (
        "import sys, notifier.settings, notifier.handlers; from notifier.senders import open_sender;"
        f" open_sender({url!r}, timeout=1.0); print('httpx' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(loads)
