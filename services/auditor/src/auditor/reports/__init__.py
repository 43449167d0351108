"""Reports on the audit log: long work, in worker processes of its own. docs/schedules.md is its story."""
