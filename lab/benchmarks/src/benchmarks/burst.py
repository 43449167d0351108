"""The burst: so many registrations as fast as answers come; until the last effect is there."""

from dataclasses import asdict, dataclass

from benchmarks import usage
from benchmarks.running import Running
from benchmarks.statistics import percentile

CONCURRENCY = 32
WARM_UP = 400


@dataclass(frozen=True)
class Burst:
    """What one burst gave. Seconds, CPU seconds for each 1,000 registrations, bytes.

    `registrations`: those answered 201, which rates and costs are about; `refused`: those answered 503.
    `processed`: registrations each second, from the first request to the last effect.
    """

    registrations: int
    refused: int
    posts: float
    p50: float
    p99: float
    processed: float | None
    services: dict[str, float]
    cpu_services: float
    cpu_servers: float
    cpu_postgres: float
    cpu_redis: float
    cpu_client: float
    cpu_sink: float
    memory: dict[str, int]
    memory_services: int
    memory_redis: int


def measure(running: Running, registrations: int, prefix: str = "burst") -> dict[str, object]:
    """Warm up, then let the burst go. `prefix`: of the addresses, for who measures the same system twice."""
    running.begin()
    running.register(WARM_UP, f"warm-{prefix}", concurrency=CONCURRENCY)
    running.until_done()
    running.begin()
    before = usage.read(running)
    answers = running.register(registrations, prefix, concurrency=CONCURRENCY)
    running.until_done()
    used = usage.read(running).since(before)
    memory = {name: usage.memory(process.pids) for name, process in running.processes.items()}
    last = max(at for at, _ in [*running.sink.take(), *running.audited()]) if running.system.effects else None
    done = len(answers.answered)
    per = 1000 / done
    cpu_services = sum(used.services.values()) * per
    return asdict(
        Burst(
            registrations=done,
            refused=registrations - done,
            posts=done / (answers.ended - answers.began),
            p50=percentile(answers.latencies, 50),
            p99=percentile(answers.latencies, 99),
            processed=done / (last - answers.began) if last else None,
            services={name: seconds * per for name, seconds in used.services.items()},
            cpu_services=cpu_services,
            cpu_servers=(used.postgres + used.redis) * per,
            cpu_postgres=used.postgres * per,
            cpu_redis=used.redis * per,
            cpu_client=answers.cpu * per,
            cpu_sink=used.sink * per,
            memory=memory,
            memory_services=sum(memory.values()),
            memory_redis=usage.memory(running.redis_server.pids),
        )
    )
