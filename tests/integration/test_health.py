"""Health checks tell the truth about processes that may hang."""

import socket

import redis

from contracts import AUDIT_LOG, SUBSCRIPTIONS
from devstack.redis_server import RedisServer
from messaging import HeraldBroker, health
from messaging.process.database import Pool
from messaging.relay.reconcile import Reconciler
from messaging.wire import layout
from users_api import PUBLISHER

HOST = socket.gethostname()


def test_a_worker_is_healthy_while_its_heart_beats(redis_client: redis.Redis, redis_server: RedisServer) -> None:
    assert "no heartbeat for 6 s from any worker on" in str(health.worker_fault(redis_client, HOST))
    broker = HeraldBroker(redis_server.url)
    redis_client.rpush(layout.queue_key(AUDIT_LOG.queue), "gone")  # so that it doesn't wait
    next(broker.consume(AUDIT_LOG.queue))

    assert health.worker_fault(redis_client, HOST) is None
    assert health.worker_fault(redis_client, "elsewhere") is not None

    redis_client.delete(layout.heartbeat_key(broker.broker_id))
    assert health.worker_fault(redis_client, HOST) is not None
    broker.close()


def test_a_relay_is_healthy_while_it_does_its_rounds(redis_client: redis.Redis, users_pool: Pool) -> None:
    assert "no heartbeat for 6 s from any relay on" in str(health.relay_fault(redis_client, HOST))

    Reconciler(users_pool, redis_client, SUBSCRIPTIONS, PUBLISHER).reconcile()

    assert health.relay_fault(redis_client, HOST) is None
    assert health.relay_fault(redis_client, "elsewhere") is not None
