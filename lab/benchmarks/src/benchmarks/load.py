"""The load client, as the harness sees it: a process of its own, and what it brings back."""

import json
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.client import Record
from benchmarks.errors import BenchmarkError


@dataclass(frozen=True)
class Answers:
    """Every request of one run of the client; `cpu`: the seconds that the client itself used."""

    prefix: str
    records: list[Record]
    cpu: float

    @property
    def latencies(self) -> list[float]:
        """Seconds from sending to the answer, of each that was answered."""
        return [answered - sent for _, sent, answered, status in self.records if status]

    @property
    def answered(self) -> dict[str, float]:
        """When each address that was answered 201 was."""
        return {self.address(number): at for number, _, at, status in self.records if status == 201}

    @property
    def began(self) -> float:
        """When the first was sent."""
        return min(sent for _, sent, _, _ in self.records)

    @property
    def ended(self) -> float:
        """When the last was answered."""
        return max(answered for _, _, answered, _ in self.records)

    def address(self, number: int) -> str:
        """Return the address of one registration."""
        return f"{self.prefix}{number}@example.com"


def start(port: int, prefix: str, registrations: int, *options: str) -> "subprocess.Popen[str]":
    """Start the client."""
    argv = [sys.executable, "-m", "benchmarks.client", "--port", str(port), "--prefix", prefix]
    argv += ["--registrations", str(registrations), *options]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603  # ours


def collect(client: "subprocess.Popen[str]", prefix: str) -> Answers:
    """Wait for the client's end, and read what it saw."""
    try:
        out, err = client.communicate()
    except BaseException:
        client.kill()
        raise
    if client.returncode:
        raise BenchmarkError(f"the load client failed: {err.strip()[-300:]}")
    told = json.loads(out)
    return Answers(prefix, [tuple(record) for record in told["records"]], told["cpu"])


def burst(port: int, prefix: str, registrations: int, concurrency: int) -> Answers:
    """Register so many, as fast as answers come."""
    return collect(start(port, prefix, registrations, "--concurrency", str(concurrency)), prefix)


def paced(port: int, prefix: str, registrations: int, mean: float, spread: float = 0.0) -> Answers:
    """Register so many at random moments, `mean` seconds apart."""
    return collect(start(port, prefix, registrations, "--mean", str(mean), "--spread", str(spread)), prefix)
