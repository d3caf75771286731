"""The rush as locust plays it: three acts, and the judgement when they are over.

    SOLDOUT_ADMIN_KEY=… locust -f loadtest/locustfile.py --headless -u 200 -r 200 -t 60s --host URL

In: a server, and `SOLDOUT_LOADTEST_SEED` or `SOLDOUT_LOADTEST_CAPACITY` if wanted. Out: what each
invariant found; its numbers in the file that `SOLDOUT_LOADTEST_RUN` names; exit status 0 if all
were kept, 1 if not, 2 if there was nothing to judge.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import gevent
import msgspec
from locust import LoadTestShape, events
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

from loadtest import crowd
from loadtest.crowd import (  # noqa: F401 - locust plays the users it finds in this file
    AsyncBuyer,
    EarlyBird,
    GroupBuyer,
    ImpatientBuyer,
    Looker,
    PatientBuyer,
)
from loadtest.evidence import Evidence
from loadtest.figures import Run, run_of
from loadtest.findings import Verdict
from loadtest.judgement import judge, passed, report, summary
from loadtest.referee import Referee, RefereeError
from loadtest.shapes import act_at, crowd_of, opening_seconds, tickets_for
from loadtest.stories import Look, Record, Sale

RUN_SECONDS_DEFAULT = 60.0  # without -t
STORIES_SECONDS = 60.0  # for the workers' stories to reach the master
POLL_SECONDS = 0.05

SHORT_OF_CPU = (
    "The clients used up a processor at times: some of the waiting was theirs, not the server's."
)

log = logging.getLogger("loadtest")
# All come at once: that is what a rush is. locust warns of it each time.
logging.getLogger("locust.runners").addFilter(
    lambda entry: "spawn rate is very high" not in entry.getMessage()
)
verdict: list[str] = []
stories_heard: set[str] = set()  # the workers that told theirs


class Rush(LoadTestShape):  # type: ignore[misc]  # mypy does not follow locust's types
    """Quiet, rush, tail; as large and as long as -u and -t say."""

    use_common_options = True

    def tick(self) -> tuple[int, float, list[type[crowd.Client]]] | None:
        """Return how many users there should be now, how fast they come, and of which kinds."""
        options = self.runner.environment.parsed_options
        act = act_at(self.get_run_time(), run_seconds(options))
        if act is None:
            return None
        kinds = crowd.BEFORE_THE_RUSH if act.name == "quiet" else crowd.EVERYONE
        return crowd_of(act, users(options)), options.spawn_rate or 1.0, kinds


def users(options: Any) -> int:
    """Return the number of users that -u asks for."""
    return int(options.num_users or 1)


def run_seconds(options: Any) -> float:
    """Return the length of the run that -t asks for."""
    return float(options.run_time or RUN_SECONDS_DEFAULT)


def referee(environment: Environment) -> closing[Referee]:
    """Send a referee to the server under test."""
    return closing(Referee(environment.host or "", os.environ.get("SOLDOUT_ADMIN_KEY", "")))


def agree_on_messages(environment: Environment, **_: object) -> None:
    """Tell master and workers how they will speak at the end."""
    match environment.runner:
        case MasterRunner() as master:
            master.register_message("story", hear_story)
        case WorkerRunner() as worker:
            worker.register_message("tell", tell_story)


def start(environment: Environment, **_: object) -> None:
    """Put tickets on sale; locust sends its options, and the sale with them, to the workers."""
    crowd.record.clear()
    stories_heard.clear()
    if isinstance(environment.runner, WorkerRunner):
        return
    try:
        sale = open_sale(environment)
    except (RefereeError, ValueError) as error:
        log.error("Nothing to test: %s", error)
        environment.process_exit_code = 2
        gevent.spawn(environment.runner.quit)
        raise gevent.GreenletExit from None  # locust's own StopTest prints a screen of traceback
    environment.parsed_options.sale = msgspec.to_builtins(sale)
    environment.parsed_options.began_at = time.monotonic()
    log.info("%s tickets of %s, SOLDOUT_LOADTEST_SEED=%s", sale.capacity, sale.event, sale.seed)


def open_sale(environment: Environment) -> Sale:
    """Open a sale that suits the length and the crowd of this run, or what the environment says."""
    seconds, crowd_size = run_seconds(environment.parsed_options), users(environment.parsed_options)
    seed = os.environ.get("SOLDOUT_LOADTEST_SEED") or secrets.randbelow(2**32)
    tickets = os.environ.get("SOLDOUT_LOADTEST_CAPACITY") or tickets_for(crowd_size, seconds)
    with referee(environment) as opener:
        opens_at_seconds = time.time() + opening_seconds(seconds)
        return opener.open_sale(int(tickets), opens_at_seconds, int(seed))


def gather_stories(environment: Environment, **_: object) -> None:
    """Have the workers stop and tell, before locust ends them without waiting."""
    master = environment.runner
    if isinstance(master, MasterRunner):
        alive = {name for name, node in master.clients.items() if node.state != STATE_MISSING}
        master.send_message("tell")
        with gevent.Timeout(STORIES_SECONDS, False):
            while not alive <= stories_heard:
                gevent.sleep(POLL_SECONDS)


def tell_story(environment: Environment, **_: object) -> None:
    """Stop this worker's users, and send the master all that they asked and heard."""
    environment.runner.stop()
    environment.runner.send_message("story", msgspec.msgpack.encode(crowd.record))


def hear_story(msg: Any, **_: object) -> None:
    """Take in the stories of one worker."""
    crowd.record.add(msgspec.msgpack.decode(msg.data, type=Record))
    stories_heard.add(msg.node_id)


def decide(environment: Environment, **_: object) -> None:
    """Judge the run, and let the exit status say it."""
    if isinstance(environment.runner, WorkerRunner) or environment.process_exit_code is not None:
        return
    environment.runner.stop()
    evidence = collect(environment)
    verdicts = judge(evidence)
    if path := os.environ.get("SOLDOUT_LOADTEST_RUN"):
        Path(path).write_bytes(msgspec.json.encode(numbers(environment, evidence, verdicts)))
    verdict.extend([summary(evidence), report(verdicts)])
    environment.process_exit_code = 0 if passed(verdicts) else 1


def collect(environment: Environment) -> Evidence:
    """Settle what is in doubt, and bring together what clients heard and what the books say."""
    runner, record, books = environment.runner, crowd.record, None
    sale = msgspec.convert(environment.parsed_options.sale, Sale)
    crashes = [f"{crash['msg']} ({crash['count']} times)" for crash in runner.exceptions.values()]
    look = Look(fault="nobody looked")
    ended_at = time.monotonic()
    try:
        with referee(environment) as closer:
            if sale.administered:
                closer.settle(record.purchases)
                books = closer.books(sale, record)
            look = closer.last_look(sale.event)
            if sale.administered:
                closer.end_sale(sale.event)
    except RefereeError as error:
        crashes.append(str(error))
    distributed = isinstance(runner, MasterRunner)
    return Evidence(
        *(sale, record, look, books),
        processes=len(runner.worker_indexes) if distributed else 1,
        processes_heard=len(stories_heard) if distributed else 1,
        crashes=crashes,
        began_at=environment.parsed_options.began_at,
        ended_at=ended_at,
    )


def numbers(environment: Environment, evidence: Evidence, verdicts: list[Verdict]) -> Run:
    """Return what a page shows of the run."""
    nodes = [environment.runner, *getattr(environment.runner, "clients", {}).values()]
    short_of_cpu = any(getattr(node, "cpu_warning_emitted", False) for node in nodes)
    return run_of(
        evidence,
        verdicts,
        server=environment.host or "",
        users=users(environment.parsed_options),
        seconds=run_seconds(environment.parsed_options),
        notes=[SHORT_OF_CPU] if short_of_cpu else [],
    )


def announce(**_: object) -> None:
    """Print the verdict below locust's own tables, where it is read."""
    print("\n".join(verdict))


events.init.add_listener(agree_on_messages)
events.test_start.add_listener(start)
events.test_stopping.add_listener(gather_stories)
events.quitting.add_listener(decide)
events.quit.add_listener(announce)
