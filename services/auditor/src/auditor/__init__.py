"""The auditor: writes one row into the audit log for each event, keeps it for ever, and reports on it."""

PUBLISHER = "auditor"
"""Its name as a publisher: in the source of its events, and in what its relay keeps in Redis."""
