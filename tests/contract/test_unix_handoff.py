"""The hand-off over Unix sockets: what every hand-off owes, and what its sockets may bring."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent import socket as gevent_socket

from tests.contract.ends import PATIENCE_SECONDS, Ends, WorkerEnd, told, wait_for, wish
from tests.contract.handoff_contract import HandoffContract
from workers.codec import decode_outcomes, encode
from workers.domain import CancelOrder, Command, Outcome, Unsettled
from workers.handoffs import courier
from workers.handoffs.unix_socket import (
    FRAME_MAX_BYTES,
    READ_BYTES,
    UnixInbox,
    UnixLane,
    short_path,
    socket_name,
)
from workers.metrics import RESENT


class UnixMeeting:
    """One run directory."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def inbox(self, worker: int) -> UnixInbox:
        return UnixInbox(self.run_dir, worker)

    def lane(self, worker: int) -> UnixLane:
        return UnixLane(self.run_dir, worker)


class TestUnixSocket(HandoffContract):
    @pytest.fixture
    def meeting(self, tmp_path: Path) -> UnixMeeting:
        return UnixMeeting(tmp_path)

    # --- more than every hand-off owes: a worker's socket is its own ---

    def test_a_worker_that_hangs_holds_up_only_what_it_has_taken(self, ends: Ends) -> None:
        hanging, other, web = ends.worker(1), ends.worker(2), ends.courier(1, 2)
        stuck = web.hand_over(wish(1))
        taken = hanging.take()
        free = web.hand_over(wish(2))
        assert other.serve() == [free.command]
        assert free.wait(PATIENCE_SECONDS) == told(wish(2))
        assert stuck.outcome is None
        hanging.answer(taken)
        assert stuck.wait(PATIENCE_SECONDS) == told(wish(1))

    def test_what_arrives_while_a_frame_is_under_way_follows_it_though_another_worker_is_free(
        self, ends: Ends, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(courier, "SWEEP_SECONDS", PATIENCE_SECONDS)  # nothing waits too long
        preferred, _free, web = ends.worker(1), ends.worker(2), ends.courier(1, 2)
        web.hand_over(wish(1))
        taken = preferred.take()
        later = [web.hand_over(wish(2)), web.hand_over(wish(3))]
        preferred.answer(taken)
        assert preferred.serve() == [receipt.command for receipt in later]


# --- what comes in at a worker's socket -----------------------------------------------------------


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    """Where workers and web processes are made."""
    ends = Ends(UnixMeeting(tmp_path))
    yield ends
    ends.close()


@pytest.fixture
def worker(ends: Ends) -> WorkerEnd:
    """Worker 1."""
    return ends.worker()


@pytest.fixture
def line(worker: WorkerEnd, tmp_path: Path) -> Iterator[socket.socket]:
    """A connection to worker 1 on which anything can be said."""
    line = connect(tmp_path)
    yield line
    line.close()


def connect(run_dir: Path) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(run_dir, socket_name(1)) as path:
        line.connect(path)
    line.settimeout(PATIENCE_SECONDS)
    return line


def frame(*commands: Command) -> bytes:
    return framed(encode(list(commands)))


def framed(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


def read_answer(line: socket.socket) -> list[Outcome]:
    """Read one frame of outcomes to its end."""
    (length,) = struct.unpack("<I", read_exactly(line, 4))
    return decode_outcomes(read_exactly(line, length))


def read_exactly(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = line.recv(count - len(data))
        assert more, "the worker hung up"
        data += more
    return data


NESTED = b"\x91\x93\xa5probe\x00" + b"\x91" * 200_000 + b"\x00"
BAD_UTF8 = b"\x91\x93\xa6cancel\x00\xa2\xff\xfe"
GARBAGE = {
    "no msgpack": framed(b"\xc1"),
    "nothing": framed(b""),
    "text": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no list": framed(encode({"buy": 1})),
    "a list of numbers": framed(encode([1, 2, 3])),
    "an unknown command": framed(encode([["gift", 0, "gala"]])),
    "a command cut short": framed(encode([["buy", 0]])),
    "a quantity below one": framed(encode([["buy", 0, "x", b"x", "gala", [[None, 0]]]])),
    "a frame cut short": framed(encode([wish(1)])[:-1]),
    "a frame with more in it": framed(encode([wish(1)]) + b"\x00"),
    "two frames at once": frame(wish(1)) + frame(wish(2)),
    "text that is no UTF-8": framed(BAD_UTF8),
    "bottomless nesting": framed(NESTED),
    "a list of four billion": framed(b"\xdd\xff\xff\xff\xff"),
    "a text of four billion": framed(b"\x91\x93\xa6cancel\x00\xdb\xff\xff\xff\xff"),
    "a length above all limits": struct.pack("<I", FRAME_MAX_BYTES + 1),
    "the largest length there is": b"\xff\xff\xff\xff",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_closes_its_lane_and_harms_nobody(
    ends: Ends, worker: WorkerEnd, line: socket.socket, garbage: bytes
) -> None:
    receipt = ends.courier().hand_over(wish(7))
    line.sendall(garbage)
    assert worker.gather(1) == [receipt.command]
    worker.answer([receipt.command])
    assert receipt.wait(PATIENCE_SECONDS) == told(wish(7))
    for _ in range(0, len(garbage), READ_BYTES):
        assert worker.take_waiting() == []
    assert hung_up(line)


def hung_up(line: socket.socket) -> bool:
    """Say whether the other end closed the connection, having sent nothing."""
    try:
        return line.recv(1) == b""
    except ConnectionResetError:  # it had not even read all
        return True


def test_a_frame_that_comes_byte_by_byte_is_taken_when_it_is_whole(
    worker: WorkerEnd, line: socket.socket
) -> None:
    data = frame(wish(1, deadline_ms=1))
    for position in range(len(data) - 1):
        line.sendall(data[position : position + 1])
        assert worker.take_waiting() == []
    line.sendall(data[-1:])
    assert worker.gather(1) == [wish(1, deadline_ms=1)]
    worker.answer([wish(1)])
    assert read_answer(line) == [told(wish(1))]


def test_half_a_frame_holds_up_nobody_and_is_never_taken(
    ends: Ends, worker: WorkerEnd, line: socket.socket
) -> None:
    line.sendall(frame(wish(1))[:-5])
    receipt = ends.courier().hand_over(wish(2))
    assert worker.gather(1) == [receipt.command]
    worker.answer([receipt.command])
    line.close()
    assert worker.take_waiting() == []
    assert receipt.wait(PATIENCE_SECONDS) == told(wish(2))


def test_a_lane_can_be_used_again_and_again(worker: WorkerEnd, line: socket.socket) -> None:
    for number in range(5):
        line.sendall(frame(wish(number)))
        worker.answer(worker.gather(1))
        assert read_answer(line) == [told(wish(number))]


def test_a_web_process_that_does_not_read_its_answer_holds_up_nobody(
    ends: Ends, worker: WorkerEnd, line: socket.socket
) -> None:
    long: list[Outcome] = [Unsettled("x" * 10_000)] * 1_000  # more than any socket takes at once
    line.sendall(frame(*[wish(1)] * 1_000))
    worker.gather(1_000)
    worker.answer_with(long)
    receipt = ends.courier().hand_over(wish(2))
    worker.answer(worker.gather(1))
    assert receipt.wait(PATIENCE_SECONDS) == told(wish(2))

    reading = gevent.get_hub().threadpool.spawn(read_answer, line)
    wait_for(lambda: worker.take_waiting() == [] and reading.ready(), "the rest is sent")
    assert reading.get() == long
    line.sendall(frame(wish(3)))
    assert len(worker.gather(1)) == 1


def test_a_web_process_that_leaves_without_reading_is_forgotten(
    ends: Ends, worker: WorkerEnd, line: socket.socket
) -> None:
    line.sendall(frame(*[wish(1)] * 1_000))
    worker.gather(1_000)
    worker.answer_with([Unsettled("x" * 10_000)] * 1_000)
    line.close()
    receipt = ends.courier().hand_over(wish(2))
    worker.answer(worker.gather(1))
    assert receipt.wait(PATIENCE_SECONDS) == told(wish(2))


def test_many_web_processes_may_come_at_once(worker: WorkerEnd, tmp_path: Path) -> None:
    lines = [connect(tmp_path) for _ in range(50)]
    for number, line in enumerate(lines):
        line.sendall(frame(wish(number)))
    worker.answer(worker.gather(50))
    for number, line in enumerate(lines):
        assert read_answer(line) == [told(wish(number))]
        line.close()


# --- where the sockets lie ------------------------------------------------------------------------


def test_a_run_directory_may_lie_deeper_than_a_sockets_address_can_say(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-directory-with-a-long-name"] * 8)
    deep.mkdir(parents=True)
    ends = Ends(UnixMeeting(deep))
    worker, receipt = ends.worker(), ends.courier().hand_over(wish(1))
    worker.serve()
    assert receipt.wait(PATIENCE_SECONDS) == told(wish(1))
    ends.close()


def test_the_socket_that_a_killed_worker_left_is_in_nobodys_way(ends: Ends, tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(tmp_path, socket_name(1)) as path:
        left.bind(path)
    left.close()
    worker, receipt = ends.worker(), ends.courier().hand_over(wish(1))
    worker.serve()
    assert receipt.wait(PATIENCE_SECONDS) == told(wish(1))


# --- what may come back to a web process ----------------------------------------------------------

BROKEN_ANSWERS = {
    "nothing": b"",
    "half a length": b"\x05\x00",
    "half an answer": framed(encode([told(wish(1))]))[:-3],
    "garbage": framed(b"\xc1\xc1\xc1"),
    "text that is no UTF-8": framed(b"\x91\x92\xadunknown-event\xa2\xff\xfe"),
    "too few outcomes": framed(encode([])),
    "too many outcomes": framed(encode([told(wish(1)), told(wish(2))])),
    "a command": framed(encode([CancelOrder(0, "x")])),
    "more than one answer": framed(encode([told(wish(1))])) * 2,
}


@pytest.mark.parametrize("broken", BROKEN_ANSWERS.values(), ids=BROKEN_ANSWERS.keys())
def test_an_answer_that_is_none_breaks_the_lane_and_another_worker_is_asked(
    ends: Ends, tmp_path: Path, broken: bytes
) -> None:
    def answer_once() -> None:
        connection, _ = listener.accept()
        connection.recv(100_000)
        connection.sendall(broken)
        connection.close()

    listener = gevent_socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(tmp_path, socket_name(1)) as path:
        listener.bind(path)
    listener.listen()
    odd = gevent.spawn(answer_once)
    courier = ends.courier(1, 2)
    receipt = courier.hand_over(wish(1))
    odd.join()
    listener.close()
    assert receipt.outcome is None
    assert ends.worker(2).serve() == [receipt.command]
    assert receipt.wait(PATIENCE_SECONDS) == told(wish(1))


def test_a_frame_that_has_to_go_to_another_worker_is_counted(ends: Ends) -> None:
    leaving, courier = ends.worker(1), ends.courier(1, 2)
    receipt = courier.hand_over(wish(1))
    leaving.gather(1)
    assert ends.slot.words[RESENT.at] == 0
    leaving.close()
    assert ends.worker(2).serve() == [receipt.command]
    assert ends.slot.words[RESENT.at] == 1
    assert 0 < receipt.handed_us <= receipt.sent_us
    receipt.wait(PATIENCE_SECONDS)
    assert receipt.sent_us < receipt.settled_us
