"""Reads a page's snippets and types them, as its reader would, in one terminal.

In: Markdown. `console` has commands behind `$ ` and what they show; `python` is run, or kept as a
file where its first line names one, and a `text` behind it is what it prints. `…` stands for what
differs: within a line for any of it, alone for any lines. Out: a failure that names the snippet.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from tests.harness import Soldout

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
END = "the-command-has-ended"


class Block(NamedTuple):
    """A fenced block, and where it stands."""

    language: str
    text: str
    line: int


class Step(NamedTuple):
    """Something to type, and what is then to be seen; None if the page does not say."""

    line: int
    command: str
    shows: str | None = None


def blocks(page: str, *languages: str) -> list[Block]:
    """Return a page's blocks, of these languages or of all."""
    found = [
        Block(fence[1], fence[2], page[: fence.start()].count("\n") + 1)
        for fence in re.finditer(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    ]
    return [block for block in found if not languages or block.language in languages]


def commands(block: Block) -> Iterator[Step]:
    """Yield the commands of a `console`, each with what it shows."""
    for number, part in enumerate(re.split(r"^\$ ", block.text, flags=re.MULTILINE)):
        command, _, shows = part.partition("\n")
        if number:
            yield Step(block.line, command, shows or None)
        else:
            assert not part, f"line {block.line}: a console begins with a command"


def steps(page: str, folder: Path) -> Iterator[Step]:
    """Yield all there is to type for a page; what it names as files is written into `folder`."""
    found = blocks(page)
    followed_by = dict(zip(found, [*found[1:], None], strict=True))
    for block, after in followed_by.items():
        match block.language:
            case "console":
                yield from commands(block)
            case "python":
                named = re.match(r"# (\w+\.py)\n", block.text)
                path = folder / (named[1] if named else f"line{block.line}.py")
                path.write_text(block.text)
                if not named:
                    shows = after.text if after and after.language == "text" else None
                    yield Step(block.line, f".venv/bin/python {path.name}", shows)
            case "text" | "js":  # the one belongs to the snippet before; the other, to a browser
                continue
            case other:
                raise AssertionError(f"line {block.line}: nobody tries {other or 'a bare block'}")


def at_home(text: str, service: Soldout) -> str:
    """A page's words, with this machine's port, key and `make` for those that it names."""
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{service.port}")
    text = text.replace("data/admin-key", str(service.data_dir / "admin-key"))
    return text.replace("$ make dev", f"$ make --dry-run -C {ROOT} dev")  # it is: we run in it


def install(folder: Path, env: dict[str, str]) -> dict[str, str]:
    """Have soldout in a folder as after `make install`: in `.venv`, which no PATH names.

    A page that is right only where somebody has activated that environment is thus found out.
    """
    (folder / ".venv").symlink_to(BIN.parent)
    outside = (place for place in env["PATH"].split(os.pathsep) if Path(place) != BIN)
    return env | {"PATH": os.pathsep.join(outside)}


def differs(expected: str, seen: str) -> str:
    """Return what is wrong with what was seen, if anything."""
    lines = (
        r"(?:.*\n)*?" if line == "…" else ".*?".join(map(re.escape, line.split("…"))) + r"\n"
        for line in expected.splitlines()
    )
    if re.fullmatch("".join(lines), seen):
        return ""
    return f"the page shows\n{expected}\nbut there was\n{seen}"


class Terminal:
    """A shell that stays, so that what one command sets the next one finds."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._shell = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=env,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._shell.kill()
        self._shell.communicate()

    def type(self, command: str) -> tuple[int, str]:
        """Type one command, and return its exit status and all that was seen."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{{ {command}\n}} </dev/null; printf '\\n%s %s\\n' {END} $?\n")
        self._shell.stdin.flush()
        seen = ""
        for line in self._shell.stdout:
            if line.startswith(END):
                return int(line.split()[1]), seen.removesuffix("\n").replace("\r\n", "\n")
            seen += line
        raise AssertionError(f"the terminal closed itself at {command}\n{seen}")


def run_page(page: str, service: Soldout, folder: Path, env: dict[str, str]) -> int:
    """Type a whole page; return how many snippets it had, and fail at the first that differs."""
    typed = 0
    with Terminal(folder, install(folder, env)) as terminal:
        for step in steps(at_home(page, service), folder):
            status, seen = terminal.type(step.command)
            where = f"line {step.line}: {step.command}"
            assert status == 0, f"{where}\nended with {status}:\n{seen}"
            seen = seen + "\n" if seen and not seen.endswith("\n") else seen
            if step.shows is not None:
                wrong = differs(step.shows, seen)
                assert not wrong, f"{where}\n{wrong}"
            typed += 1
    return typed
