"""The effect ledger's table. A consumer that uses `subscribe_once` applies it beside its own migrations."""
