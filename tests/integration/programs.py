"""Herald's programs, run with nothing there but a database."""

import os
import subprocess
import sys
from pathlib import Path

from devstack.ports import free_port

PROGRAMS = [
    "users-api serve",
    "users-api relay",
    "users-api migrate",
    "users-api deliveries list",
    "notifier migrate",
    "dramatiq notifier.worker --processes=1",
    "dramatiq notifier.webhooks.worker --processes=1",
    "notifier webhook status",
    "notifier webhook enable",
    "auditor migrate",
    "auditor log",
    "auditor log --follow",
    "dramatiq auditor.worker --processes=1",
]


def run(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    nowhere = {
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}",
        "MAIL_URL": f"smtp://127.0.0.1:{free_port()}",
        "WEBHOOK_URL": "https://hooks.example.com/",
        "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }
    variables = {"PATH": os.environ["PATH"], "PORT": str(free_port()), **nowhere, **environment}
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=60)


def refused(command: str, database_url: str, fault: str) -> None:
    """Assert that a program ends with status 2 and one line that names the fault of its database."""
    ended = run(*command.split(), DATABASE_URL=database_url)

    output = ended.stdout + ended.stderr
    assert ended.returncode == 2, output
    assert [line for line in output.splitlines() if line.startswith(f"configuration: DATABASE_URL: {fault}")], output
    assert "Traceback" not in output
