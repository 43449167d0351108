"""A URL that can't work is refused when it is read, in words that repeat nothing of it."""

import traceback
from pathlib import Path

import pytest
import redis

from messaging import ConfigurationError
from messaging.process import urls
from messaging.process.settings import DatabaseSettings, Settings, load
from messaging.wire.client import connect
from notifier.settings import NotifierSettings

SECRET = ("s3cr", "et5")  # a password with a character between its halves that had to be percent-encoded

DATABASE_URLS = [
    "mysql://me:s3cret5@db/users",
    "postgres:/me:s3cret5@db/users",
    "me:s3cret5@db/users",
    "s3cret5",
    "postgresql://me:s3cr%et5@db/users",
    "postgresql://me:s3cr%zzet5@db/users",
    "postgresql://me:s3cr%00et5@db/users",
    "postgresql://me:s3cr/et5@db/users",
    "postgresql://me:123/s3cret5@db/users",
    "postgresql://me:s3cr@et5@db/users",
    "postgresql://me:s3cr@@et5/db@db:5432/users",
    "postgresql://me:s3cr et5@db/users",
    "postgresql://me:s3cr\tet5@db/users",
    "postgresql://me:s3cret5@[::1/users",
    "postgresql://me:s3cret5@[::1]s3cret5/users",
    "postgresql://me:s3cret5@db:port/users",
    "postgresql://me:s3cret5@db:99999/users",
    "postgresql://me:s3cret5@db:-1/users",
    "postgresql://me:s3cret5@one,two:1,three:x/users",
    "postgresql://me@one,two/users?password=s3cret5&port=1,2,3",
    "postgresql://me:s3cret5@db/users?bogus=s3cret5",
    "postgresql://me:s3cret5@db/users?s3cret5",
    "postgresql://me:s3cret5@db/users?password=s3cr&et5",
    "postgresql://me:s3cret5@db/users?sslmode=s3cret5",
    "postgresql://me:s3cret5@db/users?channel_binding=s3cret5",
    "postgresql://me:s3cret5@db/users?target_session_attrs=s3cret5",
    "postgresql://me:s3cret5@db/users?service=s3cret5",
    'postgresql://me:s3cret5@db/users?sslmode="s3cr"et5',
    "postgresql://me:s3cret5@db/users?x=a=b",
    "postgresql://me:s3cr\udcffet5@db/users",
]
REDIS_URLS = [
    "http://:s3cret5@cache",
    ":s3cret5@cache:6379",
    "redis://:s3cr/et5@cache:6379/0",
    "redis://:12/s3cret5@cache:6379/0",
    "redis://:s3cr?et5@cache:6379/0",
    "redis://:12?s3cret5@cache:6379/0",
    "redis://:s3cr#et5@cache:6379/0",
    "redis://:12#s3cret5@cache:6379/0",
    "redis://:s3cr[et5@cache:6379/0",
    "redis://:s3cr et5@cache:6379/0",
    "redis://:s3cret5@[::1/0",
    "redis://:s3cret5@[s3cret5]/0",
    "redis://:s3cret5@cache:port/0",
    "redis://:s3cret5@cache:0/0",
    "redis://:s3cret5@cache:99999/0",
    "redis://:s3cret5@ca..che/0",
    "redis://:s3cret5@one,two/0",
    f"redis://:s3cret5@{'long' * 20}/0",
    "redis://:s3cret5@cache/s3cret5",
    "redis://:s3cret5@cache/-1",
    "redis://:s3cret5@cache/0/1",
    "redis://:s3cret5@cache/0?bogus=s3cret5",
    "redis://:s3cret5@cache/0?decode_responses=true",
    "redis://:s3cret5@cache/0?encoding=latin-1",
    "redis://:s3cret5@cache/0?socket_timeout=0.1",
    "redis://:s3cret5@cache/0?max_connections=1",
    "redis://:s3cret5@cache/0?client_name=me",
    "redis://:s3cret5@cache/0?health_check_interval=1",
    "redis://:s3cret5@cache/0?retry_on_timeout=true",
    "redis://:s3cret5@cache/0?connection_class=s3cret5",
    "redis://:s3cret5@cache/0?protocol=4",
    "redis://:s3cret5@cache/0?protocol=",
    "redis://:s3cret5@cache/0?db=s3cret5",
    "redis://:s3cret5@cache/0?ssl_cert_reqs=none",
    "rediss://:s3cret5@cache/0?ssl_cert_reqs=s3cret5",
    "rediss://:s3cret5@cache/0?ssl_check_hostname=perhaps",
    "rediss://:s3cret5@cache/0?ssl_ca_certs=/nowhere/s3cret5",
    "rediss://:s3cret5@cache/0?ssl_certfile=/nowhere/s3cret5&ssl_password=s3cret5",
    "unix://",
    "unix:///",
    "unix://:s3cr/et5@/run/redis.sock",
    "unix://run/redis.sock?password=s3cret5",
    "unix:///run/redis.sock?password=s3cret5&bogus=1",
    "unix:///run/redis.sock?decode_responses=true",
]
MAIL_URLS = [
    "http://me:s3cret5@mail",
    "me:s3cret5@mail",
    "smtp://me:s3cr/et5@mail",
    "smtp://me:s3cr?et5@mail",
    "smtp://me:s3cr#et5@mail",
    "smtp://me:s3cr[et5@mail",
    "smtp://me:s3cret5@[::1",
    "smtp://me:s3cret5@mail:port",
    "smtp://me:s3cr\u00e9et5@mail",
    "smtp://me:s3cret5@mail?bogus=s3cret5",
]
GOOD = {"database_url": "postgresql://db/users", "redis_url": "redis://cache", "mail_url": "smtp://mail"}
BROKEN = [
    *(("database_url", url) for url in DATABASE_URLS),
    *(("redis_url", url) for url in REDIS_URLS),
    *(("mail_url", url) for url in MAIL_URLS),
]


@pytest.mark.parametrize(("name", "url"), BROKEN)
@pytest.mark.parametrize("from_file", [False, True])
def test_a_broken_url_is_refused_in_one_line_that_repeats_nothing_of_it(
    name: str, url: str, from_file: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for other, value in GOOD.items():
        monkeypatch.setenv(other.upper(), value)
    if from_file:
        monkeypatch.delenv(name.upper())
        monkeypatch.setenv(f"{name.upper()}_FILE", str(tmp_path / "secret"))
        (tmp_path / "secret").write_bytes(url.encode(errors="surrogateescape"))
    else:
        monkeypatch.setenv(name.upper(), url)

    with pytest.raises(ConfigurationError) as refused:
        load(NotifierSettings)

    said = "".join(traceback.format_exception(refused.value))
    assert str(refused.value).startswith(name.upper())
    assert len(str(refused.value).splitlines()) == 1
    assert not [part for part in SECRET if part in said.replace(__file__, "")]


@pytest.mark.parametrize("name", GOOD)
def test_a_secret_where_the_name_of_its_file_belongs_is_not_repeated(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other, value in GOOD.items():
        monkeypatch.setenv(other.upper(), value)
    monkeypatch.delenv(name.upper())
    monkeypatch.setenv(f"{name.upper()}_FILE", GOOD[name])

    with pytest.raises(ConfigurationError, match=f"{name.upper()}_FILE: can't read the file that it names") as refused:
        load(NotifierSettings)

    assert GOOD[name] not in str(refused.value)


@pytest.mark.parametrize("query", ["gssencmode=require", "sslmode=require", "options=-csearch_path%3Da"])
def test_what_libpq_takes_is_taken(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other, value in GOOD.items():
        monkeypatch.setenv(other.upper(), value)
    monkeypatch.setenv("DATABASE_URL", url := f"postgresql://me@db/users?{query}")

    assert load(NotifierSettings).database_url == url


def test_settings_do_not_show_their_secrets_when_they_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:s3cret5@db/users")
    monkeypatch.setenv("REDIS_URL", "redis://:s3cret5@cache")
    monkeypatch.setenv("MAIL_URL", "smtp://me:s3cret5@mail")

    assert "s3cr" not in repr(load(NotifierSettings))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgres:///users",
        "postgresql://me:s3cr%2F%40%3F%23%25et5@db:5432/users",
        "postgresql://me:s3cr?#[et5@db:5432/users",
        "postgresql://me@one:1,two:2,[::1]:3/users?target_session_attrs=read-write",
        "postgresql://me@%2Fvar%2Frun%2Fpostgresql/users",
        "postgresql:///users?host=/var/run/postgresql",
        "postgresql://db/users?sslmode=require&application_name=mine&options=-csearch_path%3Dfoo",
        " postgresql://db/users\n",
    ],
)
def test_what_libpq_can_use_is_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert load(DatabaseSettings).database_url == url.strip()


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://cache",
        "redis://cache:6380/",
        "redis://:s3cr@:et5@cache/3",
        "redis://me:s3cr%2Fet5@[::1]:6380/0?protocol=2",
        "redis://cache_1.local/?db=2&protocol=3",
        "rediss://cache/0?ssl_cert_reqs=none&ssl_check_hostname=false",
        "unix:///run/redis.sock",
        "unix://me:s3cret5@/run/redis.sock?db=2",
        "unix:///run/redis.sock?username=me&password=s3cret5",
    ],
)
def test_what_redis_py_can_use_is_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://")
    monkeypatch.setenv("REDIS_URL", url)

    client = connect(load(Settings).redis_url)

    assert isinstance(client.connection_pool.make_connection(), redis.connection.AbstractConnection)


def test_what_is_wrong_is_said_and_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match="invalid port number; percent-encode"):
        urls.postgresql("postgresql://db:99999/users")
    with pytest.raises(ConfigurationError, match="invalid URI query parameter"):
        urls.postgresql("postgresql://db/users?bogus=1")
    with pytest.raises(ConfigurationError, match=r"Herald takes db, protocol, username, password$"):
        urls.redis("redis://cache?decode_responses=true")
