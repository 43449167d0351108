"""The notifier's tables."""
