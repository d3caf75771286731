"""`soldout event …`: an event is put, changed in what is named only, shown and switched."""

from __future__ import annotations

from typing import Any

import pytest

from service.uuid7 import mint_key
from tests.cli.conftest import Type
from tests.harness import Soldout

LIMITS = "--max-per-order 2 --max-per-buyer 4 --opens-at 2020-01-01T09:00:00.250Z"
TYPES = "--ticket-type standing:10:2500:USD --ticket-type vip:2:9900:USD"


@pytest.fixture
def event(cli: Type) -> str:
    """An event with two ticket types and limits, of the test's own."""
    name = "e" + mint_key()
    assert cli(*f"event put {name} --name Gala {TYPES} {LIMITS}".split()).status == 0
    return name


def shown(soldout: Soldout, event: str) -> dict[str, Any]:
    """Return an event as the service tells of it."""
    found: dict[str, Any] = soldout.admin("GET", f"/events/{event}").json()
    return found


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ("--max-per-buyer 6", {"max_per_buyer": 6}),
        ("--max-per-buyer none", {"max_per_buyer": None}),
        ("--max-per-order none", {"max_per_order": None}),
        ("--opens-at none", {"opens_at": None}),
        ("--name none", {"name": "none"}),
        (
            "--closes-at 2999-01-01T10:00:00+01:00 --name Ball",
            {"closes_at": "2999-01-01T09:00:00.000Z", "name": "Ball"},
        ),
    ],
)
def test_only_what_is_named_changes(
    cli: Type, soldout: Soldout, event: str, words: str, changed: dict[str, Any]
) -> None:
    before = shown(soldout, event)
    assert before["opens_at"] == "2020-01-01T09:00:00.250Z"
    assert cli("event", "put", event, *words.split()).status == 0
    after = shown(soldout, event)
    assert after == before | changed | {"terms": after["terms"]}
    assert after["terms"] != before["terms"]


@pytest.mark.parametrize(
    ("words", "types"),
    [
        ("standing:50", {"standing": (50, 2500), "vip": (2, 9900)}),
        ("vip:3:12000", {"standing": (10, 2500), "vip": (3, 12000)}),
        ("seated:7:100", {"standing": (10, 2500), "vip": (2, 9900), "seated": (7, 100)}),
        ("vip:none", {"standing": (10, 2500)}),
    ],
)
def test_a_ticket_type_is_changed_added_or_taken_away_and_the_others_stay(
    cli: Type, soldout: Soldout, event: str, words: str, types: dict[str, tuple[int, int]]
) -> None:
    before = shown(soldout, event)
    assert cli("event", "put", event, "--ticket-type", words).status == 0
    after = shown(soldout, event)
    assert after | {name: before[name] for name in ("ticket_types", "terms")} == before
    assert {t["id"]: (t["capacity"], t["price"]["amount"]) for t in after["ticket_types"]} == types
    assert {t["price"]["currency"] for t in after["ticket_types"]} == {"USD"}


def test_capacity_is_that_of_the_only_ticket_type_whatever_its_name(
    cli: Type, soldout: Soldout
) -> None:
    name = "e" + mint_key()
    assert cli("event", "put", name, "--ticket-type", "seat:5:2500").status == 0
    assert cli("event", "put", name, "--capacity", "7").status == 0
    (seat,) = shown(soldout, name)["ticket_types"]
    assert seat == {"id": "seat", "capacity": 7, "price": {"amount": 2500, "currency": "EUR"}}


def test_a_price_is_given_to_what_was_free(cli: Type, soldout: Soldout) -> None:
    name = "e" + mint_key()
    assert cli(*f"event put {name} --ticket-type a:5 --ticket-type b:5".split()).status == 0
    assert cli("event", "put", name, "--ticket-type", "a:5:2500").status == 0
    prices = [t["price"]["amount"] for t in shown(soldout, name)["ticket_types"]]
    assert prices == [2500, 0]


def test_a_paused_event_that_is_changed_stays_paused(cli: Type, event: str) -> None:
    cli("event", "pause", event)
    assert ": paused;" in cli("event", "put", event, "--name", "Ball").out


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        ("{event} --capacity 5", 2, "say which, as in --ticket-type standing:5"),
        ("{event} --ticket-type seated:none", 2, "no ticket type seated to take away"),
        (
            "{event} --ticket-type standing:none --ticket-type vip:none",
            2,
            "must keep a ticket type",
        ),
        ("nowhere --max-per-buyer 4", 2, "there is no event nowhere yet: say what it sells"),
        ("{event} --ticket-type vip:0", 1, "put that at least, or give tickets back"),
        ("{event} --ticket-type vip:none", 1, "put that at least, or give tickets back"),
        ("{event} --closes-at 2019-01-01T09:00:00Z", 1, "not after opens_at"),
    ],
)
def test_what_cannot_be_put_changes_nothing(
    cli: Type, soldout: Soldout, event: str, words: str, status: int, complaint: str
) -> None:
    assert cli("buy", event, "--ticket-type", "vip", "--buyer", "ann").status == 0
    before = shown(soldout, event)
    typed = cli("event", "put", *words.format(event=event).split())
    assert (typed.status, typed.out) == (status, "")
    assert complaint in typed.err
    assert shown(soldout, event) == before


def test_an_event_is_shown_with_its_limits_and_prices(cli: Type, event: str) -> None:
    assert [line.split() for line in cli("event", "show", event).out.splitlines()] == [
        [event, "(Gala):", "on_sale"],
        ["opens", "2020-01-01T09:00:00Z"],
        ["closes", "no", "limit"],
        ["per", "order", "2"],
        ["per", "buyer", "4"],
        ["TICKET", "TYPE", "CAPACITY", "PRICE"],
        ["standing", "10", "25.00", "USD"],
        ["vip", "2", "99.00", "USD"],
    ]
    assert cli("event", "show", "nowhere").status == 1


def test_machines_read_what_the_service_itself_says(
    cli: Type, soldout: Soldout, event: str
) -> None:
    """Same members, same times, wherever command and address speak of the same thing."""
    order = cli(*f"buy {event} --ticket-type vip --buyer ann --json".split()).json
    said = {
        ("event", "show", event): f"/events/{event}",
        ("event", "list"): "/events",
        ("order", "show", order["id"]): f"/orders/{order['id']}",
        ("order", "list", event): f"/events/{event}/orders",
        ("audit", event): f"/events/{event}/audit",
    }
    for words, path in said.items():
        assert cli(*words, "--json").json == soldout.admin("GET", path).json(), words
    assert order == soldout.admin("GET", f"/orders/{order['id']}").json()
    for words, path in {
        ("remaining", event): f"/remaining/{event}",
        ("remaining",): "/remaining",
    }.items():
        typed, answer = cli(*words, "--json").json, soldout.admin("GET", path).json()
        assert (
            len(typed.pop("as_of")) == len(answer.pop("as_of")) == len("2026-11-23T09:00:00.000Z")
        )
        assert typed == answer, words
    put = cli("event", "put", event, "--name", "Ball", "--json").json
    assert put == shown(soldout, event)


def test_an_event_is_switched_and_says_so(cli: Type, event: str) -> None:
    for verb, status in (("pause", "paused"), ("resume", "on_sale"), ("close", "closed")):
        typed = cli("event", verb, event)
        assert typed.status == 0
        assert typed.out.startswith(f"{event} (Gala): {status}; standing 10 at 25.00 USD, vip 2 at")
    refused = cli("buy", event, "--ticket-type", "vip", "--buyer", "ann")
    assert (refused.status, refused.err) == (
        1,
        "Error: Not on sale: The event is closed; `soldout event resume` sells it again\n",
    )


def test_an_event_that_opens_later_says_when(cli: Type) -> None:
    name = "later" + mint_key()
    limits = "--max-per-order 2 --max-per-buyer 4"
    times = "--opens-at 2999-01-01T10:00:00+01:00 --closes-at 2999-01-02T09:00:00Z"
    typed = cli(*f"event put {name} --capacity 5 --name Ball {times} {limits}".split())
    assert typed.out == (
        f"{name} (Ball): scheduled; general 5 free; opens 2999-01-01T09:00:00Z;"
        " closes 2999-01-02T09:00:00Z; per order 2; per buyer 4\n"
    )
    assert typed.out in cli("event", "list").out
    (listed,) = (e for e in cli("event", "list", "--json").json["events"] if e["id"] == name)
    assert listed["max_per_buyer"] == 4
    assert "it opens at 2999-01-01T09:00:00Z" in cli("buy", name, "--buyer", "ann").err


def test_yen_have_no_hundredths_and_dinars_have_thousandths(cli: Type) -> None:
    name = "e" + mint_key()
    assert "at 2500 JPY" in cli("event", "put", name, "--ticket-type", "a:1:2500:JPY").out
    assert "at 2.500 KWD" in cli("event", "put", name, "--ticket-type", "a:1:2500:KWD").out


@pytest.mark.parametrize("price", ["", ":0", ":0:EUR"])
def test_what_costs_nothing_is_free_wherever_it_is_printed(cli: Type, price: str) -> None:
    """Also beside what does not, and after that is taken away: a currency makes no price."""
    name = "e" + mint_key()
    types = ("--ticket-type", f"floor:9{price}", "--ticket-type", "vip:5:100")
    said = [cli("event", "put", name, *types).out, cli("event", "show", name).out]
    said.append(cli("buy", name, "--ticket-type", "floor").out)
    said.append(cli("event", "put", name, "--ticket-type", "vip:none").out)
    listed = cli("event", "list").out.splitlines()
    said += [next(line for line in listed if name in line), cli("event", "show", name).out]
    said += [cli("buy", name).out, cli("order", "list", name).out]
    for printed in said:
        assert " free" in printed
        assert "0.00" not in printed
