"""Process 1: polls, decides, acts, records. `cycle.py` is the only loop; the rest serves it."""
