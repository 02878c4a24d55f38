"""Power: latched causes, the outputs that they hold, the proof, the release, the start."""
