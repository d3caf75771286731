"""What every hand-off owes. A second one joins with a `meeting` and a subclass.

class TestMyHandoff(HandoffContract):
    @pytest.fixture
    def meeting(self) -> Meeting: ...  # where no worker and no web process is yet
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection

import gevent
import pytest
from msgspec.structs import replace

from tests.contract.ends import PATIENCE_SECONDS, Ends, Meeting, told, wait_for, wish
from tests.unit.builders import (
    buy_items,
    cancel,
    gala_with_boxes,
    order_id,
    put,
    sell,
    state_of,
    switch,
)
from workers import domain
from workers.domain import (
    BuyerLimit,
    Cancelled,
    CapacityCommitted,
    Command,
    Invalid,
    Item,
    KeyReused,
    NotOnSale,
    Outcome,
    Probe,
    Probed,
    Sold,
    SoldOut,
    Stored,
    TooLate,
    UnknownEvent,
    UnknownOrder,
    UnknownTicketType,
    Unreached,
    Unsettled,
)
from workers.errors import Overloaded
from workers.hearts import clock_ms


class HandoffContract:
    """The promises, each as a test."""

    @pytest.fixture
    def ends(self, meeting: Meeting) -> Iterator[Ends]:
        """Where workers and web processes are made."""
        ends = Ends(meeting)
        yield ends
        ends.close()

    # --- there and back ---

    def test_a_purchase_reaches_a_worker_and_its_outcome_comes_back(self, ends: Ends) -> None:
        worker, courier = ends.worker(), ends.courier()
        receipt = courier.hand_over(wish(1))
        assert worker.serve() == [receipt.command]
        assert receipt.wait(PATIENCE_SECONDS) == told(wish(1))
        assert courier.in_flight == 0

    def test_each_of_many_gets_its_own_outcome(self, ends: Ends) -> None:
        worker, courier = ends.worker(), ends.courier(frame_max=7)
        receipts = [courier.hand_over(wish(number)) for number in range(100)]
        while courier.in_flight:
            worker.serve()
            gevent.sleep(0)
        assert [receipt.outcome for receipt in receipts] == [told(r.command) for r in receipts]

    def test_outcomes_of_several_frames_are_given_in_the_order_they_were_taken(
        self, ends: Ends
    ) -> None:
        worker = ends.worker()
        couriers = [ends.courier() for _ in range(4)]
        receipts = [
            courier.hand_over(wish(10 * number + more))
            for number, courier in enumerate(couriers)
            for more in range(3)
        ]
        worker.answer(worker.gather(len(receipts)))
        for receipt in receipts:
            assert receipt.wait(PATIENCE_SECONDS) == told(receipt.command)

    def test_every_command_and_every_outcome_survives_the_way(self, ends: Ends) -> None:
        limit = clock_ms() + 60_000
        event = gala_with_boxes(
            opens_at_ms=-5, closes_at_ms=2**52, max_per_order=1, max_per_buyer=2
        )
        wanted = buy_items(1, [Item("box", 2), Item(None, 1)], buyer="Zoë 🎫")
        state = state_of(gala_with_boxes())
        order = sell(state, buy_items(2, [Item("box", 2), Item("standing", 1)], buyer="Zoë 🎫"))
        pairs: list[tuple[Command, Outcome]] = [
            (wanted, Sold(order)),
            (wanted, Sold(order, replayed=True)),
            (put(event), Stored(event, created=True)),
            (switch("closed"), Stored(event)),
            (cancel(1), Cancelled(order, replayed=True)),
            (Probe(limit), Probed()),
            (wanted, TooLate()),
            (wanted, UnknownEvent("gala")),
            (wanted, UnknownTicketType("gala", "box")),
            (cancel(2), UnknownOrder(order_id(2))),
            (wanted, KeyReused()),
            (wanted, Invalid("quantity", "too many")),
            (switch("paused"), NotOnSale("closed", None)),
            (wanted, BuyerLimit(4, 3)),
            (wanted, SoldOut("box", 1, 2)),
            (put(event), CapacityCommitted("box", 1, 2)),
            (wanted, Unsettled("the disk is full")),
            (wanted, Unreached()),
        ]
        assert {type(command) for command, _ in pairs} == set(domain.Command.__args__)
        assert {type(outcome) for _, outcome in pairs} == set(domain.Outcome.__args__)
        commands = [replace(command, deadline_ms=limit) for command, _ in pairs]
        worker, courier = ends.worker(), ends.courier()
        receipts = [courier.hand_over(command) for command in commands]
        assert worker.gather(len(pairs)) == commands
        worker.answer_with([outcome for _, outcome in pairs])
        assert [receipt.wait(PATIENCE_SECONDS) for receipt in receipts] == [o for _, o in pairs]

    def test_a_large_frame_and_its_large_answer_come_whole(self, ends: Ends) -> None:
        worker, courier = ends.worker(), ends.courier(frame_max=4_096, max_in_flight=4_096)
        receipts = [courier.hand_over(wish(number)) for number in range(4_096)]
        reasons: list[Outcome] = [Unsettled("x" * 1_000 + str(number)) for number in range(4_096)]
        taken = worker.gather(4_096)
        assert taken == [receipt.command for receipt in receipts]
        worker.answer_with(reasons)
        wait_for(lambda: not worker.take_waiting() and not courier.in_flight, "all is sent")
        assert [receipt.outcome for receipt in receipts] == reasons

    # --- frames ---

    def test_what_arrives_while_a_frame_is_under_way_goes_together_in_the_next(
        self, ends: Ends
    ) -> None:
        worker, courier = ends.worker(), ends.courier()
        courier.hand_over(wish(0))
        first = worker.take()
        crowd = [courier.hand_over(wish(number)) for number in range(1, 21)]
        assert worker.take_waiting() == []
        worker.answer(first)
        assert worker.take() == [receipt.command for receipt in crowd]

    def test_a_frame_is_never_larger_than_the_web_was_told(self, ends: Ends) -> None:
        worker, courier = ends.worker(), ends.courier(frame_max=10)
        receipts = [courier.hand_over(wish(number)) for number in range(25)]
        sizes: list[int] = []
        while courier.in_flight:
            sizes.append(len(worker.serve()))
            gevent.sleep(0)
        assert max(sizes) <= 10
        assert sum(sizes) == len(receipts)

    def test_a_worker_takes_whole_frames_up_to_its_limit_and_the_rest_next_time(
        self, ends: Ends
    ) -> None:
        worker = ends.worker()
        for number in range(4):
            courier = ends.courier()
            for more in range(3):
                courier.hand_over(wish(10 * number + more))
        sizes: list[int] = []
        while sum(sizes) < 12:
            taken = worker.take(limit=7)
            taken += worker.take_waiting(7 - len(taken))
            worker.answer(taken)
            sizes.append(len(taken))
        assert all(size in (3, 6) for size in sizes), sizes

    def test_a_frame_above_the_limit_is_taken_alone_and_whole(self, ends: Ends) -> None:
        """A web process may be told a larger limit than a worker; nobody waits for ever then."""
        worker = ends.worker()
        for _ in range(2):
            courier = ends.courier()
            for number in range(5):
                courier.hand_over(wish(number))
        taken = worker.take(limit=3)
        assert len(taken) == 5
        assert worker.take_waiting(3 - len(taken)) == []
        worker.answer(taken)
        assert len(worker.take(limit=3)) == 5

    def test_a_worker_that_waits_in_vain_gets_nothing_and_can_wait_again(self, ends: Ends) -> None:
        worker, courier = ends.worker(), ends.courier()
        assert worker.take_within(0) == []
        assert worker.take_within(0.01) == []
        assert worker.take_waiting() == []
        courier.hand_over(wish(1))
        assert len(worker.take()) == 1

    # --- waiting ---

    def test_who_waited_in_vain_may_ask_again_and_finds_the_outcome(self, ends: Ends) -> None:
        worker, courier = ends.worker(), ends.courier()
        receipt = courier.hand_over(wish(1))
        taken = worker.take()
        assert receipt.wait(0) is None
        assert receipt.wait(0.01) is None
        worker.answer(taken)
        assert receipt.wait(PATIENCE_SECONDS) == told(wish(1))
        assert receipt.wait(0) == told(wish(1))

    def test_a_purchase_is_settled_also_if_nobody_waits(self, ends: Ends) -> None:
        worker, courier = ends.worker(), ends.courier()
        receipt = courier.hand_over(wish(1))
        worker.serve()
        wait_for(lambda: receipt.outcome, "the outcome")
        assert receipt.outcome == told(wish(1))

    def test_each_answer_makes_what_was_read_before_it_out_of_date(self, ends: Ends) -> None:
        worker, courier = ends.worker(), ends.courier()
        seen = courier.settled
        receipt = courier.hand_over(wish(1))
        worker.serve()
        receipt.wait(PATIENCE_SECONDS)
        assert courier.settled > seen

    # --- backpressure ---

    def test_a_web_process_takes_no_more_than_it_may_and_says_so_at_once(self, ends: Ends) -> None:
        courier = ends.courier(max_in_flight=3)
        for number in range(3):
            courier.hand_over(wish(number))
        with pytest.raises(Overloaded):
            courier.hand_over(wish(4))
        assert courier.in_flight == 3

    def test_what_is_under_way_counts_until_it_is_settled_and_then_there_is_room(
        self, ends: Ends
    ) -> None:
        worker, courier = ends.worker(), ends.courier(max_in_flight=1)
        receipt = courier.hand_over(wish(1))
        taken = worker.take()
        with pytest.raises(Overloaded):
            courier.hand_over(wish(2))
        worker.answer(taken)
        receipt.wait(PATIENCE_SECONDS)
        again = courier.hand_over(wish(2))
        worker.serve()
        assert again.wait(PATIENCE_SECONDS) == told(wish(2))

    def test_one_web_process_in_full_does_not_fill_another(self, ends: Ends) -> None:
        full, free = ends.courier(max_in_flight=1), ends.courier(max_in_flight=1)
        full.hand_over(wish(1))
        assert free.hand_over(wish(2)).outcome is None

    # --- deadlines ---

    def test_without_any_worker_nobody_waits_long_after_the_deadline(self, ends: Ends) -> None:
        courier = ends.courier()
        receipt = courier.hand_over(wish(1, deadline_ms=clock_ms() + 20))
        assert receipt.wait(PATIENCE_SECONDS) == Unreached()
        assert courier.in_flight == 0

    def test_nobody_is_told_that_nothing_was_sold_by_who_cannot_know(self, ends: Ends) -> None:
        """The same key was sold by way of another web process, whose answer was lost."""
        worker, first, second = ends.worker(1), ends.courier(1), ends.courier(1)
        sold = first.hand_over(wish(1))
        taken = worker.take()
        busy = second.hand_over(wish(2))
        wait_for(lambda: busy.sent, "the second one's frame")
        again = second.hand_over(wish(1, deadline_ms=clock_ms() + 20))
        assert again.wait(PATIENCE_SECONDS) == Unreached()
        assert not again.sent
        worker.answer(taken)
        assert sold.wait(PATIENCE_SECONDS) == told(wish(1))

    def test_a_purchase_that_a_worker_may_have_seen_is_unknown_after_its_deadline(
        self, ends: Ends
    ) -> None:
        """Not "too late": it may be sold, and the same key will tell."""
        worker, courier = ends.worker(), ends.courier()
        receipt = courier.hand_over(wish(1, deadline_ms=clock_ms() + 300))
        assert worker.take() == [receipt.command]
        worker.close()
        assert receipt.wait(PATIENCE_SECONDS) == Unreached()
        assert courier.in_flight == 0

    def test_what_is_past_its_deadline_holds_up_nobody_who_is_not(self, ends: Ends) -> None:
        courier = ends.courier()
        early = [courier.hand_over(wish(number, deadline_ms=clock_ms() - 1)) for number in (1, 3)]
        late = [courier.hand_over(wish(number)) for number in (2, 4)]
        assert [r.wait(PATIENCE_SECONDS) for r in early] == [Unreached()] * 2
        worker = ends.worker()
        assert worker.serve() == [receipt.command for receipt in late]

    # --- workers come, go and die ---

    def test_a_purchase_waits_for_a_worker_that_is_not_there_yet(self, ends: Ends) -> None:
        courier = ends.courier()
        receipt = courier.hand_over(wish(1))
        assert receipt.wait(0.01) is None
        worker = ends.worker()
        assert worker.serve() == [receipt.command]
        assert receipt.wait(PATIENCE_SECONDS) == told(wish(1))

    def test_what_a_worker_took_and_did_not_answer_goes_to_another(self, ends: Ends) -> None:
        leaving, courier = ends.worker(1), ends.courier(1, 2)
        receipts = [courier.hand_over(wish(number)) for number in range(5)]
        taken = leaving.gather(5)
        staying = ends.worker(2)
        leaving.close()
        assert staying.gather(5) == taken
        staying.answer(taken)
        assert [r.wait(PATIENCE_SECONDS) for r in receipts] == [told(c) for c in taken]

    def test_what_was_sent_before_goes_again_before_what_came_later(self, ends: Ends) -> None:
        leaving, courier = ends.worker(1), ends.courier(1, 2)
        first = [courier.hand_over(wish(number)) for number in range(3)]
        leaving.gather(3)
        later = [courier.hand_over(wish(number)) for number in range(3, 6)]
        leaving.close()
        staying = ends.worker(2)
        assert staying.gather(6) == [receipt.command for receipt in first + later]

    def test_what_waits_at_a_worker_that_leaves_goes_to_another(self, ends: Ends) -> None:
        leaving, staying = ends.worker(1), ends.worker(2)
        couriers = [ends.courier(1, 2) for _ in range(3)]
        receipts = [courier.hand_over(wish(n)) for n, courier in enumerate(couriers)]
        leaving.take(limit=1)
        leaving.close()
        settled: list[Command] = []
        while len(settled) < 3:
            settled += staying.serve()
        assert [r.wait(PATIENCE_SECONDS) for r in receipts] == [told(r.command) for r in receipts]

    def test_a_new_worker_takes_over_the_place_of_one_that_left(self, ends: Ends) -> None:
        courier = ends.courier()
        for number in range(3):
            worker = ends.worker()
            receipt = courier.hand_over(wish(number))
            worker.serve()
            assert receipt.wait(PATIENCE_SECONDS) == told(wish(number))
            worker.close()

    def test_what_a_killed_worker_had_taken_is_settled_by_another(
        self, ends: Ends, meeting: Meeting
    ) -> None:
        said, says = mp.Pipe(duplex=False)
        victim = mp.get_context("fork").Process(target=take_and_hang, args=(meeting, says))
        victim.start()
        assert said.recv() == "open"
        courier = ends.courier(1, 2)
        receipt = courier.hand_over(wish(1))
        wait_for(said.poll, "the victim takes the frame")
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        victim.join()
        assert ends.worker(2).serve() == [receipt.command]
        assert receipt.wait(PATIENCE_SECONDS) == told(wish(1))

    def test_a_worker_that_hangs_holds_up_nobody_else_for_long(self, ends: Ends) -> None:
        """And its late answer harms nobody, whether others have settled its commands or not."""
        hanging, other, courier = ends.worker(1), ends.worker(2), ends.courier(1, 2)
        stuck = courier.hand_over(wish(1))
        taken = hanging.take()
        free = courier.hand_over(wish(2))
        while free.outcome is None:
            other.serve()
            gevent.sleep(0.001)
        assert free.outcome == told(wish(2))
        hanging.answer(taken)
        assert stuck.wait(PATIENCE_SECONDS) == told(wish(1))

    def test_an_answer_to_a_web_process_that_is_gone_harms_nobody(
        self, ends: Ends, meeting: Meeting
    ) -> None:
        worker = ends.worker()
        lane = meeting.lane(1)
        lane.connect()
        gone = gevent.spawn(lane.exchange, [wish(1)])
        taken = worker.take()
        gone.kill()
        lane.close()
        receipt = ends.courier().hand_over(wish(2))
        taken += worker.gather(1)
        worker.answer(taken)
        assert receipt.wait(PATIENCE_SECONDS) == told(wish(2))


def take_and_hang(meeting: Meeting, says: Connection) -> None:
    """Be a worker that takes a frame and never answers."""
    inbox = meeting.inbox(1)
    says.send("open")
    inbox.take(512, PATIENCE_SECONDS)
    says.send("taken")
    signal.pause()
