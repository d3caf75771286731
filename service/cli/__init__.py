"""The command line: `serve`, `web` and `workers` become the service; all others ask a running one.

Exit status: 0 done; 1 refused, not reached or not known; 2 the command itself is wrong. Results go
to standard output, for people or with `--json` for machines; what went wrong goes to standard error
in one line.

`serving.py`, `orders.py` and `events.py` hold the commands; `asking.py` is how they ask, with what
`environment.py` finds, and `words.py` how they tell. In all of them, `service.client` and msgspec
are imported by the functions that ask: `serve` must not wait for them.
"""

import click

from service.cli.backups import backup, restore
from service.cli.events import audit, event_group, remaining, watch
from service.cli.orders import buy, order_group
from service.cli.serving import demo, serve, web, workers


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="soldout", message="%(prog)s %(version)s")
def main() -> None:
    """Sell scarce tickets under a flash crowd.

    \b
    Examples:
      soldout serve --demo
      soldout event put gala --capacity 100
      soldout buy gala --quantity 2
      soldout remaining gala

    \b
    Completion in bash:
      eval "$(_SOLDOUT_COMPLETE=bash_source soldout)"

    Exit status: 0 done, 1 refused or not reached, 2 misuse.
    """


for command in (
    serve,
    web,
    workers,
    demo,
    buy,
    order_group,
    remaining,
    watch,
    event_group,
    audit,
    backup,
    restore,
):
    main.add_command(command)
