"""Published files that are gone. What was published stays, because some database holds messages of it."""

from collections.abc import Collection, Iterator
from pathlib import Path

from contracts.compatibility.checksums import read_sums
from contracts.compatibility.findings import Finding
from contracts.compatibility.published import FILE_NAME, Revision, read_index


def lost(folder: Path, published: Collection[Revision], new: Collection[Revision]) -> Iterator[Finding]:
    """Yield the schemas that were published and are gone.

    The index or SHA256SUMS lists them, or there are later ones, or golden messages of them.

    `folder`: has `schemas` and `golden`. `new`: what isn't published yet, though its golden message may be there.
    """
    listed = {*read_index(folder / "schemas")}
    listed |= {name.removeprefix("schemas/") for name in read_sums(folder) if name.startswith("schemas/")}
    earlier = {f"{each.event}.{each.version}.{number}.json" for each in published for number in range(each.revision)}
    messages = {path.name for path in (folder / "golden").glob("*.json") if FILE_NAME.fullmatch(path.name)}
    expected = listed | earlier | messages - {each.file_name for each in new}
    for name in sorted(expected - {each.file_name for each in published}):
        stored = "no change can be compared with it, and messages of it may be stored"
        todo = f"restore {folder / 'schemas' / name} from the history, or remove what refers to it, if it never was"
        yield Finding(name.removesuffix(".json").replace(".", " ", 1), "", "is no longer published", stored, todo)
