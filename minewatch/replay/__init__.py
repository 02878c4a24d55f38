"""Replay: the recorded inputs of a run through `step` again.

`again` proves that the recorded decisions are those of this program; `what_if` shows what another
configuration would have decided on the same inputs, as episodes, a table and a picture.
"""
