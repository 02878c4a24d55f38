"""The certified system's files beside our own points; nothing is ever written there."""
