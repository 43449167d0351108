"""Names and texts as JSON and forms carry them: in Unicode, on one line. None can add a header or an address."""

import re

from notifier.mail import Address

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def one_line(text: str) -> str:
    """Return a text with a space in place of line ends and other control characters."""
    return _CONTROLS.sub(" ", text)


def mailbox(address: Address) -> str:
    """Return `"name" <address>`, or the address alone."""
    name = one_line(address.name).replace("\\", r"\\").replace('"', r"\"")
    return f'"{name}" <{address.email}>' if name else address.email
