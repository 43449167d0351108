"""The tables of reports. They have a history of their own, because only who sends reports needs them."""
