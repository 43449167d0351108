"""The fault ledger: start a real Herald, break it, and compare what was answered with what happened.

Everything is out of process and real: PostgreSQL with fsync, Redis, SMTP, Herald's own programs. What has to be done
inside of a process (die between two lines, work with a wrong clock, miss a guard) is in `chaos.sabotage`, and only
there: the product has no switch for it.
"""
