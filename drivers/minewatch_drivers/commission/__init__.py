"""First contact with a bus: ask, listen, find devices, read what they mean; for tools alone.

`ask` is the door that every tool asks through; `wire` opens a port of its own, a running daemon
brings another. `permit` says what may be asked at all. `live`, `fit` and `scan` know device files,
`words` and `survey` know none, `frames` and `capture` take apart what ran on the wire.
"""
