"""A look through the embedded ledger at the service's start: what checksums of pages cannot tell.

A page that is sound in itself may stand in another one's place, or be of yesterday. Then trees and
indexes are out of order, which SQLite finds, or counters do not fit what they count.
"""

from __future__ import annotations

import os
import time
from typing import Final

import apsw

from workers.errors import LedgerDamaged

STEPS_BETWEEN_CLOCKS: Final = 10_000  # of SQLite's machine: below a millisecond
SLOW_AT_MOST: Final = 4  # times longer, by the clock
ALL_IS_WELL: Final = "ok"

# Numbers are given without a gap and kept by cancelled orders; entries are numbered likewise.
_ENDS = """
    SELECT e.id FROM events e
    WHERE e.entries IS NOT (SELECT coalesce(max(entry), 0) FROM journal j WHERE j.event = e.event)
       OR e.next_number - 1
          IS NOT (SELECT coalesce(max(number), 0) FROM tickets t WHERE t.event = e.event)
"""
_COUNTS = """
    SELECT e.id FROM events e
    WHERE e.entries IS NOT (SELECT count(*) FROM journal j WHERE j.event = e.event)
       OR e.next_number - 1 IS NOT (SELECT count(*) FROM tickets t WHERE t.event = e.event)
"""
_QUANTITY = "(SELECT sum(json_extract(value, '$[1]')) FROM json_each(items))"
_SUMS = f"""
    SELECT e.id FROM events e
    WHERE (SELECT sum(sold) FROM ticket_types t WHERE t.event = e.event)
          IS NOT (SELECT coalesce(sum({_QUANTITY}), 0) FROM orders o
                  WHERE o.event = e.event AND cancelled_entry IS NULL)
       OR (e.max_per_buyer IS NOT NULL
           AND (SELECT coalesce(sum(quantity), 0) FROM bought b WHERE b.event = e.event)
               IS NOT (SELECT coalesce(sum({_QUANTITY}), 0) FROM orders o WHERE o.event = e.event
                       AND cancelled_entry IS NULL AND buyer IS NOT NULL))
"""


def look_through(connection: apsw.Connection, seconds: float) -> bool:
    """Look for so long at most, of the processor's time; say whether all was looked at.

    A busy machine shall not see less, nor a slow disk hold up the start. Raises LedgerDamaged,
    apsw.Error.
    """
    limit, last = time.thread_time() + seconds, time.monotonic() + SLOW_AT_MOST * seconds
    clock = object()
    connection.set_progress_handler(
        lambda: time.thread_time() > limit or time.monotonic() > last,
        STEPS_BETWEEN_CLOCKS,
        id=clock,
    )
    try:
        _check_size(connection)
        _check_counters(connection, _ENDS)
        _check_trees(connection)
        _check_counters(connection, _COUNTS)
        _check_counters(connection, _SUMS)
    except apsw.InterruptError:
        return False
    finally:
        connection.set_progress_handler(None, id=clock)
    return True


def _check_size(connection: apsw.Connection) -> None:
    """Look whether the last page is whole: SQLite would fill it up, and compare no checksum."""
    page_bytes = connection.execute("PRAGMA page_size").get
    if os.stat(connection.db_filename("main")).st_size % page_bytes:  # noqa: PTH116 - it is a str
        raise LedgerDamaged("its last page is not whole")


def _check_counters(connection: apsw.Connection, select: str) -> None:
    for (event_id,) in connection.execute(select):
        raise LedgerDamaged(f"the counters of {event_id!r} are not those of its orders")


def _check_trees(connection: apsw.Connection) -> None:
    for (finding,) in connection.execute("PRAGMA integrity_check(1)"):
        if finding != ALL_IS_WELL:
            words = " ".join(str(finding).split())
            raise LedgerDamaged(repr(words))
