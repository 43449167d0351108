"""The mails' templates: ordinary Jinja2, rendered in full for each mail.

A mail is `NAME.subject.j2`, `NAME.txt.j2` and `NAME.html.j2` in `templates/`. A missing variable is an error.
"""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

_SUBJECT = ".subject.j2"
_environment = Environment(
    loader=PackageLoader("notifier"),
    autoescape=select_autoescape(["html.j2"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,  # the templates don't change while a process runs
)


def render(name: str, **variables: object) -> tuple[str, str, str]:
    """Render a mail's subject, text and HTML.

    Raises:
        jinja2.TemplateNotFound, jinja2.UndefinedError: there is no such mail; a variable is missing.
    """
    subject, text, html = (
        _environment.get_template(f"{name}{kind}").render(variables) for kind in (_SUBJECT, ".txt.j2", ".html.j2")
    )
    return subject.strip(), text, html


def names() -> list[str]:
    """List the mails that there are templates for."""
    return [each.removesuffix(_SUBJECT) for each in _environment.list_templates() if each.endswith(_SUBJECT)]
