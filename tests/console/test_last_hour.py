"""What the overview says of the last hour: its plots, how long deliveries took, whether mail goes out."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from tests.console.texts import show
from tests.integration.live_api import LiveApi

from users_api.console.mail import mail
from users_api.console.plots import lags, throughput
from users_api.status.schemas import LastError, Minute, Moves, SubscriptionStatus

NOW = datetime(2026, 11, 23, 16, 27, 31, tzinfo=UTC)


def count(api: LiveApi, number: int, bucket: int, *, age: int = 0, subscription: str = "welcome_email") -> None:
    """Count deliveries that succeeded `age` minutes ago."""
    minute = "date_trunc('minute', now()) - %s * interval '1 minute'"
    insert = f"INSERT INTO delivery_counts VALUES ({minute}, %s, 'x', 'succeeded', %s, %s, %s)"
    api.execute(insert, age, subscription, bucket, number, number * 9_000.0 if bucket else 0)


def lag_plot(api: LiveApi) -> str:
    """Return what the plot of lags says."""
    [said] = re.findall('aria-label="Lag: ([^"]*)"', api.http.get("/console").text)
    return str(said)


def test_what_was_retried_by_hand_succeeded_though_it_has_no_lag(api: LiveApi) -> None:
    count(api, 500, 0)

    page = show(api, "")

    assert "500 succeeded" in page
    assert "nothing succeeded" not in page
    assert "From due to succeeded: no lag: only what was retried or replayed by hand succeeded" in page
    assert lag_plot(api) == "no lag: only what was retried or replayed by hand succeeded in the last hour"


def test_lags_over_two_hours_are_said(api: LiveApi) -> None:
    count(api, 94, 1)
    count(api, 6, 16)
    assert "From due to succeeded: half within 10 ms, at least 5 % over 2 h" in show(api, "")

    count(api, 500, 16, age=1)

    page = show(api, "")
    assert "nothing succeeded" not in page
    assert "From due to succeeded: at least half over 2 h" in page
    assert "at least half over 2 h" in lag_plot(api)


@pytest.mark.parametrize(
    ("sent", "failed", "level", "text"),
    [
        (None, None, "", "none in the last hour"),
        ("16:26:00", None, "good", "last sent"),
        ("16:00:00", "15:59:59", "good", "last sent"),
        ("16:00:00", "16:00:10", "warn", "sent, and failed"),
        ("16:00:00", "16:01:00", "bad", "last failed"),
        (None, "16:20:00", "bad", "last failed"),
        (None, "15:28:00", "", "none sent in the last hour; the last error was"),
    ],
)
def test_mail_was_last_sent_or_failed_as_far_as_is_known(
    sent: str | None, failed: str | None, level: str, text: str
) -> None:
    times = [datetime.fromisoformat(f"2026-11-23T{each}Z") if each else None for each in (sent, failed)]
    said = mail(subscription(*times), NOW)

    assert (said.level, said.text) == (level, text)
    assert said.at == (times[0] if level == "good" else times[1])


def subscription(sent: datetime | None, failed: datetime | None) -> SubscriptionStatus:
    error = LastError(text="MailServerAway", state="failed", at=failed) if failed else None
    return SubscriptionStatus(
        name="welcome_email",
        service="notifier",
        declared=True,
        states={},
        oldest_seconds=0,
        overdue_seconds=0,
        longest_running=[],
        last_succeeded_at=sent,
        last_error=error,
        hour=Moves(),
        minutes=[],
    )


def test_mail_was_last_sent_in_the_minute_that_is_counted(api: LiveApi) -> None:
    count(api, 1, 0)
    count(api, 1, 0, age=5, subscription="follow_up_email")

    page = show(api, "")

    assert re.search("welcome_email last sent (in the last minute|1 min ago)", page)
    assert re.search("follow_up_email last sent [56] min ago", page)


def test_an_error_of_another_day_is_not_the_newest_that_happened(api: LiveApi) -> None:
    api.register()
    api.execute(
        "UPDATE deliveries SET state = 'failed', finished_at = now() - interval '3 days', due_at = NULL,"
        " last_error = 'x' WHERE subscription = 'welcome_email'"
    )

    assert "welcome_email none sent in the last hour; the last error was 3 d ago" in show(api, "")


def test_a_plot_has_a_place_for_each_minute() -> None:
    minutes = [
        Minute(
            minute=datetime(2026, 11, 23, 15, 28, tzinfo=UTC), succeeded=1, lag_mean=0.2, lag_median=0.1, lag_p95=0.5
        ),
        Minute(minute=datetime(2026, 11, 23, 16, 27, tzinfo=UTC), succeeded=30, failed=10, retried=1),
        Minute(minute=datetime(2026, 11, 23, 15, 20, tzinfo=UTC), succeeded=1),
    ]

    moves = throughput(minutes, NOW)

    assert [bar.x for column in moves.columns for bar in column.bars] == [0, 59, 59, 59]
    assert moves.top == "up to 50 a minute"
    assert moves.text == "42 in the last hour, at most 41 in a minute, at 16:27 UTC"
    assert moves.columns[1].text == "16:27: 30 succeeded, 1 retrying, 10 failed"
    [column] = lags(minutes, NOW).columns
    assert column.text == "15:28: half within 100 ms, 95 % within 500 ms"


def test_a_plot_of_nothing_says_so() -> None:
    now = datetime.now(UTC)

    assert throughput([], now).columns == []
    assert lags([], now).text == "nothing succeeded in the last hour"
    assert lags([], now).end - lags([], now).begin == timedelta(minutes=59)
