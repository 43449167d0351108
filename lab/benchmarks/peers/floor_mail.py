"""The floor of a mail: how many a second two threads build and send that do nothing else. `python floor_mail.py`."""

import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import job

THREADS = 2
MAILS = 1000


def rate(pool: ThreadPoolExecutor) -> float:
    """Send so many, and return the rate."""
    began = time.perf_counter()
    for future in [pool.submit(job.send_welcome, f"mail{n}@example.com", "Ada Lovelace") for n in range(MAILS)]:
        future.result()
    return MAILS / (time.perf_counter() - began)


with ThreadPoolExecutor(THREADS) as threads:
    sys.stdout.write(f"{statistics.median(rate(threads) for _ in range(3))}\n")
