"""The command line without a service: help, misuse, and what is said when nobody is there."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from importlib import metadata
from inspect import cleandoc
from pathlib import Path

import click
import pytest

from service.cli import main
from service.cli.environment import derive_url, find_admin_key
from tests.cli.conftest import Type, typing
from tests.client.scripted import DROP, PENDING, SILENCE, Answer, playing, problem, sold
from tests.harness import free_port, wait_until

COMMANDS = [
    "",
    "serve",
    "web",
    "workers",
    "buy",
    "remaining",
    "watch",
    "top",
    "order",
    "order show",
    "order list",
    "order find",
    "order cancel",
    "event",
    "event put",
    "event list",
    "event show",
    "event pause",
    "event resume",
    "event close",
    "audit",
    "backup",
    "restore",
]


def every_command(group: click.Group, name: str = "") -> list[str]:
    found = [name]
    for word, command in group.commands.items():
        if isinstance(command, click.Group):
            found += every_command(command, f"{name} {word}".strip())
        elif not command.hidden:
            found.append(f"{name} {word}".strip())
    return found


def test_these_are_all_commands() -> None:
    assert sorted(every_command(main)) == sorted(COMMANDS)


def test_the_version_is_told(nowhere: Type) -> None:
    assert nowhere("--version").out == f"soldout {metadata.version('soldout')}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_helps(nowhere: Type, command: str) -> None:
    helped = nowhere(*command.split(), "--help")
    assert helped.status == 0
    assert helped.out.startswith(f"Usage: soldout {command}".rstrip())
    assert helped == nowhere(*command.split(), "-h")


def test_help_fits_a_terminal_and_cuts_no_sentence_short(nowhere: Type) -> None:
    for command in ("", "event", "order"):
        lines = nowhere(*command.split(), "--help").out.splitlines()
        assert len(lines) <= 40
        assert max(map(len, lines)) <= 80
        assert not any(line.endswith("...") for line in lines[1:])
    helped = nowhere("--help").out
    assert all(f"\n  {command.split()[0]} " in helped for command in COMMANDS if command)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_each_example_on_a_line_of_its_own(nowhere: Type, command: str) -> None:
    """A backspace alone on a line, as characters or as an escape, means that lines stay lines."""
    helped = nowhere(*command.split(), "--help").out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]|\\[a-z]", helped)
    lines = helped.splitlines()
    for line in cleandoc(named(command).help or "").splitlines():
        if line.lstrip().startswith(("soldout ", "Example")):
            assert f"  {line}" in lines


def named(command: str) -> click.Command:
    """Return the command of this name."""
    found: click.Command = main
    for word in command.split():
        assert isinstance(found, click.Group)
        found = found.commands[word]
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_help_speaks_no_jargon_of_ranges(nowhere: Type, command: str) -> None:
    assert not re.search(r"RANGE|x[<>]=", nowhere(*command.split(), "--help").out)


def test_bash_completes_as_help_says(nowhere: Type) -> None:
    (line,) = re.findall(r"eval .*", nowhere("--help").out)
    words = "COMP_WORDS=(soldout order l) COMP_CWORD=2; _soldout_completion soldout"
    done = subprocess.run(
        ["bash", "-c", f'{line}; {words}; echo "${{COMPREPLY[@]}}"'],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["list"], done.stderr


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in {"order", "event"}])
def test_help_shows_examples_that_are_valid_commands(command: str) -> None:
    """Each example is parsed as it stands, and carried out no further."""
    examples = [
        shlex.split(re.split(" [|>] ", line)[0])[1:]  # what a shell does with it is not ours
        for line in (named(command).help or "").splitlines()
        if line.strip().startswith("soldout ")
    ]
    assert examples
    for words in examples:
        meant: click.Command = main
        while isinstance(meant, click.Group):
            meant = meant.commands[words.pop(0)]
        meant.make_context("soldout", words)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("sell gala", "No such command 'sell'"),
        ("buy", "Missing argument 'EVENT'"),
        ("buy gala --quantity 0", "'--quantity': '0' is not a whole number from 1\n"),
        ("buy gala --quantity many", "'many' is not a whole number from 1\n"),
        ("buy gala --quantity ²", "'²' is not a whole number from 1\n"),
        ("buy gala --quantity " + "9" * 5000, "is not a whole number from 1\n"),
        ("buy gala --wait abc", "'abc' is not a whole number of seconds from 0 to 600\n"),
        ("buy gala --wait 100000", "'100000' is not a whole number of seconds from 0 to 600\n"),
        ("buy gala --wait -1", "'-1' is not a whole number of seconds from 0 to 600\n"),
        ("buy gala --item standing", "'standing' is not like standing:2"),
        ("buy gala --item standing:x", "'standing:x' is not like standing:2"),
        ("buy gala --item standing:2 --quantity 2", "--item goes without --quantity"),
        ("buy gala --key short", "16 to 255 visible ASCII"),
        ("buy gala --patience -1", "'-1' is not a number of seconds from 0\n"),
        ("top --interval 0", "'0' is not a number of seconds from 0.1 to 60\n"),
        ("remaining --patience soon", "'soon' is not a number of seconds from 0\n"),
        ("remaining --patience nan", "'nan' is not a number of seconds from 0\n"),
        ("order show", "Missing argument 'ID'"),
        ("order show my-key", "'my-key' is not an order's id; for a key: soldout order find KEY"),
        ("order cancel 01a216db", "'01a216db' is not an order's id; for a key: soldout order find"),
        ("order list", "Missing argument 'EVENT'"),
        ("remaining --url localhost:8000", "correct --url or SOLDOUT_URL"),
    ],
)
def test_misuse_is_status_2_and_says_what_is_wrong(
    nowhere: Type, words: str, complaint: str
) -> None:
    typed = nowhere(*words.split())
    assert typed.status == 2
    assert complaint in typed.err
    assert typed.out == ""


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "say what to put or change"),
        ("--capacity 5 --ticket-type vip:5", "either --capacity or --ticket-type"),
        ("--capacity abc", "'--capacity': 'abc' is not a whole number from 0\n"),
        ("--capacity -5", "'-5' is not a whole number from 0\n"),
        ("--ticket-type vip", "'vip' is not like vip:10"),
        ("--ticket-type vip:" + "9" * 5000, "is not like vip:10"),
        ("--ticket-type vip:10:9900:euro", "is not like vip:10"),
        ("--capacity 5 --opens-at tomorrow", "'tomorrow' is not like 2026-11-23T09:00:00Z"),
        ("--capacity 5 --opens-at 2026-11-23T09:00:00", "zone included"),
        ("--max-per-buyer 0", "'0' is neither a whole number from 1 nor none"),
        ("--max-per-order many", "'many' is neither a whole number from 1 nor none"),
        ("--max-per-order " + "9" * 5000, "is neither a whole number from 1 nor none"),
    ],
)
def test_an_event_that_cannot_be_put_is_misuse(words: str, complaint: str) -> None:
    typed = typing({"SOLDOUT_ADMIN_KEY": "x" * 16})("event", "put", "gala", *words.split())
    assert typed.status == 2
    assert complaint in typed.err


@pytest.mark.parametrize(
    "words",
    ["remaining", "buy gala", "event list", "order show 01936b5e-77c8-7f3a-a3c0-1f4e5d6c7b8a"],
)
def test_a_service_that_is_not_there_is_named_in_one_line(words: str) -> None:
    bind = f"127.0.0.1:{free_port()}"
    typed = typing({"SOLDOUT_BIND": bind})(*words.split(), "--patience", "0")
    assert typed.status == 1
    assert typed.out == ""
    assert typed.err == (
        f"Error: cannot reach http://{bind}: Connection refused;"
        " is it running? `soldout serve` starts one, --url names another\n"
    )


@pytest.mark.parametrize("words", ["--url {url} remaining gala", "remaining gala --url {url}"])
def test_the_service_is_named_before_or_after_the_command(words: str) -> None:
    elsewhere = f"http://127.0.0.1:{free_port()}"
    with playing() as script:
        script.play(problem(404, "unknown-event", detail="no such event here"))
        typed = typing({"SOLDOUT_URL": elsewhere})(*words.format(url=script.url).split())
    assert "no such event here" in typed.err


@pytest.mark.parametrize("command", ["serve", "workers", "backup x", "restore x"])
def test_what_asks_no_service_takes_no_url_of_one(nowhere: Type, command: str) -> None:
    typed = nowhere("--url", "http://127.0.0.1:1", *command.split())
    assert typed.status == 2
    assert f"{command.partition(' ')[0]} asks no service: leave out --url" in typed.err


# --- a purchase of unknown outcome ---


def test_a_purchase_of_unknown_outcome_prints_the_command_that_tells(nowhere: Type) -> None:
    with playing() as script:
        script.play(DROP)
        typed = nowhere(
            *f"buy gala --url {script.url} --patience 0 --item vip:2 --buyer".split(), "Ann O'Neill"
        )
        assert typed.status == 1
        assert "it is unknown whether this purchase was sold" in typed.err
        assert typed.err.count("\n") == 1
        again = shlex.split(typed.err.partition("it cannot buy twice: ")[2])

        script.play(sold())
        assert again[0] == "soldout"
        assert nowhere(*again[1:]).status == 0
        first, second = script.seen
        assert first.key == second.key
        assert first.body == second.body


def test_an_interrupted_purchase_prints_the_command_that_tells() -> None:
    with playing() as script:
        script.play(SILENCE)
        command = [sys.executable, "-m", "service", "buy", "gala", "--url", script.url]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as buying:
            wait_until(lambda: script.seen, 20, "the purchase is under way")
            buying.send_signal(signal.SIGINT)
            err = buying.communicate(timeout=20)[1]
        assert buying.returncode == 1
        assert err.startswith(
            "Error: interrupted; ask again, it cannot buy twice: soldout buy gala"
        )
        assert err.endswith(f"--key {script.keys[0].strip(chr(34))}\n")


def test_a_purchase_still_pending_prints_the_command_that_tells(nowhere: Type) -> None:
    with playing() as script:
        script.play(Answer(202, PENDING, {"Retry-After": "60"}))
        key = "the-key-of-this-purchase"
        typed = nowhere(*f"buy gala --url {script.url} -q 2 --key {key} --json".split())
        assert typed.status == 1
        assert f"soldout buy gala --url {script.url} --quantity 2 --key {key}" in typed.err
        assert typed.json["error"] == "Unsettled"
        assert typed.json["key"] == key


def test_a_service_with_a_fault_is_not_asked_whether_it_runs(nowhere: Type) -> None:
    with playing() as script:
        script.play(problem(503, "unavailable", detail="The ledger cannot be read just now."))
        typed = nowhere("remaining", "--url", script.url, "--patience", "0")
        assert typed.err == "Error: The ledger cannot be read just now; try again in a moment\n"


# --- where the service is, and its key ---


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        (None, "http://127.0.0.1:8000"),
        ("", "http://127.0.0.1:8000"),
        ("10.0.0.7:80", "http://10.0.0.7:80"),
        ("0.0.0.0:9000", "http://127.0.0.1:9000"),
        ("[::]:9000", "http://[::1]:9000"),
        ("[::1]:9000", "http://[::1]:9000"),
    ],
)
def test_the_service_is_looked_for_where_it_listens(bind: str | None, url: str) -> None:
    assert derive_url({} if bind is None else {"SOLDOUT_BIND": bind}) == url


def test_the_admin_key_is_taken_from_where_the_service_has_it(tmp_path: Path) -> None:
    (tmp_path / "admin-key").write_text(
        "# made at the first start\n\n  key-of-the-directory\nold\n"
    )
    (tmp_path / "elsewhere").write_text("key-of-the-file\n")
    environ = {"SOLDOUT_DATA_DIR": str(tmp_path)}
    assert find_admin_key(environ) == "key-of-the-directory"
    environ["SOLDOUT_ADMIN_KEY_FILE"] = str(tmp_path / "elsewhere")
    assert find_admin_key(environ) == "key-of-the-file"
    environ["SOLDOUT_ADMIN_KEY"] = "key-itself"
    assert find_admin_key(environ) == "key-itself"


def test_the_data_directory_is_data_unless_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "admin-key").write_text("key-of-this-place\n")
    assert find_admin_key({}) == "key-of-this-place"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), ("# nothing\n", "holds none"), ("sha256:00\n", "only hashes")],
)
def test_a_missing_admin_key_is_misuse_that_names_where_it_is_looked_for(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "admin-key").write_text(content)
    typed = typing({"SOLDOUT_DATA_DIR": str(tmp_path)})("audit", "gala")
    assert typed.status == 2
    assert typed.err.count("\n") == 1
    for part in (str(tmp_path / "admin-key"), reason, "SOLDOUT_ADMIN_KEY_FILE"):
        assert part in typed.err


def test_an_admin_key_given_as_its_hash_cannot_be_sent() -> None:
    typed = typing({"SOLDOUT_ADMIN_KEY": "sha256:" + "0" * 64})("audit", "gala")
    assert typed.status == 2
    assert "SOLDOUT_ADMIN_KEY is only its hash" in typed.err


def test_serve_does_not_wait_for_the_http_client_to_be_imported() -> None:
    code = "import service.cli, sys; print(*{'requests', 'msgspec', 'flask'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
