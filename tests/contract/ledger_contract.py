"""What every ledger owes its workers and readers. A second one joins with a `place` and a subclass.

class TestMyLedger(LedgerContract):
    @pytest.fixture
    def place(self) -> Place: ...  # a new, empty ledger for each test
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pytest
from msgspec.structs import replace

from tests.unit.builders import (
    IN_TIME,
    NOW,
    PAST,
    buy,
    buy_items,
    cancel,
    gala,
    gala_with_boxes,
    order_id,
    put,
    switch,
)
from workers.audit import audit
from workers.domain import (
    MAX_AMOUNT,
    MAX_CAPACITY,
    BuyerLimit,
    Cancelled,
    Command,
    Entry,
    Event,
    EventStored,
    EventSwitched,
    Fact,
    Item,
    KeyReused,
    NotOnSale,
    Order,
    OrderCancelled,
    OrderItem,
    Outcome,
    Probe,
    Probed,
    PutEvent,
    Sold,
    SoldOut,
    Stored,
    TicketsSold,
    TicketType,
    UnknownEvent,
    UnknownOrder,
)
from workers.errors import Fenced
from workers.ledgers import Ledger, LedgerReader
from workers.rules import Settlement, settle


class Place(Protocol):
    """Where one ledger is kept: opens it for another worker, or for another reader."""

    def ledger(self) -> Ledger:
        """Return another worker's hold on the ledger; the first one makes it."""

    def reader(self) -> LedgerReader:
        """Return another reader's view of it."""


class Books:
    """One ledger with some workers, who never hold the lock at the same time, and a reader."""

    def __init__(self, place: Place, workers: int = 2) -> None:
        self._place = place
        self.workers = [place.ledger() for _ in range(workers)]
        self.reader = place.reader()
        self.token = 0

    def decide(self, *commands: Command, worker: int = 0) -> Settlement:
        """Load and decide a batch, and leave it there."""
        return settle(self.workers[worker].load(list(commands)), list(commands), NOW)

    def write(self, *commands: Command, worker: int = 0) -> list[Outcome]:
        """Settle a batch as a worker does."""
        settlement = self.decide(*commands, worker=worker)
        self.token += 1
        self.workers[worker].commit(settlement, self.token)
        return settlement.outcomes

    def crash(self, worker: int) -> None:
        """End a worker wherever it is, and start another in its place."""
        self.workers[worker].close()
        self.workers[worker] = self._place.ledger()

    def open_again(self) -> None:
        """End every process, and start anew."""
        self.close()
        self.workers = [self._place.ledger() for _ in self.workers]
        self.reader = self._place.reader()

    def close(self) -> None:
        self.reader.close()
        for worker in self.workers:
            worker.close()

    # --- looking ---

    def event(self, event_id: str = "gala") -> Event:
        event = self.reader.event(event_id)
        assert event is not None
        return event

    def order(self, key: int) -> Order:
        order = self.reader.order(order_id(key))
        assert order is not None
        return order

    def sold(self) -> int:
        return self.event().ticket_types[0].sold

    def everything(self) -> tuple[object, ...]:
        """Return all that can be seen of the ledger."""
        events = self.reader.events()
        read = (self.reader.orders, self.reader.entries, self.reader.tickets)
        return events, [page(event.id, 0, 10_000) for event in events for page in read]


def kinds(outcomes: list[Outcome]) -> list[type]:
    return [type(outcome) for outcome in outcomes]


class LedgerContract:
    """The promises, each as a test."""

    @pytest.fixture
    def books(self, place: Place) -> Iterator[Books]:
        """A ledger that sells ten tickets of one kind, and is sound at the end of each test."""
        books = Books(place)
        books.write(put(gala(10)))
        yield books
        for event in books.reader.events():
            found = audit(books.reader, event.id, lambda: None)
            assert found is not None
            assert found.consistent, found.findings
        books.close()

    # --- what is committed is there, and nothing else ---

    def test_a_sale_is_seen_by_every_reader_and_worker_once_it_is_committed(
        self, books: Books
    ) -> None:
        [sold] = books.write(buy(1, 2, buyer="ann"), worker=0)
        assert isinstance(sold, Sold)
        assert books.order(1) == sold.order
        assert books.sold() == 2
        assert books.write(buy(1, 2, buyer="ann"), worker=1) == [Sold(sold.order, replayed=True)]

    def test_what_was_decided_and_not_committed_is_seen_by_nobody(self, books: Books) -> None:
        before = books.everything()
        books.decide(buy(1), put(gala(20)), switch("closed"))
        assert books.everything() == before
        books.crash(worker=0)
        assert books.everything() == before
        assert kinds(books.write(buy(1), worker=1)) == [Sold]

    def test_a_new_batch_voids_one_that_was_not_committed(self, books: Books) -> None:
        books.decide(buy(1))
        assert kinds(books.write(buy(2))) == [Sold]
        assert books.reader.order(order_id(1)) is None
        assert books.sold() == 1

    def test_a_batch_of_refusals_changes_nothing(self, books: Books) -> None:
        before = books.everything()
        outcomes = books.write(buy(1, 11), buy(2, event="opera"), cancel(3), buy(4, 1_000))
        assert kinds(outcomes) == [SoldOut, UnknownEvent, UnknownOrder, SoldOut]
        assert books.everything() == before

    def test_all_is_there_after_everybody_was_ended_and_started_again(self, books: Books) -> None:
        books.write(buy(1, 2), buy(2), cancel(1), switch("paused"))
        before = books.everything()
        token = books.workers[0].last_token()
        books.open_again()
        assert books.everything() == before
        assert books.workers[0].last_token() == token

    def test_a_ledger_stays_itself(self, books: Books) -> None:
        identity = books.reader.ledger_id, books.reader.secret
        books.open_again()
        assert (books.reader.ledger_id, books.reader.secret) == identity
        assert len(books.reader.secret) >= 16

    # --- what a batch needs is loaded ---

    def test_a_purchase_that_is_repeated_finds_its_order(self, books: Books) -> None:
        books.write(buy(1, 2))
        same, other = books.write(buy(1, 2, deadline_ms=PAST), buy(1, 3))
        assert same == Sold(books.order(1), replayed=True)
        assert other == KeyReused()
        assert books.sold() == 2

    def test_a_cancel_finds_its_order_and_the_event_it_is_of(self, books: Books) -> None:
        books.write(buy(1, 2))
        assert kinds(books.write(cancel(1), worker=1)) == [Cancelled]
        assert books.order(1).cancelled_entry == 3
        assert books.sold() == 0
        assert books.write(cancel(1)) == [Cancelled(books.order(1), replayed=True)]

    def test_a_cancel_finds_an_order_of_its_own_batch(self, books: Books) -> None:
        outcomes = books.write(buy(1, 2), cancel(1), buy(1, 2))
        assert kinds(outcomes) == [Sold, Cancelled, Sold]
        assert books.order(1).cancelled_entry == 3
        assert books.sold() == 0

    def test_an_event_is_made_sold_and_closed_in_one_batch(self, books: Books) -> None:
        opera = PutEvent(IN_TIME, "opera", "Opera", [TicketType("stalls", 1, 900, "EUR")])
        outcomes = books.write(
            opera,
            buy(1, event="opera"),
            buy(2, event="opera"),
            cancel(1),
            switch("closed", event="opera"),
            buy(2, event="opera"),
        )
        assert kinds(outcomes) == [Stored, Sold, SoldOut, Cancelled, Stored, NotOnSale]
        assert (books.event("opera").entries, books.event("opera").switch) == (4, "closed")

    def test_a_probe_is_a_write_that_changes_nothing(self, books: Books) -> None:
        before = books.everything()
        assert books.write(Probe(IN_TIME)) == [Probed()]
        assert books.workers[1].last_token() == books.token
        assert books.everything() == before

    # Rows are written and looked up in statements of several sizes.
    @pytest.mark.parametrize("count", [1, 2, 3, 63, 64, 65, 127, 200])
    def test_a_batch_of_any_size_is_sold_and_found_again(self, books: Books, count: int) -> None:
        books.write(put(gala(1_000)))
        wishes = [buy(key, 1 + key % 3) for key in range(count)]
        assert kinds(books.write(*wishes)) == [Sold] * count
        replayed = books.write(*reversed(wishes), worker=1)
        assert [o.replayed for o in replayed if isinstance(o, Sold)] == [True] * count
        assert len(books.reader.orders("gala", 0, 1_000)) == count

    # --- what is written is read back as it was ---

    @pytest.mark.parametrize("count", [2, 70])
    def test_a_batch_may_sell_of_many_events_with_several_types_each(
        self, books: Books, count: int
    ) -> None:
        names = [f"night-{number:02}" for number in range(count)]
        books.write(*(replace(put(gala_with_boxes()), event=name) for name in names))
        items = [Item("box", 1), Item("standing", 2)]
        wishes = [buy_items(number, items, event=name) for number, name in enumerate(names)]
        outcomes = books.write(*reversed(wishes), worker=1)  # which has seen none of them yet
        assert [type(outcome) for outcome in outcomes] == [Sold] * count
        for name in names:
            event = books.event(name)
            assert [(t.id, t.sold) for t in event.ticket_types] == [("standing", 2), ("box", 1)]
            assert (event.next_number, event.entries) == (4, 2)
            found = audit(books.reader, name, pause=lambda: None)
            assert found is not None
            assert found.consistent

    def test_every_kind_of_journal_entry_is_read_back_as_it_was_written(self, books: Books) -> None:
        books.write(
            put(gala_with_boxes(5, 5, opens_at_ms=1, max_per_buyer=9)),
            switch("paused"),
            switch("open"),
            buy_items(1, [Item("box", 2), Item("standing", 1)], buyer="ann"),
            cancel(1),
        )
        types = [("standing", 5, 1_000, "EUR"), ("box", 5, 7_500, "EUR")]
        items = [OrderItem("box", 2), OrderItem("standing", 1)]
        facts: list[Fact] = [
            EventStored("Gala", [("standing", 10, 0, "XXX")]),
            EventStored("Gala", types, opens_at_ms=1, max_per_buyer=9),
            EventSwitched("paused"),
            EventSwitched("open"),
            TicketsSold(order_id(1), items, 1),
            OrderCancelled(order_id(1), items, sale=5),
        ]
        assert books.reader.entries("gala", 0, 100) == [
            Entry("gala", number, NOW.wall_ms, fact) for number, fact in enumerate(facts, 1)
        ]

    def test_an_event_is_read_back_with_all_it_says_and_its_types_in_their_order(
        self, books: Books
    ) -> None:
        types = [TicketType(f"t{n}", n, n, "EUR") for n in (9, 1, 5, 100)]
        wanted = Event(
            "gala-2_x",
            "Zoë's 🎫 \"Gala\" — it's on",
            types,
            opens_at_ms=-1,
            closes_at_ms=253_402_300_799_999,
            max_per_order=1_000,
            max_per_buyer=MAX_CAPACITY,
            entries=1,
        )
        books.write(put(wanted))
        assert books.event("gala-2_x") == wanted
        books.write(put(wanted, ticket_types=types[::-1]))
        assert [t.id for t in books.event("gala-2_x").ticket_types] == ["t100", "t5", "t1", "t9"]

    def test_an_order_is_read_back_with_all_it_says(self, books: Books) -> None:
        items = [Item("box", 2), Item("standing", 1)]
        buyer = "b" * 200 + "Zoë 🎫 \"'; --"
        outcomes = books.write(put(gala_with_boxes(5, 5)), buy_items(1, items, buyer=buyer), buy(2))
        sold = outcomes[1]
        assert isinstance(sold, Sold)
        assert books.order(1) == sold.order
        assert books.order(1).buyer == buyer
        assert books.order(1).items == [OrderItem("box", 2), OrderItem("standing", 1)]

    def test_the_largest_numbers_are_kept(self, books: Books) -> None:
        dear = [TicketType(f"t{n}", MAX_CAPACITY, MAX_AMOUNT, "EUR") for n in range(100)]
        wish = [Item(f"t{n}", 20) for n in range(50)]
        books.write(put(gala(), ticket_types=dear), buy_items(1, wish))
        assert books.order(1).amount == 1_000 * MAX_AMOUNT
        assert books.order(1).quantity == 1_000
        assert books.event().ticket_types[0].remaining == MAX_CAPACITY - 20
        assert len(books.reader.tickets("gala", 0, 2_000)) == 1_000

    def test_stock_limits_and_switch_can_be_changed_again_and_again(self, books: Books) -> None:
        books.write(buy(1, 3))
        for capacity, limit in ((20, 5), (3, None), (50, 1)):
            books.write(put(gala(capacity), max_per_order=limit), switch("paused"))
            books.write(switch("open"), worker=1)
            stock = books.event().ticket_types[0]
            assert (stock.capacity, stock.sold, stock.remaining) == (capacity, 3, capacity - 3)
            assert (books.event().max_per_order, books.event().switch) == (limit, "open")

    # --- reading in pages ---

    def test_orders_entries_and_tickets_are_read_in_pages_in_the_order_of_sale(
        self, books: Books
    ) -> None:
        keys = [5, 3, 9, 1, 7]
        books.write(*(buy(key, 2) for key in keys))
        reader = books.reader
        first = reader.orders("gala", 0, 2)
        rest = reader.orders("gala", first[-1].entry, 100)
        assert [order.id for order in first + rest] == [order_id(key) for key in keys]
        assert (len(first), len(rest)) == (2, 3)
        assert [entry.number for entry in reader.entries("gala", 2, 3)] == [3, 4, 5]
        assert reader.tickets("gala", 3, 4) == [(4, 3), (5, 4), (6, 4), (7, 5)]
        for page in (reader.orders, reader.entries, reader.tickets):
            assert page("gala", 100, 100) == []
            assert page("opera", 0, 100) == []

    def test_single_entries_are_read_wherever_they_stand_in_the_journal(self, books: Books) -> None:
        books.write(put(gala(500)), *(buy(key) for key in range(300)))
        books.write(PutEvent(IN_TIME, "opera", "Opera", [TicketType("stalls", 1)]))
        reader = books.reader
        whole = reader.entries("gala", 0, 1_000)
        numbers = [302, 1, 77, 77, 150, 2, 0, 303, 10**15]
        assert reader.entries_at("gala", numbers) == [whole[n - 1] for n in (1, 2, 77, 150, 302)]
        every_third = list(range(3, 303, 3))
        assert [e.number for e in reader.entries_at("gala", every_third)] == every_third
        assert [e.event for e in reader.entries_at("opera", [1, 2])] == ["opera"]
        assert reader.entries_at("gala", []) == reader.entries_at("ballet", [1]) == []

    def test_single_tickets_are_found_by_their_numbers(self, books: Books) -> None:
        books.write(put(gala(500)), *(buy(key, 2) for key in range(100)))
        books.write(PutEvent(IN_TIME, "opera", "Opera", [TicketType("stalls", 1)]))
        reader = books.reader
        numbers = [200, 1, 77, 77, 2, 150, 0, 201, 10**15]
        found = [reader.tickets("gala", n - 1, 1)[0] for n in (1, 2, 77, 150, 200)]
        assert reader.tickets_at("gala", numbers) == found
        every_third = list(range(3, 201, 3))
        assert [n for n, _ in reader.tickets_at("gala", every_third)] == every_third
        assert reader.tickets_at("gala", []) == reader.tickets_at("opera", [1]) == []
        assert reader.tickets_at("ballet", [1]) == []

    def test_events_are_listed_in_the_order_they_were_made(self, books: Books) -> None:
        for event_id in ("opera", "ballet", "zirkus"):
            books.write(PutEvent(IN_TIME, event_id, event_id, [TicketType("general", 1)]))
        books.write(put(gala(99)))
        listed = [event.id for event in books.reader.events()]
        assert listed == ["gala", "opera", "ballet", "zirkus"]

    def test_all_events_are_read_as_they_stood_at_one_moment(self, books: Books) -> None:
        """Each batch sells one ticket of either event: no reader ever sees but one of them sold."""
        opera = PutEvent(IN_TIME, "opera", "Opera", [TicketType("stalls", 200)])
        books.write(put(gala(200)), opera)

        def sell() -> None:
            for key in range(100):
                books.write(buy(key), buy(1_000 + key, event="opera"))

        with ThreadPoolExecutor(1) as thread:
            selling = thread.submit(sell)
            while not selling.done():
                sold = [event.ticket_types[0].sold for event in books.reader.events()]
                assert sold[0] == sold[1]
            selling.result()
        assert books.sold() == 100

    def test_what_is_not_there_is_not_found(self, books: Books) -> None:
        assert books.reader.event("opera") is None
        assert books.reader.order(order_id(1)) is None

    # --- the fence ---

    @pytest.mark.parametrize("behind", [0, 1, 2])
    def test_a_lock_holder_that_slept_too_long_changes_nothing(
        self, books: Books, behind: int
    ) -> None:
        books.write(buy(1))
        before = books.everything()
        for commands in ([buy(2), put(gala(20))], [Probe(IN_TIME)], [buy(3, 11)], [buy(1)]):
            settlement = books.decide(*commands, worker=1)
            with pytest.raises(Fenced):
                books.workers[1].commit(settlement, books.token - behind)
        assert books.everything() == before

    def test_after_a_stale_holder_was_refused_all_go_on(self, books: Books) -> None:
        settlement = books.decide(buy(1))
        with pytest.raises(Fenced):
            books.workers[0].commit(settlement, books.token)
        assert kinds(books.write(buy(2), worker=1)) == [Sold]
        assert kinds(books.write(buy(1), worker=0)) == [Sold]

    def test_what_a_refused_batch_had_made_up_is_forgotten(self, books: Books) -> None:
        """The worker that was refused had given the new event a number of its own."""
        opera, ballet = (
            PutEvent(IN_TIME, event_id, event_id, [TicketType("general", 5)])
            for event_id in ("opera", "ballet")
        )
        settlement = books.decide(opera, buy(1, event="opera"))
        with pytest.raises(Fenced):
            books.workers[0].commit(settlement, books.token)
        books.write(ballet, buy(2, event="ballet"), worker=1)
        books.write(opera, buy(1, event="opera"), worker=0)
        books.write(buy(3, event="ballet"), buy(4, event="opera"), worker=0)
        orders = [books.order(key).event for key in (1, 2, 3, 4)]
        assert orders == ["opera", "ballet", "ballet", "opera"]

    def test_tokens_go_on_above_the_newest_that_was_committed(self, books: Books) -> None:
        books.token = 1_000_000
        books.write(buy(1))
        assert [worker.last_token() for worker in books.workers] == [1_000_001] * 2
        books.open_again()
        assert books.workers[0].last_token() == 1_000_001

    # --- tickets per buyer ---

    def test_a_limit_that_is_set_later_counts_what_was_bought_before(self, books: Books) -> None:
        books.write(buy(1, 2, buyer="ann"), buy(2, 1, buyer="ann"), buy(3, 1, buyer="bob"))
        books.write(put(gala(10), max_per_buyer=4))
        outcomes = books.write(
            buy(4, 2, buyer="ann"), buy(5, 1, buyer="ann"), buy(6, 3, buyer="bob"), worker=1
        )
        assert outcomes[0] == BuyerLimit(max_per_buyer=4, bought=3)
        assert kinds(outcomes[1:]) == [Sold, Sold]

    def test_a_limit_set_in_the_batch_that_sells_counts_what_was_bought_before(
        self, books: Books
    ) -> None:
        books.write(buy(1, 2, buyer="ann"))
        outcomes = books.write(put(gala(10), max_per_buyer=2), buy(2, buyer="ann"))
        assert outcomes[1] == BuyerLimit(max_per_buyer=2, bought=2)

    def test_what_was_cancelled_before_a_limit_was_set_does_not_count(self, books: Books) -> None:
        books.write(buy(1, 2, buyer="ann"), buy(2, 2, buyer="ann"), cancel(1))
        books.write(put(gala(10), max_per_buyer=2))
        assert books.write(buy(3, buyer="ann")) == [BuyerLimit(max_per_buyer=2, bought=2)]

    def test_what_is_cancelled_later_makes_room_although_it_was_bought_before_the_limit(
        self, books: Books
    ) -> None:
        books.write(buy(1, 2, buyer="ann"))
        books.write(put(gala(10), max_per_buyer=2), cancel(1))
        assert kinds(books.write(buy(2, 2, buyer="ann"), worker=1)) == [Sold]
        assert books.write(buy(3, 1, buyer="ann")) == [BuyerLimit(max_per_buyer=2, bought=2)]

    def test_a_cancel_alone_in_its_batch_makes_room_for_its_buyer(self, books: Books) -> None:
        books.write(put(gala(10), max_per_buyer=2), buy(1, 2, buyer="ann"))
        books.write(cancel(1))
        assert kinds(books.write(buy(2, 2, buyer="ann"), worker=1)) == [Sold]

    def test_a_limit_that_is_lifted_and_set_again_counts_what_was_bought_meanwhile(
        self, books: Books
    ) -> None:
        books.write(put(gala(10), max_per_buyer=2), buy(1, 2, buyer="ann"))
        books.write(put(gala(10)))
        books.write(buy(2, 3, buyer="ann"), cancel(1), buy(3, 1, buyer="bob"))
        books.write(put(gala(10), max_per_buyer=4), worker=1)
        refused, sold = books.write(buy(4, 2, buyer="ann"), buy(5, 1, buyer="ann"))
        assert refused == BuyerLimit(max_per_buyer=4, bought=3)
        assert isinstance(sold, Sold)

    def test_a_limit_that_is_changed_goes_on_counting(self, books: Books) -> None:
        books.write(put(gala(10), max_per_buyer=2), buy(1, 2, buyer="ann"))
        books.write(put(gala(10), max_per_buyer=3))
        outcomes = books.write(buy(2, 2, buyer="ann"), buy(3, 1, buyer="ann"), worker=1)
        assert outcomes[0] == BuyerLimit(max_per_buyer=3, bought=2)
        assert isinstance(outcomes[1], Sold)

    def test_what_a_buyer_has_of_one_event_does_not_count_for_another(self, books: Books) -> None:
        opera = PutEvent(IN_TIME, "opera", "Opera", [TicketType("stalls", 9)], max_per_buyer=1)
        books.write(opera, put(gala(10), max_per_buyer=1))
        outcomes = books.write(buy(1, buyer="ann"), buy(2, event="opera", buyer="ann"))
        assert kinds(outcomes) == [Sold, Sold]

    def test_a_limit_that_is_set_later_counts_its_own_event_only(self, books: Books) -> None:
        opera = PutEvent(IN_TIME, "opera", "Opera", [TicketType("stalls", 9)])
        books.write(opera, buy(1, 1, buyer="ann"), buy(2, 5, event="opera", buyer="ann"))
        books.write(put(gala(10), max_per_buyer=2))
        outcomes = books.write(buy(3, 2, buyer="ann"), buy(4, 1, buyer="ann"))
        assert outcomes[0] == BuyerLimit(max_per_buyer=2, bought=1)
        assert isinstance(outcomes[1], Sold)

    def test_a_limit_that_was_refused_counts_for_nobody(self, books: Books) -> None:
        books.write(buy(1, 5, buyer="ann"))
        books.write(put(gala(2), max_per_buyer=1), buy(2, 2, buyer="ann"))
        assert books.event().max_per_buyer is None
        assert books.sold() == 7
        books.write(put(gala(10), max_per_buyer=8))
        assert books.write(buy(3, 2, buyer="ann")) == [BuyerLimit(max_per_buyer=8, bought=7)]
