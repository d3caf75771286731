"""What clients asked, when, and what they heard: can one counter a ticket type explain it?

`operations.py` is the plain data, `checks.py` decides in near-linear time, `timeline.py` is how,
`search.py` decides small histories by trying everything.
"""
