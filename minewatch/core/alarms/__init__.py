"""Alarms: their life cycle and what happens while nobody answers."""
