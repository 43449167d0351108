"""The chain that shows tampering: each seal covers some rows of the audit log, and the seal before.

- A row's **leaf** covers everything that stays of it, and a **commitment**: a salted hash of its personal data. So an
  erasure removes data and salt, leaves the commitment, and the chain still verifies.
- A **seal**'s hash covers its number, the hash of the seal before, and the leaf of each of its rows.
- Which rows no seal covers yet, the table `audit_unsealed` says. The statement that writes rows queues them, and the
  transaction that seals them takes them out. So the order of ids and of commits doesn't matter.
- Sealing needs only INSERT: nothing in the log is changed.
"""
