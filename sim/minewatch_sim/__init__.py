"""The simulated mine: plant, devices, faults, scenarios, and virtual twins of clock, wire and disk.

Only tests and the demo import this package. Everything in it that draws a random number is seeded,
so that a run is repeated by its seed.
"""
