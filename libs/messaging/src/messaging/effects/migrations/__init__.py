"""The effect ledger's table. A consumer that uses `subscribe_once` applies these migrations beside its own."""
