"""A client generated from the document (openapi-python-client) buys, and reads what it bought."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.harness import Soldout

PROGRAM = '''
"""Puts an event on sale, buys from it, and meets a refusal, all by the types of the document."""

import sys
from datetime import datetime
from typing import assert_type
from uuid import UUID

from generated import AuthenticatedClient, Client
from generated.api.administration import audit_event, list_orders, put_event
from generated.api.buying import buy, get_order
from generated.api.looking import get_remaining_of_event
from generated.models import (
    Audit,
    BuyOneType,
    BuySeveralTypes,
    Event,
    EventStock,
    ItemBody,
    MoneyBody,
    Order,
    Orders,
    Pending,
    PutTicketTypes,
    SoldOutProblem,
    TicketTypeBody,
)

url, key = sys.argv[1:]
public, admin = Client(base_url=url), AuthenticatedClient(base_url=url, token=key)

price = MoneyBody(amount=2500, currency="EUR")
types = [TicketTypeBody("standing", 3, price), TicketTypeBody("vip", 2)]
event = put_event.sync("generated", client=admin, body=PutTicketTypes(types, name="The gala"))
assert isinstance(event, Event)
assert [kind.price.amount for kind in event.ticket_types] == [2500, 0]

wish = BuySeveralTypes("generated", [ItemBody("standing", 2), ItemBody("vip", 1)], buyer="ann")
bought = buy.sync_detailed(client=public, body=wish, idempotency_key="a-key-of-sixteen-or-more")
assert bought.status_code == 201, bought.content
assert isinstance(bought.parsed, Order)
order = get_order.sync(bought.parsed.id, client=public)
assert isinstance(order, Order)
assert_type(order.id, UUID)
assert_type(order.sold_at, datetime)
assert_type(order.total.amount, int)
assert order == bought.parsed
assert order.total.amount == 5000
assert [ticket.number for ticket in order.tickets] == [1, 2, 3]
assert order.sold_at.tzinfo is not None

again = buy.sync_detailed(client=public, body=wish, idempotency_key="a-key-of-sixteen-or-more")
assert (again.parsed, again.headers["Idempotent-Replayed"]) == (order, "true")

refused = buy.sync(client=public, body=BuyOneType("generated", 9, ticket_type="standing"))
assert isinstance(refused, SoldOutProblem), refused
assert_type(refused.remaining, int)
assert (refused.remaining, refused.ticket_type) == (1, "standing")

later = buy.sync(
    client=public, body=BuyOneType("generated", 1, ticket_type="vip"), prefer="respond-async"
)
assert isinstance(later, Pending | Order)

stock = get_remaining_of_event.sync("generated", client=public)
assert isinstance(stock, EventStock)
assert isinstance(stock.as_of, datetime)
orders = list_orders.sync("generated", client=admin, limit=1)
assert isinstance(orders, Orders)
assert orders.orders == [order]
audit = audit_event.sync("generated", client=admin)
assert isinstance(audit, Audit) and audit.consistent
sys.stdout.write(f"bought {order.id}")
'''


@pytest.fixture(scope="module")
def folder(soldout: Soldout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the generated package and a program that uses it."""
    folder = tmp_path_factory.mktemp("generated")
    document = requests.get(f"{soldout.url}/openapi.json", timeout=10)
    (folder / "openapi.json").write_bytes(document.content)
    (folder / "config.yaml").write_text("post_hooks: []\n")  # nobody looks at its formatting
    (folder / "program.py").write_text(PROGRAM)
    generator = Path(sys.executable).with_name("openapi-python-client")
    said = run(
        *(folder, str(generator), "generate", "--path", "openapi.json", "--config", "config.yaml"),
        *("--meta", "none", "--output-path", "generated", "--fail-on-warning"),
    )
    assert "Generating" in said
    return folder


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_it_buys_and_reads_the_order_from_a_running_service(soldout: Soldout, folder: Path) -> None:
    assert "bought" in run(folder, sys.executable, "program.py", soldout.url, soldout.admin_key)
    assert soldout.audit("generated")["orders"] >= 1


def test_a_type_checker_knows_what_it_reads(folder: Path) -> None:
    (folder / "mypy.ini").write_text("[mypy]\n[mypy-generated.*]\nignore_errors = True\n")
    run(folder, sys.executable, "-m", "mypy", "--strict", "--cache-dir", ".mypy", "program.py")
