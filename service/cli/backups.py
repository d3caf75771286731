"""`soldout backup` and `restore`: of this host's ledger, on its disk; they ask no service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.asking import print_json
from service.cli.environment import Misuse
from service.cli.progress import progress
from service.cli.words import contents_members, contents_words

if TYPE_CHECKING:
    from workers.restore import Restored
    from workers.settings import Settings

_DATA_DIR = click.option(
    "--data-dir", metavar="DIRECTORY", help="The service's. [SOLDOUT_DATA_DIR, ./data]"
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
_FILE = click.argument("file", type=click.Path(path_type=Path))


@click.command()
@_FILE
@_DATA_DIR
@click.option("--force", is_flag=True, help="Write over FILE, if it is there.")
@_JSON
def backup(file: Path, data_dir: str | None, force: bool, as_json: bool) -> None:
    """Copy the ledger to FILE, whole, while it sells.

    FILE gets its name when it is on the disk and was checked: every page, every index, and an audit
    of every event. It holds who bought what, and what order ids are made with: keep it private.

    \b
    Examples:
      soldout backup /backup/gala.db
      soldout backup --data-dir /var/lib/soldout --force /backup/latest.db
    """
    with _on_this_host(data_dir) as settings:
        from workers.backup import back_up  # noqa: PLC0415 - serve must not wait for SQLite

        contents = back_up(settings.ledger_path, file, force=force, watch=progress)
    if as_json:
        print_json({"file": str(file), **contents_members(contents)})
    else:
        click.echo(f"backed up to {file}: {contents_words(contents)}")


@click.command()
@_FILE
@_DATA_DIR
@click.option("--replace", is_flag=True, help="Move the ledger that is there aside.")
@_JSON
def restore(file: Path, data_dir: str | None, replace: bool, as_json: bool) -> None:
    """Make FILE, a backup, the ledger again. The service must be stopped.

    FILE is checked before anything is touched. What was sold after it was made is not in it, and
    can be sold again: by restoring you say that this is how it shall be. A ledger that is there is
    moved into a folder beside, with --replace; that folder's ledger.db can be restored likewise.

    \b
    Examples:
      soldout restore /backup/gala.db
      soldout restore --data-dir /var/lib/soldout --replace /backup/latest.db
    """
    with _on_this_host(data_dir) as settings:
        from workers.restore import restore as put_back  # noqa: PLC0415 - serve must not wait for SQLite

        restored = put_back(file, settings.ledger_path, replace=replace, watch=progress)
    if as_json:
        aside = None if restored.moved_to is None else str(restored.moved_to)
        print_json({"file": str(file), **contents_members(restored.contents), "replaced": aside})
    else:
        click.echo(f"restored from {file}: {contents_words(restored.contents)}")
        for line in _to_know(settings, restored):
            click.echo(f"  {line}")


def _to_know(settings: Settings, restored: Restored) -> Iterator[str]:
    """Say what the operator should know before the service starts again."""
    if restored.moved_to:
        yield f"what was there is now in {restored.moved_to}"
    if not restored.same_ledger:
        yield "what was there was another ledger: its orders are not in this one"
    elif restored.had_more:
        yield "what was sold or changed after the backup is not in it, and can be sold again"
    if settings.admin_key is None and not settings.admin_key_path.exists():
        yield f"{settings.admin_key_path} is not there: put the old one there, or a start makes one"


@contextmanager
def _on_this_host(data_dir: str | None) -> Iterator[Settings]:
    """Find the ledger of this host; turn what goes wrong into one line and an exit status."""
    from workers.errors import BadSetting, SoldoutError  # noqa: PLC0415 - as above
    from workers.settings import read_settings  # noqa: PLC0415

    given = {} if data_dir is None else {"SOLDOUT_DATA_DIR": data_dir}
    try:
        settings = read_settings(os.environ | given)
        if settings.lock == "redis":
            raise Misuse(
                "SOLDOUT_LOCK is redis: the ledger is in Redis, and Redis' own tools back it up;"
                " docs/operations/back-up-and-restore.md says how"
            )
        _check_user(settings.data_path)
        yield settings
    except BadSetting as error:
        raise Misuse(str(error)) from None
    except SoldoutError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        named = error.filename is not None  # a write to an open file, for one, has no name
        why = f"{error.filename}: {error.strerror}" if named else str(error)
        raise click.ClickException(why) from None


def _check_user(data_path: Path) -> None:
    """Refuse to leave files that the service could not open, or that others may not read."""
    owner = data_path.stat().st_uid if data_path.exists() else os.geteuid()
    if owner != os.geteuid():
        raise click.ClickException(
            f"{data_path} is another user's: type this as the service's user, with `sudo -u`"
        )
