"""docs/mail.md: each MAIL_URL in it can be used as it stands, and each error in it exists."""

import re
from pathlib import Path

import pytest

from notifier import errors
from notifier.senders import open_sender

PAGE = (Path(__file__).parents[2] / "docs/mail.md").read_text()
SCHEMES = ("smtps", "smtp", "ses", "mailgun", "postmark", "sendgrid")
URLS = re.findall(rf"`((?:{'|'.join(SCHEMES)})://[^`]+)`", PAGE)


@pytest.mark.parametrize("url", URLS)
def test_an_example_can_be_used(url: str) -> None:
    open_sender(url.replace(":port", ":25"), timeout=1.0)


def test_each_scheme_has_an_example() -> None:
    assert {url.partition(":")[0] for url in URLS} == set(SCHEMES)


def test_each_error_exists() -> None:
    named = set(re.findall(r"`((?:Server|Mail|Sending|Recipient|Throttled)[A-Za-z]*)`", PAGE))
    ours = {name for name in named if not name.endswith("Exception")} - {"MessageRejected"}  # Amazon's
    assert ours
    assert [name for name in sorted(ours) if not hasattr(errors, name)] == []
