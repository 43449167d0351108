"""The auditor: one row in the audit log for each event and action, for ever."""
