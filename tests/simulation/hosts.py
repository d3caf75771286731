"""What runs on a simulated host: the real supervisor with its pool, and web processes.

gunicorn, which starts a web process again that died, is a few lines here.
"""

from __future__ import annotations

from collections.abc import Callable
from signal import SIGTERM
from typing import Any

from service.desk import Desk
from service.stores import open_store
from tests.simulation.scheduler import Host, Process, sim
from tests.simulation.shop import Shop, Web
from workers.errors import LedgerFault
from workers.metrics import Metrics, Slot
from workers.pool import Pool, Site
from workers.supervisor import Supervisor


def start_pool(host: Host, make_site: Callable[[], Site]) -> Process:
    """Start a host's supervisor; `host.pool` is its pool once there is one."""
    host.up = True
    host.pool = None
    generation = host.generation

    def supervise() -> None:
        site = make_site()
        slot = Slot(Metrics(host.settings.metrics_path, create=True).supervisor)
        host.pool = Pool(host.settings, site, slot)
        Supervisor(host.settings, site, host.pool, None).run()
        sim().note("the pool has drained")
        sim().later(0.05, start_again)

    def start_again() -> None:
        if host.generation == generation:
            start_pool(host, make_site)

    host.supervisor = process = sim().process(f"{host.name}/supervisor", host, immortal=True)
    sim().spawn(process, supervise)
    return process


def drain(host: Host) -> None:
    """Send SIGTERM to a host's supervisor, as for an upgrade; it is started again when it left."""
    supervisor = host.supervisor
    if host.up and supervisor is not None and SIGTERM in supervisor.handlers:
        sim().note(f"{host.name} drains")
        supervisor.handlers.pop(SIGTERM)(SIGTERM, None)


def start_web(host: Host, shop: Shop) -> None:
    """Start a host's web processes."""
    host.up = True
    generation = host.generation
    for _ in range(host.settings.web_processes):
        _start_web_process(host, shop, generation)


def _start_web_process(host: Host, shop: Shop, generation: int) -> None:
    if not host.up or host.generation != generation:
        return
    host.web_processes += 1
    process = sim().process(f"{host.name}/web-{host.web_processes}", host)
    process.at_end.append(
        lambda: sim().later(0.1, lambda: _start_web_process(host, shop, generation))
    )
    sim().spawn(process, _serve, process, shop)


def _serve(process: Process, shop: Shop) -> None:
    settings: Any = process.host.settings
    while True:
        try:
            store = open_store(settings, Slot())
            break
        except LedgerFault as fault:
            sim().note(f"not yet: {fault}")
            sim().sleep(0.1)
    web = Web(process, Desk(settings, store.carrier), store)
    shop.webs.append(web)
    process.at_death.append(lambda: shop.webs.remove(web))


def pause(host: Host, seconds: float) -> None:
    """Have all processes of a host stand still, as when its virtual machine does."""
    for process in host.processes:
        if not process.dead:
            sim().stop(process, int(seconds * 1e6))


def kill_host(host: Host) -> None:
    """End all processes of a host at once."""
    host.up = False
    host.generation += 1
    for process in host.processes:
        sim().kill(process)
