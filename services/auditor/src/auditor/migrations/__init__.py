"""The auditor's tables."""
