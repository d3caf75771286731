"""What the commands print is what there is to read, whoever chose the words."""

from __future__ import annotations

from service.cli.words import table


def test_a_terminal_is_sent_nothing_that_it_would_obey() -> None:
    """Buyers choose their names, and older ledgers hold names refused now."""
    rows = [("ORDER", "BUYER"), ("1", "\x9b2Jann\u202e"), ("2", "\x1b[31mzoë\n"), ("3", "דנה 👩")]
    assert list(table(rows)) == [
        "ORDER  BUYER",
        "1      ?2Jann?",
        "2      ?[31mzoë?",
        "3      דנה 👩",
    ]
