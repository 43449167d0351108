"""Every count of the overview leads to the list behind it; and which numbers have none."""

import re
from collections.abc import Iterator
from html import unescape

import pytest
import redis
from tests.console.scene import afternoon
from tests.console.texts import outside_of
from tests.integration.live_api import LiveApi, live_api

from contracts import SUBSCRIPTIONS
from devstack.postgres import Postgres
from devstack.redis_server import RedisServer
from messaging.relay.presence import Presence
from messaging.wire import layout
from users_api import PUBLISHER

MEASURES = r"[\d,.]+ (?:ms|s|min|h|d|bytes|kB|MB|GB|%)(?![a-z])|[\d-]+ [\d:]+ UTC"
"""Durations, sizes, shares and times."""

WITHOUT_A_LIST = (
    r": MailServerAway: .*",
    r"3 attempts retried,",
    r"1 receipt waits for a relay\.",
    r"\d+ of \d+",  # connections
    r"\d+\.[\d.]+",  # versions
)

COUNTS = "INSERT INTO delivery_counts VALUES (date_trunc('minute', now()), 'welcome_email', 'x', %s, 0, 3, 0)"


@pytest.fixture(scope="module")
def with_redis(postgres: Postgres, redis_server: RedisServer) -> Iterator[LiveApi]:
    with live_api(postgres, "console_numbers", redis_server.url, console=True) as running:
        yield running


@pytest.fixture
def busy(with_redis: LiveApi, redis_client: redis.Redis) -> str:
    """The overview of a Herald in which every kind of number is shown."""
    with_redis.forget_everything()
    afternoon(with_redis)
    with_redis.execute("UPDATE deliveries SET due_at = now() - interval '2 min' WHERE state = 'pending'")
    for state in ("succeeded", "retrying", "failed", "uncertain"):
        with_redis.execute(COUNTS, state)
    Presence(redis_client, PUBLISHER, "relay").beat()
    for worker in ("works", "gone"):
        redis_client.sadd(layout.WORKERS, layout.holder(worker, "notifier"))
        redis_client.sadd(layout.unacked_key(worker, "notifier"), "a", "b")
    redis_client.set(layout.heartbeat_key("works"), 1)
    redis_client.hset(layout.messages_key("notifier"), mapping=dict.fromkeys("abcde", "message"))
    redis_client.rpush(layout.queue_key("notifier"), "c", "d", "e")
    redis_client.xadd(layout.receipts_key(PUBLISHER), {"receipt": "x"})
    return str(with_redis.http.get("/console").text)


def test_every_count_leads_to_the_list_behind_it(busy: str) -> None:
    page = re.sub(r'<li class="notice .*?<a .*?</li>', "", busy)  # a finding has its link beside it
    texts = (re.sub(MEASURES, "", text) for text in outside_of(page, "a", "time", "figure", "h3"))

    numbers = [text for text in texts if re.search(r"\d", text)]

    assert [text for text in numbers if not any(re.fullmatch(each, text) for each in WITHOUT_A_LIST)] == []
    assert len(numbers) == len(WITHOUT_A_LIST) + 1, "what is excused is on the page"


def test_each_of_these_lists_is_a_page(with_redis: LiveApi, busy: str) -> None:
    main = unescape(busy.partition("<main")[2].partition("</main>")[0])
    links = set(re.findall(r'href="(/console[^"]*)"', main))

    answers = {link: with_redis.http.get(link).status_code for link in links}

    assert set(answers.values()) == {200}, answers
    in_the_last_hour = [link for link in links if "=welcome_email" in link and link.endswith("finished_since=1h")]
    assert sorted(re.findall("state=([a-z]+)", " ".join(in_the_last_hour))) == ["failed", "succeeded", "uncertain"]
    [in_flight] = [link for link in links if "state=queued&state=running" in link and "state=pending" not in link]
    named = re.findall("subscription=([a-z_]+)", in_flight)
    assert named == [effect.name for effect in SUBSCRIPTIONS if effect.queue == "notifier"]


def test_what_a_worker_has_been_working_on_for_longest_is_named(with_redis: LiveApi, busy: str) -> None:
    [event] = with_redis.rows("SELECT event_id FROM deliveries WHERE state = 'running'")

    card = busy.partition("Running for longest")[2].partition("</article>")[0]

    assert f'welcome_email: <a href="/console/events/{event["event_id"]}">users/6</a> for ' in card
