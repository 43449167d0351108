"""The work, the same for every peer: a user's row, a welcome mail, an audit row. As everybody writes it."""

import os
import smtplib
from email.message import EmailMessage
from html import escape
from urllib.parse import urlsplit

DATABASE_URL = os.environ["DATABASE_URL"]
REDIS_URL = os.environ.get("REDIS_URL", "")
SMTP = urlsplit(os.environ.get("SMTP_URL", "smtp://127.0.0.1:25"))

INSERT_USER = "INSERT INTO users (email, full_name) VALUES (%s, %s) RETURNING id"
INSERT_AUDIT = "INSERT INTO audit_log (user_id, action, email) VALUES (%s, 'user_registered', %s)"

TEXT = """\
Hello {full_name},

Welcome! Your account is ready, and everything is set up.
There is nothing else you need to do.

Did someone else sign up with your address? Then please ignore this email.

Warm regards,
Herald
"""

HTML = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>Welcome</title>
<style>
:root {{ color-scheme: light dark; }}
@media (prefers-color-scheme: dark) {{
  .page {{ background-color: #15181d !important; }}
  .card {{ background-color: #20252c !important; }}
  .title, .text {{ color: #f1f3f5 !important; }}
  .note {{ color: #a9b1bb !important; border-color: #39404a !important; }}
}}
</style>
</head>
<body class="page" style="margin: 0; padding: 0; background-color: #f2f4f7;">
<table role="presentation" class="page" width="100%" cellpadding="0" cellspacing="0" border="0" style="background-color: #f2f4f7;">
<tr><td align="center" style="padding: 32px 16px;">
<table role="presentation" class="card" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width: 520px; background-color: #ffffff; border-radius: 12px; border-top: 4px solid #4f6df5; font-family: -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif;">
<tr><td style="padding: 36px 32px 32px;">
<h1 class="title" style="margin: 0 0 16px; font-size: 24px; line-height: 1.3; font-weight: 600; color: #1b2430; overflow-wrap: anywhere;">Welcome, <bdi>{full_name}</bdi>!</h1>
<p class="text" style="margin: 0 0 12px; font-size: 16px; line-height: 1.6; color: #1b2430;">Your account is ready, and everything is set up. There is nothing else you need to do.</p>
<p class="text" style="margin: 0 0 28px; font-size: 16px; line-height: 1.6; color: #1b2430;">Warm regards,<br>Herald</p>
<p class="note" style="margin: 0; padding-top: 16px; border-top: 1px solid #e3e7ec; font-size: 13px; line-height: 1.5; color: #5a6573;">Did someone else sign up with your address? Then please ignore this email.</p>
</td></tr>
</table>
</td></tr>
</table>
</body>
</html>
"""  # noqa: E501  # the words of services/notifier's templates


def send_welcome(email: str, full_name: str) -> None:
    """Build the mail and send it over a connection of its own."""
    mail = EmailMessage()
    mail["From"] = "Herald <welcome@example.com>"
    mail["To"] = email
    mail["Subject"] = f"Welcome, {full_name}"
    mail.set_content(TEXT.format(full_name=full_name))
    mail.add_alternative(HTML.format(full_name=escape(full_name)), subtype="html")
    with smtplib.SMTP(SMTP.hostname, SMTP.port, timeout=10) as smtp:
        smtp.send_message(mail)


def write_audit(pool, user_id: int, email: str) -> None:
    """Commit the audit row, over a `psycopg_pool.ConnectionPool`."""
    with pool.connection() as connection:
        connection.execute(INSERT_AUDIT, [user_id, email])
