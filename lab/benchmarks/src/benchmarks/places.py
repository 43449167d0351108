"""Where things lie: the peers' programs and their environment, and what a run leaves behind."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[4]
PEERS = CHECKOUT / "lab" / "benchmarks" / "peers"
PEERS_PYTHON = CHECKOUT / ".venv-bench" / "bin"
SUMMARY = CHECKOUT / "lab" / "benchmarks" / "results.json"
PAGE = CHECKOUT / "docs" / "performance.md"
RAW = CHECKOUT / "var" / "bench.json"
