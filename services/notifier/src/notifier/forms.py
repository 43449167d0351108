"""The forms of a mail's body: templates of which only the lines with the name in them are made anew for each mail.

All else is rendered and encoded once for each process, which takes most of the time off a mail. So a template may
insert the name, as often as it likes, and do nothing else with it; one that does is found out when it is loaded.
"""

from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from notifier.errors import TemplateUnfit
from notifier.mime import quoted_printable

_HOLE = "\ue000"  # a private character: it stands for the name, and is nothing to escape
_PROBE = "Zoë <\"&'> " + "x" * 80


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
        if self.filled(_PROBE) != quoted_printable(source.render(full_name=_PROBE)):
            raise TemplateUnfit(f"{template} does more with full_name than to insert it: see notifier/forms.py")

    def filled(self, full_name: str) -> bytes:
        """Return the body for a name, in quoted-printable with CRLF."""
        name = str(self._escape(full_name))
        return b"".join(
            piece if isinstance(piece, bytes) else quoted_printable(piece.replace(_HOLE, name))
            for piece in self._pieces
        )


def _piece(text: str) -> str | bytes:
    """Encode what is the same in every mail; each line is encoded by itself."""
    return text if _HOLE in text else quoted_printable(text)
