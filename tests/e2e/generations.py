"""Herald as it was and as it will be: copies of its packages, changed as a team would change them.

- 1.0 is the code as it stands.
- 1.1 adds an optional field to user_registered: a revision of version 1.
- 2.0 requires the field. Version 1 is upcast.
- 3.0 renames another field. Version 2 is upcast.

A copy has only the packages that change. A process of a generation imports them from there, and all else from here.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.walks.walk import ROOT, Edit

PACKAGES = ("libs/contracts/src", "services/users-api/src", "services/notifier/src", "services/auditor/src")

EVENTS = "libs/contracts/src/contracts/events.py"
PRODUCER = "services/users-api/src/users_api/registration.py"
MAILS = "services/notifier/src/notifier/worker.py"
AUDIT = "services/auditor/src/auditor/handlers.py"

REVISION = (
    Edit(
        EVENTS,
        "diff",
        """\
     registered_at: AwareDatetime = Field(description="When users-api accepted the registration.")
+    locale: str | None = None
""",
    ),
    Edit(
        PRODUCER,
        "diff",
        """\
-    data = UserRegistered(user_id=_UNKNOWN, email=user.email, full_name=user.full_name, registered_at=now)
+    data = UserRegistered(user_id=_UNKNOWN, email=user.email, full_name=user.full_name, registered_at=now, locale="de")
""",
    ),
    Edit(
        MAILS,
        "diff",
        """\
-        template, user.email, user.full_name, key=key, sent=sent, sender=sender, mail_from=mail_from
+        template,
+        user.email,
+        f"{user.full_name} ({user.locale or 'en'})",
+        key=key,
+        sent=sent,
+        sender=sender,
+        mail_from=mail_from,
""",
    ),
    Edit(
        AUDIT,
        "diff",
        """\
-            "actions": [event.type for event in events],
+            "actions": [f"{event.type} ({event.data.locale or 'en'})" for event in events],
""",
    ),
)

REQUIRED = (
    Edit(
        EVENTS,
        "diff",
        '''\
-from typing import ClassVar
+from typing import ClassVar, Self
@@
-class UserRegistered(EventData):
+class UserRegisteredV1(EventData):
@@
+class UserRegistered(EventData):
+    """A user registered, and the registration is committed. `locale`: the user's language."""
+
+    event_type: ClassVar[str] = "user_registered"
+    version: ClassVar[int] = 2
+    predecessor: ClassVar[type[EventData] | None] = UserRegisteredV1
+
+    user_id: int = Field(description="The user's id in users-api.")
+    email: str = Field(description="The user's address, normalised, in Unicode.")
+    full_name: str = Field(description="The user's whole name, as the user wrote it.")
+    registered_at: AwareDatetime = Field(description="When users-api accepted the registration.")
+    locale: str
+
+    @classmethod
+    def upcast(cls, old: UserRegisteredV1) -> Self:
+        """Before revision 1 of version 1 everything was in English."""
+        return cls(**old.model_dump(exclude={"locale"}), locale=old.locale or "en")
+
+
 class Scheduled(EventData):
''',
    ),
)

RENAMED = (
    Edit(
        EVENTS,
        "diff",
        '''\
-class UserRegistered(EventData):
+class UserRegisteredV2(EventData):
@@
+class UserRegistered(EventData):
+    """A user registered, and the registration is committed. `locale`: the user's language."""
+
+    event_type: ClassVar[str] = "user_registered"
+    version: ClassVar[int] = 3
+    predecessor: ClassVar[type[EventData] | None] = UserRegisteredV2
+
+    user_id: int = Field(description="The user's id in users-api.")
+    email: str = Field(description="The user's address, normalised, in Unicode.")
+    name: str
+    registered_at: AwareDatetime = Field(description="When users-api accepted the registration.")
+    locale: str
+
+    @classmethod
+    def upcast(cls, old: UserRegisteredV2) -> Self:
+        """Version 2 called the name `full_name`."""
+        return cls(**old.model_dump(exclude={"full_name"}), name=old.full_name)
+
+
 class Scheduled(EventData):
''',
    ),
    Edit(
        PRODUCER,
        "diff",
        """\
-    data = UserRegistered(user_id=_UNKNOWN, email=user.email, full_name=user.full_name, registered_at=now, locale="de")
+    data = UserRegistered(user_id=_UNKNOWN, email=user.email, name=user.full_name, registered_at=now, locale="de")
""",
    ),
    Edit(
        MAILS,
        "diff",
        """\
-        f"{user.full_name} ({user.locale or 'en'})",
+        f"{user.name} ({user.locale})",
""",
    ),
)

CHANGES: Mapping[str, tuple[Edit, ...]] = {
    "1.0": (),
    "1.1": REVISION,
    "2.0": REVISION + REQUIRED,
    "3.0": REVISION + REQUIRED + RENAMED,
}
"""For each generation, by the version and revision of user_registered that it publishes: its changes in order."""

FIRST, NEWEST = "1.0", "3.0"


def version(generation: str) -> int:
    """Return the version of user_registered that a generation publishes."""
    return int(generation.partition(".")[0])


def flows(producer: str, consumer: str) -> bool:
    """Return whether the window promises that a consumer handles what a producer publishes."""
    return version(producer) <= version(consumer)


def make(root: Path) -> dict[str, str]:
    """Make the packages of each generation under `root`. Return, for each of them, the PYTHONPATH of its processes."""
    return {generation: _make(root / generation, edits) for generation, edits in CHANGES.items()}


def _make(root: Path, edits: tuple[Edit, ...]) -> str:
    if not edits:
        return ""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    for edit in edits:
        edit.apply(root)
    return os.pathsep.join(str(root / package) for package in PACKAGES)
