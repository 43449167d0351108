"""The mailbox's pages, as HTML. Everything that comes from a mail or a file's name is escaped where it is put in."""

import os
import re
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from devstack.mails import Letter, Summary

REFRESH_SECONDS = 5

_CONNECTING = re.compile(r"<(?=link|iframe|frame|object|embed|meta|base)", re.IGNORECASE)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">{refresh}
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/style.css">
</head>
<body>
{body}
</body>
</html>
"""

_ITEM = """<li><a href="{link}">
<span class="subject">{subject}</span>
<span class="people"><span>from {sender}</span> <span>to {recipient}</span></span>
<time datetime="{iso}">{time}</time>
</a></li>"""

_LETTER = """<nav><a href="/">All mails</a></nav>
<h1>{subject}</h1>
<dl>
<dt>From</dt><dd>{sender}</dd>
<dt>To</dt><dd>{recipient}</dd>
<dt>Received</dt><dd><time datetime="{iso}">{time}</time></dd>
<dt>File</dt><dd>{name}</dd>
</dl>
<nav><a href="#html">HTML</a> <a href="#text">Text</a> <a href="{link}/source">Source</a></nav>
<h2 id="html">HTML</h2>
{html}
<h2 id="text">Text</h2>
{text}"""

_FRAME = """<iframe sandbox title="The mail's HTML" src="{link}/html"></iframe>
<p class="hint">Scripts, forms and everything from the network are blocked.
<a href="{link}/html">Show it alone</a></p>"""

_NONE = '<p class="hint">This mail has no readable {part} part. See its source.</p>'


def listing(mails: Sequence[Summary], *, first: bool, more: bool) -> str:
    """Show mails, newest first. `first`: these are the newest of all; `more`: there are older ones."""
    items = "\n".join(_ITEM.format(**_fields(mail)) for mail in mails)
    nothing = f'<p class="hint">No mails yet. This page refreshes every {REFRESH_SECONDS} seconds.</p>'
    newest = "" if first else '<nav><a href="/">Newest mails</a></nav>\n'
    older = f'\n<nav><a href="/?before={_quoted(mails[-1].name)}">Older mails</a></nav>' if more else ""
    found = f"<ol>\n{items}\n</ol>" if mails else nothing
    return _page("Herald's mails", f"{newest}<h1>Herald's mails</h1>\n{found}{older}", refresh=first)


def letter(mail: Letter) -> str:
    """Show one mail: its HTML in a frame of its own, then its text."""
    fields = _fields(mail.summary)
    html = _NONE.format(part="HTML") if mail.html is None else _FRAME.format(**fields)
    text = _NONE.format(part="text") if mail.text is None else f"<pre>{escape(mail.text)}</pre>"
    return _page(mail.summary.subject or "No subject", _LETTER.format(**fields, html=html, text=text))


def inert(html: str) -> str:
    """Make unknown elements of those for which browsers connect ahead, whatever the Content-Security-Policy says."""
    return _CONNECTING.sub("<x-", html)


def _page(title: str, body: str, *, refresh: bool = False) -> str:
    again = f'\n<meta http-equiv="refresh" content="{REFRESH_SECONDS}">' if refresh else ""
    return _PAGE.format(title=escape(title), body=body, refresh=again)


def _fields(mail: Summary) -> dict[str, str]:
    return {
        "link": f"/mails/{_quoted(mail.name)}",
        "name": escape(os.fsencode(mail.name).decode("utf-8", "replace")),
        "subject": escape(mail.subject) or "<i>No subject</i>",
        "sender": escape(mail.sender) or "<i>unknown</i>",
        "recipient": escape(mail.recipient) or "<i>unknown</i>",
        "iso": mail.received.isoformat(timespec="seconds"),
        "time": f"{mail.received:%Y-%m-%d %H:%M:%S}",
    }


def _quoted(name: str) -> str:
    return quote(os.fsencode(name), safe="")
