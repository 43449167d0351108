-- One database for each service, each with a role of its own that can enter no other.
-- PostgreSQL's image runs this once, when its volume is empty; the passwords come from the environment.
\getenv users_password USERS_DB_PASSWORD
\getenv notifier_password NOTIFIER_DB_PASSWORD
\getenv auditor_password AUDITOR_DB_PASSWORD
\getenv auditor_writer_password AUDITOR_WRITER_DB_PASSWORD

CREATE ROLE users LOGIN PASSWORD :'users_password';
CREATE ROLE notifier LOGIN PASSWORD :'notifier_password';
CREATE ROLE auditor LOGIN PASSWORD :'auditor_password';
-- Auditors connect as this one: it adds to the audit log, and can't change it. `auditor migrate` gives it its rights.
CREATE ROLE auditor_writer LOGIN PASSWORD :'auditor_writer_password';

CREATE DATABASE users OWNER users;
CREATE DATABASE notifier OWNER notifier;
CREATE DATABASE auditor OWNER auditor;

REVOKE ALL ON DATABASE users, notifier, auditor FROM PUBLIC;
GRANT CONNECT ON DATABASE auditor TO auditor_writer;
