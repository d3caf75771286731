"""`make chaos`: real processes and a real Redis under load, while things are killed, stopped, cut.

`crowd.py` (a process of its own) buys, `faults.py` and `nemesis.py` break, `judge.py` holds what
everybody was told against the ledger, `sites.py` is what runs, `report.py` the table at the end.
"""
