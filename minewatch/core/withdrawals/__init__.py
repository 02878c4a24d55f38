"""Withdrawals: people ordered out, missed, and let back in."""
