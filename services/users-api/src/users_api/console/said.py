"""What a page says after a form was sent: the redirect names it in the URL, so that a reload sends nothing again."""

from fastapi import Request

SAID = "said"

_TEXTS = {
    "retry": "The delivery is due again. A relay enqueues it within a second.",
    "confirm": "The effect is confirmed: it counts as succeeded, and isn't caused again.",
    "cancel": "The delivery is cancelled. Its effect won't happen, unless you retry it.",
}


def said(request: Request) -> str | None:
    """Return the text that a URL names; None for any other."""
    return _TEXTS.get(request.query_params.get(SAID, ""))


def saying(path: str, name: str) -> str:
    """Return a path whose page says what `name` stands for."""
    before, _, query = path.partition("?")
    kept = [part for part in query.split("&") if part and not part.startswith(f"{SAID}=")]
    return f"{before}?{'&'.join([*kept, f'{SAID}={name}'])}"
