"""The command line: `serve`, `web` and `workers` become the service; most others ask a running one.

Exit status: 0 done; 1 refused, not reached or not known; 2 the command itself is wrong. Results go
to standard output, for people or with `--json` for machines; what went wrong goes to standard error
in one line.

`serving.py`, `backups.py`, `events.py`, `orders.py`, `looking.py` and `top.py` hold the commands;
`asking.py` is how they ask, with what `environment.py` finds, `words.py` how they tell, and
`completion.py` what a shell offers of them, `exports.py` what one buyer's CSV is. In all of them,
`service.client` and msgspec are imported by the functions that ask: `serve` must not wait.
"""

import click

from service.cli.backups import backup, restore
from service.cli.events import event_group
from service.cli.looking import audit, remaining, watch
from service.cli.orders import buy, order_group
from service.cli.serving import demo, serve, web, workers
from service.cli.top import top

SECTIONS = {
    "On a host of the service": (serve, web, workers, backup, restore),
    "Sell": (event_group, buy, order_group),
    "Look": (remaining, watch, top, audit),
}
ON_THIS_HOST = {command.name for command in SECTIONS["On a host of the service"]}


class Sections(click.Group):
    """Lists commands by what one wants, not by the alphabet."""

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list for each section."""
        width = formatter.width - 2 - max(map(len, self.commands)) - 2
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl(
                    [
                        (command.name or "", command.get_short_help_str(width))
                        for command in commands
                    ]
                )


@click.group(cls=Sections, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="soldout", message="%(prog)s %(version)s")
@click.option("--url", help="The service to ask. [SOLDOUT_URL, SOLDOUT_BIND]")
@click.pass_context
def main(ctx: click.Context, url: str | None) -> None:
    """Sell scarce tickets under a flash crowd.

    \b
      soldout serve --demo
      soldout event put gala --capacity 100
      soldout buy gala --quantity 2
      soldout remaining gala

    Exit status: 0 done, 1 refused or not reached, 2 misuse. Completion in bash:

    \b
      eval "$(_SOLDOUT_COMPLETE=bash_source soldout)"
    """
    if url and ctx.invoked_subcommand in ON_THIS_HOST:
        raise click.UsageError(f"{ctx.invoked_subcommand} asks no service: leave out --url")


main.add_command(demo)
for command in (command for commands in SECTIONS.values() for command in commands):
    main.add_command(command)
