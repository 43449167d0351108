"""Fetch the files of a report from the report store, by the references that an event carries (a claim check).

An event is another program's word, so nothing outside the store is read, whatever a reference says, and nothing is sent
that isn't what was announced.
"""

import hashlib
from pathlib import Path

from contracts import StoredFile
from messaging import PermanentError, TransientError
from notifier.mail import Attachment

LARGEST = 10_000_000
"""Bytes. Providers refuse larger mails."""


def fetch(store: Path, file: StoredFile) -> Attachment:
    """Return a file as an attachment.

    Raises:
        TransientError: it isn't there, or can't be read.
        PermanentError: the reference leaves the store, or the file isn't what was announced.
    """
    path = (store / file.path).resolve()
    if path.parent != store.resolve() or path.name.startswith("."):
        raise PermanentError("the event refers to a file outside REPORT_STORE; find out who published it")
    if file.size > LARGEST:
        raise PermanentError(f"the file has {file.size} bytes, and a mail takes {LARGEST}; read it in the report store")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TransientError(
            f"the file can't be read ({error.strerror}); give the notifier the auditor's REPORT_STORE"
        ) from None
    if (len(content), hashlib.sha256(content).hexdigest()) != (file.size, file.sha256):
        raise PermanentError("the file in REPORT_STORE isn't the one that was announced; make a new report")
    return Attachment(file.name, file.content_type, content)
