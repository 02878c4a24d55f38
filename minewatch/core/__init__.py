"""Pure decisions: `step(mine, state, image) -> Step`. No clocks, files, sockets or randomness."""
