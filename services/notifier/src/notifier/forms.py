"""The forms of a mail's body: templates of which only the lines with the name in them are made anew for each mail.

All else is rendered and encoded once for each process, which takes most of the time off a mail; a plain name (letters,
digits and spaces) that fits is even put into a body that is encoded already. So a template may insert the name, as
often as it likes, and do nothing else with it; one that does is found out when it is loaded.
"""

import re
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from notifier.errors import TemplateUnfit
from notifier.mime import quoted_printable

_HOLE = "\ue000"  # a private character: it stands for the name, and is nothing to escape
_PROBE = "Zoë <\"&'> " + "x" * 80
_PLAIN = b"ThePlainName"  # stands for a plain name, which no encoding and no escape changes
_PLAIN_NAME = re.compile(r"[A-Za-z0-9]+(?: +[A-Za-z0-9]+)*")
_LINE = 76  # characters in a line of quoted-printable


class Form:
    """A template, ready to be filled in.

    Raises:
        TemplateUnfit: it does more with the name than to insert it.
    """

    def __init__(self, template: str) -> None:
        environment = Environment(
            loader=PackageLoader("notifier"),
            autoescape=select_autoescape(["html.j2"]),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
        )
        source = environment.get_template(template)
        self._escape = environment.filters["escape"] if template.endswith(".html.j2") else str
        lines = source.render(full_name=_HOLE).splitlines(keepends=True)
        self._pieces = [_piece("".join(group)) for _, group in groupby(lines, lambda line: _HOLE in line)]
        self._plain = self._encoded(_PLAIN.decode())
        self._room = _room(self._plain, sum(line.count(_HOLE) for line in lines))
        if self._encoded(_PROBE) != quoted_printable(source.render(full_name=_PROBE)):
            raise TemplateUnfit(f"{template} does more with full_name than insert it; see notifier/forms.py")

    def filled(self, full_name: str) -> bytes:
        """Return the body for a name, in quoted-printable with CRLF."""
        if len(full_name) <= self._room and _PLAIN_NAME.fullmatch(full_name):
            return self._plain.replace(_PLAIN, full_name.encode())
        return self._encoded(full_name)

    def _encoded(self, full_name: str) -> bytes:
        name = str(self._escape(full_name))
        return b"".join(
            piece if isinstance(piece, bytes) else quoted_printable(piece.replace(_HOLE, name))
            for piece in self._pieces
        )


def _piece(text: str) -> str | bytes:
    """Encode what is the same in every mail; each line is encoded by itself."""
    return text if _HOLE in text else quoted_printable(text)


def _room(encoded: bytes, holes: int) -> int:
    """Return how long a plain name may be that fits into every line; 0, if a line is broken in the middle of one."""
    lines = [line for line in encoded.splitlines() if _PLAIN in line]
    if sum(line.count(_PLAIN) for line in lines) < holes:
        return 0
    return min(((_LINE - len(line)) // line.count(_PLAIN) + len(_PLAIN) for line in lines), default=0)
