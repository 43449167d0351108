"""The report store: a directory that the report worker writes and the notifier reads.

An event carries a reference to what is here, with its size and SHA-256, and not the files themselves (a claim check).
A file is complete or absent, and its name comes from the event's id alone. What would take the place of the directory:
docs/decisions/0016-reports-travel-by-reference.md.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from uuid import UUID

from contracts import StoredFile


def keep(store: Path, report: UUID, name: str, content_type: str, content: bytes) -> StoredFile:
    """Keep a file of a report under its id, and return the reference. A file of that name is replaced.

    Raises:
        OSError: the store can't be written.
    """
    path = f"{report}{Path(name).suffix}"
    store.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=store, prefix=".", suffix=".new")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(handle, 0o644)
            os.fsync(handle)
        Path(temporary).replace(store / path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return StoredFile(
        name=name, content_type=content_type, path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest()
    )
