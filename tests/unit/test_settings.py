"""Settings: right ones are read, a wrong one is told in one clear line that names its variable."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from workers.errors import BadSetting
from workers.settings import (
    OF_REDIS,
    Settings,
    check_redis_is_meant,
    make_admin_key,
    nearest_name,
    read_admin_keys,
    read_settings,
    unknown_names,
)

KEY = "a-key-of-the-administration"
ROOT = Path(__file__).parents[2]
HASHED = "sha256:" + 32 * "0f"


def told(environ: dict[str, str]) -> str:
    """Return the line that stops the start."""
    with pytest.raises(BadSetting) as caught:
        read_settings(environ)
    line = str(caught.value)
    assert line
    assert line.isprintable()  # one line, whatever was in the variable
    return line


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = read_settings({})
    assert settings == Settings(
        bind="127.0.0.1:8000",
        data_dir="./data",
        lock="process",
        redis_url="redis://127.0.0.1:6379/0",
        redis_password_file=None,
        redis_replicas=0,
        redis_durability="strict",
        lock_ttl_ms=2_000,
        shards=None,
        workers=2,
        web_processes=2,
        wait_seconds=5,
        deadline_seconds=30,
        batch_max=512,
        max_in_flight=2_000,
        streams_max=1_000,
    )
    assert settings.address == ("127.0.0.1", 8000)


def test_every_setting_is_read_from_its_variable() -> None:
    wanted = {
        "bind": "[::1]:80",
        "data_dir": "elsewhere",
        "lock": "redis",
        "redis_url": "rediss://redis.example.com/3?ssl_cert_reqs=required",
        "redis_password_file": "secrets/redis",
        "redis_replicas": "1",
        "redis_durability": "relaxed",
        "lock_ttl_ms": "500",
        "shards": "8",
        "workers": "4",
        "web_processes": "8",
        "admin_key": KEY,
        "admin_key_file": "secrets/key",
        "wait_seconds": "0.5",
        "deadline_seconds": "60",
        "batch_max": "1",
        "max_in_flight": "100000",
        "streams_max": "0",
    }
    settings = read_settings({f"SOLDOUT_{name.upper()}": text for name, text in wanted.items()})
    for name, text in wanted.items():
        value = getattr(settings, name)
        assert (f"{value:g}" if isinstance(value, float) else str(value)) == text


def test_an_empty_variable_is_as_good_as_none() -> None:
    """So a shell, a unit file or compose can leave one open."""
    assert read_settings({"SOLDOUT_WORKERS": "", "SOLDOUT_ADMIN_KEY": ""}) == read_settings({})


def test_variables_of_other_programs_are_left_alone() -> None:
    assert read_settings({"SOLDOUT_THEME": "dark", "WORKERS": "x"}) == read_settings({})


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("0.0.0.0:1", ("0.0.0.0", 1)),
        ("localhost:65535", ("localhost", 65535)),
        ("[::]:8000", ("::", 8000)),
        ("[2001:db8::1]:443", ("2001:db8::1", 443)),
    ],
)
def test_an_address_is_a_host_and_a_port(bind: str, address: tuple[str, int]) -> None:
    assert read_settings({"SOLDOUT_BIND": bind}).address == address
    assert read_settings({"SOLDOUT_METRICS_BIND": bind}).metrics_address == address


def test_metrics_have_an_address_of_their_own_only_if_one_is_given() -> None:
    assert read_settings({}).metrics_address is None


WRONG = {
    "BIND": ["8000", ":8000", "localhost", "localhost:", "localhost:http", "a b:80", "::1:80"],
    "BIND ": ["x:0", "x:65536", "x:100000", "x:-1", "http://x:80", "x:80\n", "x:٨٠"],
    "METRICS": ["public", "Open"],
    "METRICS_BIND": ["9108", ":9108", "x:0", "x:65536", "http://x:80", "x:80\n"],
    "LOG": ["xml", "JSON"],
    "ACCESS_LOG": ["-0.1", "1.1", "all", "nan"],
    "LOG_BUYERS": ["perhaps", "2"],
    "SERVER_TIMING": ["on", "Asked"],
    "LOCK": ["none", "Process", " process", "redis://127.0.0.1"],
    "REDIS_REPLICAS": ["-1", "11", "all"],
    "REDIS_DURABILITY": ["none", "Strict"],
    "LOCK_TTL_MS": ["99", "60001", "2s"],
    "SHARDS": ["0", "65", "many"],
    "WORKERS": ["0", "65", "-1", "two", "1.5", "1_0", " 2", "0x2", "nan", "9" * 40],
    "WEB_PROCESSES": ["0", "65", "two"],
    "WAIT_SECONDS": ["0", "0.09", "601", "-5", "soon", "5s", "nan", "inf", "1e9"],
    "DEADLINE_SECONDS": ["0", "601", "soon", "nan", "inf"],
    "BATCH_MAX": ["0", "4097", "all"],
    "MAX_IN_FLIGHT": ["0", "100001", "many"],
    "STREAMS_MAX": ["-1", "100001", "many"],
    "ADMIN_KEY": ["short", "fifteen-letters", "sha256:", "sha256:0123456789abcdef", HASHED + "0"],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name.strip(), value) for name, values in WRONG.items() for value in values],
)
def test_a_wrong_value_is_told_by_the_name_of_its_variable(name: str, value: str) -> None:
    assert told({f"SOLDOUT_{name}": value}).startswith(f"SOLDOUT_{name}")


def test_what_is_wrong_with_a_value_is_shown_with_the_value() -> None:
    line = told({"SOLDOUT_WORKERS": "65"})
    assert "'65'" in line
    assert "64" in line


def test_a_wrong_value_of_many_lines_is_told_in_one() -> None:
    assert "SOLDOUT_WORKERS='2\\n3'" in told({"SOLDOUT_WORKERS": "2\n3"})


def test_of_several_wrong_values_one_is_told() -> None:
    assert told({"SOLDOUT_WORKERS": "0", "SOLDOUT_BIND": "x"}).count("SOLDOUT_") == 1


def test_nobody_waits_longer_than_a_purchase_can_be_settled() -> None:
    line = told({"SOLDOUT_WAIT_SECONDS": "31"})
    assert line == "SOLDOUT_WAIT_SECONDS=31: longer than SOLDOUT_DEADLINE_SECONDS=30"
    line = told({"SOLDOUT_DEADLINE_SECONDS": "4.5"})
    assert line == "SOLDOUT_WAIT_SECONDS=5: longer than SOLDOUT_DEADLINE_SECONDS=4.5"


# --- Redis ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "kind", "addresses", "db"),
    [
        ("redis://localhost", "server", [("localhost", 6379)], 0),
        ("redis://10.0.0.1:7000/3", "server", [("10.0.0.1", 7000)], 3),
        ("rediss://[::1]", "server", [("::1", 6379)], 0),
        ("redis+sentinel://a,b:26380/tickets", "sentinel", [("a", 26379), ("b", 26380)], 0),
        ("redis+sentinel://a/tickets/2", "sentinel", [("a", 26379)], 2),
        ("rediss+sentinel://a/tickets/2", "sentinel", [("a", 26379)], 2),
        ("redis+cluster://a:7001,b:7002", "cluster", [("a", 7001), ("b", 7002)], 0),
        ("unix:///run/redis.sock?db=4", "socket", [], 4),
    ],
)
def test_redis_is_named_by_a_url(
    url: str, kind: str, addresses: list[tuple[str, int]], db: int
) -> None:
    parsed = read_settings({"SOLDOUT_REDIS_URL": url}).redis_parsed()
    assert (parsed.kind, parsed.addresses, parsed.db) == (kind, addresses, db)
    assert parsed.master == ("tickets" if kind == "sentinel" else "")
    assert parsed.path == ("/run/redis.sock" if kind == "socket" else "")
    assert parsed.tls == url.startswith("rediss")


def test_credentials_and_tls_stand_in_the_url() -> None:
    url = "rediss+cluster://ann:p%40ss%2F@h?ssl_ca_certs=%2Fca.pem&ssl_cert_reqs=none"
    parsed = read_settings({"SOLDOUT_REDIS_URL": url}).redis_parsed()
    assert (parsed.username, parsed.password) == ("ann", "p@ss/")
    assert parsed.tls
    assert parsed.tls_options == {"ssl_ca_certs": "/ca.pem", "ssl_cert_reqs": "none"}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("localhost:6379", "not like redis://127.0.0.1:6379/0"),
        ("http://localhost", "not like redis://127.0.0.1:6379/0"),
        ("redis://h/0\n", "not like redis://127.0.0.1:6379/0"),
        ("redis://", "a host is missing"),
        ("redis://h:0", "a port is from 1 to 65535"),
        ("redis://h:65536", "a port is from 1 to 65535"),
        ("redis://h/tickets", "the number of a database is missing or wrong"),
        ("redis://h/0/1", "its path is the number of a database"),
        ("redis://h?db=1", "the database is the last part of the path"),
        ("redis://a,b", "several hosts are for redis+sentinel:// and redis+cluster://"),
        ("redis://h?ssl_ca_certs=x", "options of TLS are for rediss"),
        ("rediss://h?ssl_cert_reqs=maybe", "ssl_cert_reqs is required, optional or none"),
        ("rediss://h?timeout=1", "its options are ssl_ca_certs, "),
        ("redis+sentinel://h", "its path is /master or /master/db"),
        ("redis+sentinel:///tickets", "a host is missing"),
        ("redis+cluster://h/1", "a cluster has database 0 only"),
        ("unix://h/run/redis.sock", "a path and no host"),
        ("unix://", "the socket's path is missing"),
    ],
)
def test_what_is_wrong_with_a_redis_url_is_told(url: str, reason: str) -> None:
    line = told({"SOLDOUT_REDIS_URL": url})
    assert line.startswith("SOLDOUT_REDIS_URL=")
    assert f": {reason}" in line


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"redis://:{SECRET}@h:1/0", "redis://:***@h:1/0"),
        (f"rediss://ann:{SECRET}@h/0?ssl_cert_reqs=none", "rediss://ann:***@h/0"),
        (f"redis+sentinel://:{SECRET}@a,b:1/m/0", "redis+sentinel://:***@a,b:1/m/0"),
        (f"unix://:{SECRET}@/run/redis.sock", "unix://:***@/run/redis.sock"),
        (f"redis://{SECRET}@h", "redis://***@h"),
    ],
)
def test_a_redis_is_shown_without_its_password(url: str, shown: str) -> None:
    assert read_settings({"SOLDOUT_REDIS_URL": url}).redis_shown == shown


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}@h/x",
        f"redis://:{SECRET}@h:99999",
        f"redis://:{SECRET}",
        f"redis://h:{SECRET}",
        f"redis://:a@{SECRET}@h",
        f"redis://:a/{SECRET}@h",
        f"redis://:a?{SECRET}@h",
        f"redis://:a#{SECRET}@h",
        f"redis://:a {SECRET}@h",
        f"redis://h?password={SECRET}",
        f"rediss://h?{SECRET}",
        f":{SECRET}@h",
        f"http://ann:{SECRET}@h",
    ],
)
def test_a_redis_password_is_never_shown_not_even_in_a_wrong_url(url: str) -> None:
    assert SECRET not in told({"SOLDOUT_REDIS_URL": url})


def test_a_redis_password_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{SECRET}\n")
    settings = read_settings(
        {
            "SOLDOUT_REDIS_URL": "redis://ann@h",
            "SOLDOUT_REDIS_PASSWORD_FILE": str(tmp_path / "password"),
        }
    )
    parsed = settings.redis_parsed()
    assert (parsed.username, parsed.password) == ("ann", SECRET)


def test_two_redis_passwords_are_one_too_many() -> None:
    line = told(
        {"SOLDOUT_REDIS_URL": f"redis://:{SECRET}@h", "SOLDOUT_REDIS_PASSWORD_FILE": "password"}
    )
    assert line == "SOLDOUT_REDIS_PASSWORD_FILE: SOLDOUT_REDIS_URL holds a password already"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b" \n", "no password in it"), (b"\xff", "it is no text")],
)
def test_a_redis_password_file_without_one_is_told(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    settings = read_settings({"SOLDOUT_REDIS_PASSWORD_FILE": str(path)})
    with pytest.raises(BadSetting, match=reason) as caught:
        settings.redis_parsed()
    assert str(caught.value).startswith(f"SOLDOUT_REDIS_PASSWORD_FILE='{path}': ")


@pytest.mark.parametrize("name", OF_REDIS)
def test_settings_of_a_redis_that_would_not_be_used_stop_the_start(name: str) -> None:
    """Else a host that should share the stock would sell from one of its own."""
    values = {
        "SOLDOUT_REDIS_URL": "redis://127.0.0.1:6379/0",  # the default, but somebody gave it
        "SOLDOUT_REDIS_DURABILITY": "strict",
        "SOLDOUT_LOCK_TTL_MS": "2000",
    }
    environ = {name: values.get(name, "1")}
    with pytest.raises(BadSetting) as caught:
        check_redis_is_meant(environ, read_settings(environ))
    line = f"{name} is given, but SOLDOUT_LOCK is process: say SOLDOUT_LOCK=redis, or leave it out"
    assert str(caught.value) == line
    for meant in ({**environ, "SOLDOUT_LOCK": "redis"}, {name: ""}):
        check_redis_is_meant(meant, read_settings(meant))


# --- the administration's key ---------------------------------------------------------------------


@pytest.mark.parametrize("key", ["hunter2", "sha256:hunter2-hunter2-hunter2"])
def test_a_key_is_never_shown_not_even_a_wrong_one(key: str) -> None:
    assert "hunter2" not in told({"SOLDOUT_ADMIN_KEY": key})


def of(tmp_path: Path, **environ: str) -> Settings:
    return read_settings({"SOLDOUT_DATA_DIR": str(tmp_path), **environ})


def test_the_first_start_makes_a_key_that_only_its_user_can_read(tmp_path: Path) -> None:
    before = os.umask(0)  # the widest, so that the mode is not the umask's doing
    try:
        make_admin_key(of(tmp_path))
    finally:
        os.umask(before)
    [key] = read_admin_keys(of(tmp_path))
    assert len(key) >= 32
    assert (tmp_path / "admin-key").stat().st_mode & 0o777 == 0o600


def test_a_later_start_keeps_the_key(tmp_path: Path) -> None:
    make_admin_key(of(tmp_path))
    first = read_admin_keys(of(tmp_path))
    make_admin_key(of(tmp_path))
    assert read_admin_keys(of(tmp_path)) == first


def test_two_services_have_different_keys(tmp_path: Path) -> None:
    keys = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        make_admin_key(of(tmp_path / name))
        keys.update(read_admin_keys(of(tmp_path / name)))
    assert len(keys) == 2


def test_a_key_that_is_given_is_used_and_none_is_made(tmp_path: Path) -> None:
    settings = of(tmp_path, SOLDOUT_ADMIN_KEY=KEY)
    make_admin_key(settings)
    assert read_admin_keys(settings) == [KEY]
    assert not list(tmp_path.iterdir())


def test_a_key_file_may_hold_several_keys_and_remarks(tmp_path: Path) -> None:
    """One by one keys can be changed while both are valid."""
    path = tmp_path / "keys"
    path.write_text(f"# since spring\n{KEY}\n\n  {HASHED}  \n")
    settings = of(tmp_path, SOLDOUT_ADMIN_KEY_FILE=str(path))
    make_admin_key(settings)
    assert read_admin_keys(settings) == [KEY, HASHED]
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n# none\n",
        b"short\n",
        f"{KEY}\nshort\n".encode(),
        b"sha256:short-and-no-hash\n",
        b"\xff" * 20,
    ],
)
def test_a_key_file_that_holds_no_good_key_stops_the_start_and_is_named(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(BadSetting) as caught:
        make_admin_key(of(tmp_path, SOLDOUT_ADMIN_KEY_FILE=str(path)))
    line = str(caught.value)
    assert str(path) in line
    assert line.isprintable()
    assert "short" not in line.removeprefix(str(path)).replace("shorter", "")


def test_a_key_file_that_is_not_there_stops_the_start_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    with pytest.raises(BadSetting, match=str(path)):
        make_admin_key(of(tmp_path, SOLDOUT_ADMIN_KEY_FILE=str(path)))


# --- places ---------------------------------------------------------------------------------------


def test_all_files_lie_in_the_data_directory_wherever_the_service_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read_settings({"SOLDOUT_DATA_DIR": "here"})
    assert settings.data_path == tmp_path / "here"
    assert settings.ledger_path.parent == settings.data_path
    assert settings.run_path.parent == settings.data_path
    assert settings.admin_key_path.parent == settings.data_path


# --- names that nobody reads ---


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("SOLDOUT_WOKERS", "SOLDOUT_WORKERS"),
        ("SOLDOUT_WORKER", "SOLDOUT_WORKERS"),
        ("SOLDOUT_WEBPROCESSES", "SOLDOUT_WEB_PROCESSES"),
        ("SOLDOUT_ADMINKEY", "SOLDOUT_ADMIN_KEY"),
        ("SOLDOUT_DATADIR", "SOLDOUT_DATA_DIR"),
        ("SOLDOUT_URI", "SOLDOUT_URL"),
        ("SOLDOUT_COLOUR", None),
    ],
)
def test_a_name_that_nobody_reads_is_found_with_the_one_that_is_meant(
    typed: str, meant: str | None
) -> None:
    assert unknown_names({typed: "3", "SOLDOUT_WORKERS": "3", "WOKERS": "3"}) == [typed]
    assert nearest_name(typed) == meant


def test_every_name_that_the_project_speaks_of_is_known() -> None:
    """Compose, make, tests and clients have names of their own beside the settings."""
    folders = ("docs", "loadtest", "service", "tests", "workers")
    files = [ROOT / name for name in ("Makefile", "Dockerfile", "docker-compose.yml", "README.md")]
    files += [path for name in folders for path in (ROOT / name).rglob("*.*") if path.is_file()]
    texts = [path.read_text(errors="ignore") for path in files if path != Path(__file__)]
    names = {name for text in texts for name in re.findall(r"(?<!_)\bSOLDOUT_[A-Z_]*[A-Z]\b", text)}
    assert {"SOLDOUT_PORT", "SOLDOUT_URL", "SOLDOUT_TEST_SEED", "SOLDOUT_LOADTEST_RUN"} <= names
    assert unknown_names(dict.fromkeys(names, "")) == []
