"""`python moody.py PORT SMTP_PORT ANSWER`: registers users with their effects, or refuses, as ANSWER says."""

import json
import os
import re
import smtplib
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

PORT, SMTP_PORT, ANSWER = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def register(email: str) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("INSERT INTO users (email, full_name) VALUES (%s, '')", [email])
        connection.execute("INSERT INTO audit_log (user_id, action, email) VALUES (1, 'registered', %s)", [email])
    with smtplib.SMTP("127.0.0.1", SMTP_PORT) as smtp:
        smtp.sendmail("a@example.com", [email], "Subject: hello\r\n\r\nhello\r\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        email = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["email"]
        [(prefix, number)] = re.findall(r"(\D+)(\d+)@", email)
        answer = 201 if prefix == "first" else eval(ANSWER, {"number": int(number), "prefix": prefix})
        if answer in {201, "committed"}:
            register(email)
        self.send_response(503 if answer == "committed" else answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
