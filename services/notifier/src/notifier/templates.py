"""The mails' templates: ordinary Jinja2, rendered in full for each mail.

A mail is `NAME.subject.j2`, `NAME.txt.j2` and `NAME.html.j2` in `templates/`. A missing variable is an error.
"""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

_environment = Environment(
    loader=PackageLoader("notifier"),
    autoescape=select_autoescape(["html.j2"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,  # the templates don't change while a process runs
)


def render(name: str, **variables: object) -> tuple[str, str, str]:
    """Render a mail's subject, text and HTML; a template or variable that is missing raises Jinja2's own error."""
    subject, text, html = (_template(f"{name}.{kind}.j2").render(variables) for kind in ("subject", "txt", "html"))
    return subject.strip(), text, html


def names() -> list[str]:
    """List the mails that there are templates for."""
    subjects = _environment.list_templates(filter_func=lambda template: template.endswith(".subject.j2"))
    return [subject.removesuffix(".subject.j2") for subject in subjects]


@cache
def _template(name: str) -> Template:
    template = _environment.get_template(name)
    template.globals = dict(template.globals)  # each rendering copies it; copying Jinja2's ChainMap takes 10 µs
    return template
