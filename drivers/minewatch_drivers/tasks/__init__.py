"""What a line does for one device: planned questions, scans, relays, settings."""
