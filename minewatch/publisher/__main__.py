"""The process: `python -m minewatch.publisher --state DIR [--fd N] [--parent PID]`.

`--fd` is the connection inherited from the supervisor: the only one on which the controller
believes what is said of the upload.
"""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from minewatch.folder import Folder
from minewatch.process import die_with_parent, log_to_stderr
from minewatch.publisher.outbox import Outbox, OutboxError
from minewatch.publisher.publisher import Publisher

IO_ERROR = 74


async def run(folder: Folder, outbox: Outbox, fd: int | None) -> None:
    """Upload until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Publisher(folder, outbox, fd).run(stop)


def main() -> int:
    """Run the publisher of a state folder; 74 when its outbox cannot be opened."""
    parser = argparse.ArgumentParser(prog="python -m minewatch.publisher")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--fd", type=int, help="inherited connection to the controller")
    parser.add_argument("--parent", type=int)
    arguments = parser.parse_args()
    log_to_stderr()
    if arguments.parent is not None:
        die_with_parent(arguments.parent)
    folder = Folder(arguments.state)
    folder.outbox.mkdir(parents=True, exist_ok=True)
    try:
        outbox = Outbox(folder.outbox / "outbox.db")
    except OutboxError as error:
        logging.getLogger("minewatch.publisher").error("%s", error)
        return IO_ERROR
    asyncio.run(run(folder, outbox, arguments.fd))
    outbox.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
