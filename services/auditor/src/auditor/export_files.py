"""The files of an export: JSON Lines or CSV, complete or not there at all."""

import csv
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from auditor.exporting import Export

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet may execute a cell that begins so."""


def write_jsonl(file: TextIO, _fields: Sequence[str], exported: Iterable[Export]) -> None:
    """Write one JSON object per line."""
    file.writelines(f"{json.dumps(_plain_row(row), ensure_ascii=False)}\n" for row in exported)


def write_csv(file: TextIO, fields: Sequence[str], exported: Iterable[Export]) -> None:
    """Write CSV (RFC 4180) with a header. A text that a spreadsheet would take for a formula gets a `'` before it."""
    writer = csv.DictWriter(file, fields)
    writer.writeheader()
    for row in exported:
        writer.writerow({name: _cell(value) for name, value in row.items()})


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Open a file that appears under its name when it is complete. Only its owner may read it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


def _plain_row(row: Export) -> Export:
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return value.hex() if isinstance(value, bytes) else value


def _cell(value: Any) -> Any:
    plain = _plain(value)
    return f"'{plain}" if isinstance(plain, str) and plain.startswith(FORMULA) else plain
