"""minewatch: an independent second watcher and evidence keeper for coal mines."""

__version__ = "0.1.0"
