"""Deterministic simulation: seeded schedules of faults and people over the real controller.

`run.run(seed, mode)` runs one schedule and says what was broken; `python -m
minewatch_sim.campaign` runs many. A schedule (`schedule`) happens (`happenings`, `people`) to a
house (`house`, `plant`) in a small random mine (`mines`); a witness (`witness`, `account`) looks
on, and the court lets every invariant judge (`court`, `invariants_*`). This room alone of the
simulator imports controller and core: it runs them.
"""
