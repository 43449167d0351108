"""Lag: from the moment the client has its 201 until each effect is there, at a steady rate and when nearly idle."""

from benchmarks.load import Answers, paced
from benchmarks.running import Running
from benchmarks.statistics import percentile

STEADY_RATE = 20
STEADY_SECONDS = 10
SPARSE = 12
SPARSE_GAP = 1.5
SPARSE_SPREAD = 0.4


def measure(running: Running) -> dict[str, object]:
    """Measure both. Seconds; an effect that came before the answer has a negative lag, and stays negative."""
    return {"steady": _steady(running), "sparse": _sparse(running)}


def _steady(running: Running) -> dict[str, object]:
    """Take a Poisson process: no arrival is in step with anybody's polling."""
    return _lags(running, "steady", STEADY_RATE * STEADY_SECONDS, 1 / STEADY_RATE, 0.0)


def _sparse(running: Running) -> dict[str, object]:
    return _lags(running, "sparse", SPARSE, SPARSE_GAP, SPARSE_SPREAD)


def _lags(running: Running, prefix: str, registrations: int, mean: float, spread: float) -> dict[str, object]:
    running.begin()
    answers = paced(running.place.port, prefix, registrations, mean, spread)
    running.until_done(60)
    return {
        "post": _summary(answers.latencies),
        "mail": _summary(_after(answers, running.sink.take())),
        "audit": _summary(_after(answers, running.audited())),
    }


def _after(answers: Answers, effects: list[tuple[float, str]]) -> list[float]:
    answered = answers.answered
    return [at - answered[address] for at, address in effects if address in answered]


def _summary(seconds: list[float]) -> dict[str, object]:
    return {"p50": percentile(seconds, 50), "p99": percentile(seconds, 99), "all": sorted(seconds)}
