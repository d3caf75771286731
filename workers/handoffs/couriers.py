"""The web's end of a hand-off to several shards: a courier for each, and which one carries what."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from workers.domain import CancelOrder, Command, Probe
from workers.errors import Overloaded
from workers.handoffs.courier import Courier, Receipt
from workers.ledgers import LedgerReader
from workers.shards.keys import shard_of_event

if TYPE_CHECKING:
    from workers.shards.server import Server


class Carrier(Protocol):
    """A courier, or several that look like one."""

    @property
    def in_flight(self) -> int:
        """Commands that wait or are under way."""

    @property
    def faults(self) -> list[str]:
        """Why no answers come now, as far as is known."""

    def hand_over(self, command: Command) -> Receipt:
        """Queue a command; its receipt tells when it is settled. Raises Overloaded, Unavailable."""

    def everywhere(self, command: Command) -> list[Receipt]:
        """Queue a command for the workers of every shard."""


class Couriers:
    """A courier for each shard, started when the first command goes there."""

    def __init__(
        self,
        server: Server,
        reader: LedgerReader,
        start: Callable[[int], Courier],
        max_in_flight: int,
    ) -> None:
        self._server = server
        self._reader = reader
        self._start = start
        self._max_in_flight = max_in_flight
        self._couriers: dict[int, Courier] = {}

    @property
    def in_flight(self) -> int:
        """Commands that wait here or are under way."""
        return sum(courier.in_flight for courier in self._couriers.values())

    @property
    def settled(self) -> int:
        """Grows with every answer: what was read before it is out of date."""
        return sum(courier.settled for courier in self._couriers.values())

    @property
    def faults(self) -> list[str]:
        """Why no answers come now, as far as is known."""
        return sorted({fault for courier in self._couriers.values() for fault in courier.faults})

    def hand_over(self, command: Command) -> Receipt:
        """Queue a command for its shard. Raises Overloaded, Unavailable."""
        if self.in_flight >= self._max_in_flight:
            raise Overloaded(
                f"{self._max_in_flight} purchases are under way in this process already"
            )
        return self._courier(self._shard_of(command)).hand_over(command)

    def everywhere(self, command: Command) -> list[Receipt]:
        """Queue a command for the workers of every shard. Raises Overloaded, Unavailable."""
        shards = range(1, self._server.shards + 1)
        return [self._courier(shard).hand_over(command) for shard in shards]

    def _courier(self, shard: int) -> Courier:
        if shard not in self._couriers:
            self._couriers[shard] = self._start(shard)
        return self._couriers[shard]

    def _shard_of(self, command: Command) -> int:
        match command:
            case Probe():
                return 1
            case CancelOrder():  # its id does not say which event it is of
                order = self._reader.order(command.id)
                return shard_of_event(order.event, self._server.shards) if order else 1
            case _:
                return shard_of_event(command.event, self._server.shards)
