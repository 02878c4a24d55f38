"""Readings: what points say, how far it is believed, which limits it reaches, who stands in."""
