"""What drills have in common: pages, the crowd that buys meanwhile, and what must hold after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.docs.drills import Operator
from tests.faults.crowd import (
    Crowd,
    Wish,
    all_orders,
    check_orders_are_there,
    crowding,
    until,
)

BACK_UP, UPGRADE, WHEN = "back-up-and-restore.md", "upgrade.md", "what-to-do-when.md"
PAGES = ("deploy.md", BACK_UP, UPGRADE, WHEN)
PLENTY = 100_000


def selling(operator: Operator, capacity: int = PLENTY, think_seconds: float = 0.02) -> Any:
    """Have a small crowd buy for the length of a `with` block."""
    operator.type(f"soldout event put gala --max-per-order none --capacity {capacity}")
    return crowding(operator.service, "gala", warm=20, lines=4, think_seconds=think_seconds)


def sells_on(crowd: Crowd) -> None:
    sold = crowd.sold()
    until(lambda: crowd.sold() > sold + 5, "it sells on")


def check_nothing_was_lost(operator: Operator, wishes: list[Wish]) -> dict[str, Any]:
    """Check that every order that a buyer was given is there, and that the audit agrees."""
    orders = all_orders(operator.service, "gala")
    check_orders_are_there(wishes, orders)
    assert operator.service.audit("gala")["orders"] <= len(orders)
    return orders


def ledger(operator: Operator) -> Path:
    return operator.service.data_dir / "ledger.db"
