"""What a line can do before it is built, and what would help one that cannot."""
