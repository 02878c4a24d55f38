"""Runners move bytes and files between the world and the machines; they decide nothing."""
