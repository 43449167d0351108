"""What operators do at the notifier: the groups of its command line."""
