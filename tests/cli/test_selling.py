"""The command line and a real service: what each command prints, and its exit status."""

from __future__ import annotations

import csv
import io
import subprocess
import sys

import pytest

from service.uuid7 import mint_key
from tests.cli.conftest import Type, typing
from tests.harness import Soldout, free_port


@pytest.fixture
def event(cli: Type) -> str:
    """An event of the test's own."""
    name = "e" + mint_key()
    types = ("--ticket-type", "standing:10:2500", "--ticket-type", "vip:2:9900:EUR")
    assert cli("event", "put", name, *types).status == 0
    return name


def test_buying_prints_the_order_and_its_ticket_numbers(cli: Type, event: str) -> None:
    typed = cli("buy", event, "--item", "standing:2", "--item", "vip:1")
    assert typed.status == 0
    first, *tickets = typed.out.splitlines()
    assert first.startswith("sold: order ")
    assert first.endswith(f", 3 tickets of {event}, 149.00 EUR")
    assert [line.split()[:2] for line in tickets] == [
        ["1", "standing"],
        ["2", "standing"],
        ["3", "vip"],
    ]


def test_the_same_key_buys_once(cli: Type, event: str) -> None:
    words = ("buy", event, "--ticket-type", "vip", "--key", mint_key(), "--json")
    order = cli(*words).json
    assert cli(*words).json == order
    assert cli("remaining", event, "--json").json["sold"] == 1


def test_an_order_is_shown_as_it_was_bought(cli: Type, event: str) -> None:
    bought = cli("buy", event, "-q", "2", "--ticket-type", "vip", "--buyer", "ann", "--json").json
    assert bought["buyer"] == "ann"
    assert cli("order", "show", bought["id"], "--json").json == bought
    assert cli("order", "show", bought["id"]).out.startswith(f"sold: order {bought['id']}, 2 tick")


def test_a_cancelled_orders_tickets_are_back(cli: Type, event: str) -> None:
    bought = cli("buy", event, "-q", "2", "--ticket-type", "vip", "--json").json
    assert cli("order", "cancel", bought["id"]).out.startswith("cancelled: order ")
    assert cli("order", "show", bought["id"], "--json").json["status"] == "cancelled"
    assert cli("remaining", event, "--json").json["sold"] == 0


def test_orders_are_listed_in_the_order_of_sale(cli: Type, event: str) -> None:
    assert cli("order", "list", event).out == f"no orders of {event} yet\n"
    assert cli("order", "list", event, "--json").json == {"orders": []}
    ann = cli("buy", event, "-q", "2", "--ticket-type", "vip", "--buyer", "ann", "--json").json
    bob = cli("buy", event, "--ticket-type", "standing", "--json").json
    cli("order", "cancel", bob["id"])
    head, *rows = [line.split() for line in cli("order", "list", event).out.splitlines()]
    assert head == ["ORDER", "STATUS", "SOLD", "AT", "TICKETS", "TOTAL", "BUYER"]
    assert [row[:2] + row[3:] for row in rows] == [
        [ann["id"], "sold", "2", "198.00", "EUR", "ann"],
        [bob["id"], "cancelled", "1", "25.00", "EUR"],
    ]
    listed = cli("order", "list", event, "--json").json["orders"]
    assert listed == [ann, bob | {"status": "cancelled"}]


def test_the_orders_of_one_buyer_are_found_and_taken_back_together(cli: Type, event: str) -> None:
    words = ("buy", event, "--ticket-type", "standing", "--json", "--buyer")
    ann = [cli(*words, "ann").json for _ in range(2)]
    bob = cli(*words, "bob").json
    ids = cli("order", "list", event, "--buyer", "ann", "--ids").out.split()
    assert ids == [order["id"] for order in ann]
    typed = cli("order", "cancel", *ids)
    assert [line.partition(",")[0] for line in typed.out.splitlines()] == [
        f"cancelled: order {order_id}" for order_id in ids
    ]
    once_more = cli("order", "cancel", ids[0], mint_key(), ids[1])
    assert once_more.status == 1
    assert once_more.out.startswith(f"cancelled: order {ids[0]}, ")
    assert once_more.out.count("\n") == 1
    assert cli("remaining", event, "--json").json["sold"] == 1
    assert cli("order", "show", bob["id"], "--json").json["status"] == "sold"
    assert (
        cli("order", "list", event, "--buyer", "eve").out == f"no orders of {event} for eve yet\n"
    )
    assert cli("order", "list", event, "--buyer", "eve", "--ids").out == ""
    assert cli("order", "list", event, "--ids", "--json").status == 2


def test_orders_come_as_csv_a_line_a_ticket(cli: Type, event: str) -> None:
    order = cli("buy", event, "--item", "standing:2", "--item", "vip:1", "--json").json
    typed = cli("order", "list", event, "--csv")
    assert typed.status == 0
    head, *lines = csv.reader(io.StringIO(typed.out, newline=""))
    assert head[0] == "id"
    assert [line[5:] for line in lines] == [
        [str(ticket["number"]), ticket["code"]] for ticket in order["tickets"]
    ]
    assert cli("order", "list", event, "--csv", "--json").status == 2
    assert cli("order", "list", "nowhere", "--csv").status == 1


def test_the_csv_of_one_buyer_has_that_buyers_lines_as_they_stand_in_all(
    cli: Type, event: str
) -> None:
    buyers = ["ann", "=ann", 'Ann "A", Å', "bob"]
    for who in buyers:
        assert cli("buy", event, "--item", "standing:2", "--buyer", who).status == 0
    assert cli("buy", event, "--item", "vip:1").status == 0
    head, *lines = cli("order", "list", event, "--csv").out.splitlines(keepends=True)
    assert len(lines) == 9
    for place, who in enumerate(buyers):
        typed = cli("order", "list", event, "--csv", "--buyer", who)
        assert typed.out == "".join([head, *lines[2 * place : 2 * place + 2]])
    assert cli("order", "list", event, "--csv", "--buyer", "nobody").out == head


def test_an_order_is_found_by_its_key(cli: Type, event: str) -> None:
    key = mint_key()
    order = cli("buy", event, "--ticket-type", "vip", "--key", key, "--json").json
    assert cli("order", "find", key, "--json").json == order
    assert cli("order", "find", key).out.startswith(f"sold: order {order['id']}")
    assert cli("order", "find", mint_key()).status == 1


def test_remaining_is_a_table_with_each_ticket_type(cli: Type, event: str) -> None:
    cli("buy", event, "--ticket-type", "vip")
    typed = cli("remaining", event)
    assert [line.split() for line in typed.out.splitlines()] == [
        ["EVENT", "STATUS", "REMAINING", "HELD", "SOLD", "CAPACITY"],
        [event, "on_sale", "11", "0", "1", "12"],
        ["standing", "10", "0", "0", "10"],
        ["vip", "1", "0", "1", "2"],
    ]
    assert event in cli("remaining").out
    assert event in {stock["event"] for stock in cli("remaining", "--json").json["events"]}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("buy {event} --ticket-type vip -q 3", "Not enough tickets left: 2 of vip remain"),
        ("buy {event}", "more than one ticket type"),
        ("buy nowhere", "`soldout event list` names them all"),
        ("buy {event} --ticket-type seated", "no ticket type seated"),
        ("buy {event} --ticket-type seated", "`soldout event show EVENT` names them all"),
        ("remaining nowhere", "`soldout event list` names them all"),
        ("event pause nowhere", "no event nowhere"),
        ("order show 00000000-0000-7000-8000-000000000000", "No order"),
        ("audit nowhere", "no event nowhere"),
        ("event put UPPER --capacity 5", "a-z"),
    ],
)
def test_a_refusal_is_status_1_and_one_line(
    cli: Type, event: str, words: str, complaint: str
) -> None:
    typed = cli(*words.format(event=event).split())
    assert typed.status == 1
    assert typed.out == ""
    assert typed.err.startswith("Error: ")
    assert typed.err.count("\n") == 1
    assert complaint in typed.err


def test_a_machine_reads_a_refusal_too(cli: Type, event: str) -> None:
    typed = cli("buy", event, "--ticket-type", "vip", "-q", "3", "--json")
    assert typed.status == 1
    assert typed.json["error"] == "SoldOut"
    assert typed.json["problem"]["remaining"] == 2
    assert typed.json["key"]


def test_another_body_under_the_same_key_says_to_take_a_new_key(cli: Type, event: str) -> None:
    key = mint_key()
    assert cli("buy", event, "--ticket-type", "vip", "--key", key).status == 0
    typed = cli("buy", event, "--ticket-type", "standing", "--key", key)
    assert typed.status == 1
    assert "use a new --key" in typed.err


def test_an_audit_says_that_all_agrees(cli: Type, event: str) -> None:
    cli("buy", event, "--ticket-type", "vip")
    typed = cli("audit", event)
    assert typed.status == 0
    assert typed.out.startswith(f"{event}: consistent; ")
    assert "1 orders, 1 sold, 0 held, 11 remaining" in typed.out
    assert cli("audit", event, "--json").json["consistent"] is True


def test_a_wrong_admin_key_is_refused_with_its_cure(soldout: Soldout) -> None:
    wrong = typing({"SOLDOUT_ADMIN_KEY": "not-the-key-of-this-service"})
    typed = wrong("event", "put", "gala", "--capacity", "5", "--url", soldout.url)
    assert typed.status == 1
    assert "set SOLDOUT_ADMIN_KEY" in typed.err


@pytest.mark.parametrize(
    ("words", "status"),
    [("remaining", 0), ("buy nowhere", 1), ("buy --quantity 1", 2)],
)
def test_a_shell_sees_the_exit_status(soldout: Soldout, words: str, status: int) -> None:
    command = [sys.executable, "-m", "service", *words.split()]
    assert subprocess.run(command, env=soldout.env, check=False).returncode == status


def test_a_name_in_the_environment_goes_before_where_the_service_listens(
    soldout: Soldout,
) -> None:
    environ = {"SOLDOUT_URL": soldout.url, "SOLDOUT_BIND": f"127.0.0.1:{free_port()}"}
    assert typing(environ)("remaining").status == 0
