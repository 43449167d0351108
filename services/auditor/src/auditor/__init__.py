"""The auditor: writes one row into the audit log for each event, and keeps it for ever."""
