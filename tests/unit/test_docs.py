"""README and docs/: every relative link leads to a file, and to a heading of it where it names one."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]

_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_relative_links_resolve(page: Path) -> None:
    links = _LINK.findall(_CODE.sub("", page.read_text()))

    assert [f"{path}#{anchor}" for path, anchor in links if not _resolves(page, path, anchor)] == []


def test_the_recording_that_opens_the_readme_is_under_2_mb() -> None:
    assert 0 < (CHECKOUT / "docs/console/demo.webp").stat().st_size < 2_000_000


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One thing: `and` another\n")

    assert _resolves(page, "", "one-thing-and-another")
    assert _resolves(page, "page.md", "")
    assert not _resolves(page, "other.md", "")
    assert not _resolves(page, "page.md", "another")


def _resolves(page: Path, path: str, anchor: str) -> bool:
    target = page.parent / unquote(path) if path else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> set[str]:
    """Return the names that GitHub gives to a page's headings."""
    headings = _HEADING.findall(page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
