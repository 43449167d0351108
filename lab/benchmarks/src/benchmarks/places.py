"""Where things lie: the peers' programs and their environment, and what a run leaves behind."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[4]
PEERS = CHECKOUT / "lab" / "benchmarks" / "peers"
PEERS_PYTHON = CHECKOUT / ".venv-bench" / "bin"
RESULTS = CHECKOUT / "lab" / "benchmarks" / "results.json"
PAGE = CHECKOUT / "docs" / "performance.md"
PICTURES = CHECKOUT / "docs" / "performance"
LATEST = CHECKOUT / "var" / "bench.json"
