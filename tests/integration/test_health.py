"""Health checks tell the truth about processes that may hang."""

import socket

import redis

from contracts import AUDIT_LOG
from devstack.redis_server import RedisServer
from messaging import HeraldBroker, health, transport
from messaging.receipts import ReceiptReader

HOST = socket.gethostname()


def test_a_worker_is_healthy_while_its_heart_beats(redis_client: redis.Redis, redis_server: RedisServer) -> None:
    assert "has beaten" in str(health.worker_fault(redis_client, HOST))
    broker = HeraldBroker(redis_server.url)
    broker._max_unpack_size()
    redis_client.rpush(transport.queue_key(AUDIT_LOG.queue), "gone")  # so that it doesn't wait
    next(broker.consume(AUDIT_LOG.queue))

    assert health.worker_fault(redis_client, HOST) is None
    assert health.worker_fault(redis_client, "elsewhere") is not None

    redis_client.delete(transport.heartbeat_key(broker.broker_id))
    assert health.worker_fault(redis_client, HOST) is not None
    broker.client.close()


def test_a_relay_is_healthy_while_it_asks_for_receipts(redis_client: redis.Redis) -> None:
    assert "no relay" in str(health.relay_fault(redis_client, HOST))
    reader = ReceiptReader(redis_client, f"{HOST}.1")
    reader.read(wait=0.001)
    reader.read(wait=0.001)

    assert health.relay_fault(redis_client, HOST) is None
    assert health.relay_fault(redis_client, "elsewhere") is not None
