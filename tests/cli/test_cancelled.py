"""`soldout buy` with the key of an order that was cancelled: the buyer has no tickets."""

from __future__ import annotations

import pytest

from service.uuid7 import mint_key
from tests.cli.conftest import Type


@pytest.fixture
def event(cli: Type) -> str:
    """An event of the test's own with 10 tickets."""
    name = "e" + mint_key()
    assert cli("event", "put", name, "--capacity", "10").status == 0
    return name


def test_buying_with_the_key_of_a_cancelled_order_is_status_1_and_says_so(
    cli: Type, event: str
) -> None:
    key = mint_key()
    bought = cli("buy", event, "--key", key, "--json").json
    assert cli("order", "cancel", bought["id"]).status == 0

    typed = cli("buy", event, "--key", key)
    assert typed.status == 1
    assert typed.out.startswith(f"cancelled: order {bought['id']}")
    assert typed.err == "Error: this purchase was made and cancelled; a new key buys anew\n"
    assert cli("remaining", event, "--json").json["sold"] == 0

    assert cli("buy", event, "--key", mint_key()).status == 0


def test_a_machine_reads_that_the_order_is_cancelled(cli: Type, event: str) -> None:
    key = mint_key()
    bought = cli("buy", event, "--key", key, "--json").json
    cli("order", "cancel", bought["id"])
    typed = cli("buy", event, "--key", key, "--json")
    assert typed.status == 1
    assert typed.json == {**bought, "status": "cancelled"}
