"""What every process of the house does alike at its start: die with its parent, say what it does.

Linux only: PR_SET_PDEATHSIG is what lets a killed supervisor take its children with it.
"""

import ctypes
import json
import logging
import os
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, number: int = signal.SIGTERM) -> None:
    """Ask the kernel for `number` when the parent dies; leave at once if it is dead already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent process is gone")


class _JsonFormatter(logging.Formatter):
    """One JSON object a line; the log is for engineers, the ledger is the record."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "t": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "room": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_to_stderr() -> None:
    """Log to standard error, one JSON object a line, from MINEWATCH_LOG_LEVEL on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter())
    level = os.environ.get("MINEWATCH_LOG_LEVEL", "INFO")
    logging.basicConfig(level=level, handlers=[handler], force=True)
