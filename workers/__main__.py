"""`python -m workers`: the supervisor of one host, as `serve`, `web` and `workers` start it."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys

from workers.errors import BadSetting, BootFailed
from workers.settings import check_redis_is_meant, nearest_name, read_settings, unknown_names


def main() -> int:
    """Serve; return 0 after a drain, 2 for a wrong setting, 1 if the service cannot work."""
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("--web", type=shlex.split, help="command of the web's server, to run it")
    parser.add_argument("--no-pool", action="store_true", help="run the web without workers")
    parser.add_argument("--when-ready", type=shlex.split, help="command to run once, when it sells")
    arguments = parser.parse_args()
    if arguments.no_pool and not arguments.web:
        parser.error("--no-pool goes with --web")
    try:
        settings = read_settings(os.environ)
        check_redis_is_meant(os.environ, settings)
        from workers.logs import start_logging  # noqa: PLC0415 - a wrong setting is told before much is loaded

        start_logging(settings.log)
        for name in unknown_names(os.environ):
            meant = nearest_name(name)
            hint = f"; is {meant} meant?" if meant else ""
            logging.warning("%s is no setting and is ignored%s", name, hint)
        from workers.supervisor import serve  # noqa: PLC0415

        serve(
            settings,
            pool=not arguments.no_pool,
            web=arguments.web,
            when_ready=arguments.when_ready,
        )
    except BadSetting as error:
        print(f"soldout: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except (BootFailed, OSError) as error:
        print(f"soldout: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
