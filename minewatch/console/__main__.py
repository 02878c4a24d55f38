"""`python -m minewatch.console --state DIR [--fd N] [--listen HOST:PORT]`: the page's process.

`--fd` is the connection to the controller inherited from the supervisor: the only one over which
people can be named. Without it the console speaks over the socket of the state folder.
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import uvicorn

from minewatch.client import Client, socket_path
from minewatch.console.app import build
from minewatch.console.configuration import ActiveMine
from minewatch.console.errors import Refused
from minewatch.console.stream import Hub
from minewatch.process import die_with_parent, log_to_stderr

LISTEN_DEFAULT = "127.0.0.1:8080"
CONNECTIONS_MAX = 256
REQUEST_HEAD_BYTES_MAX = 16 * 1024

_log = logging.getLogger("minewatch.console")


def main(arguments: list[str] | None = None) -> int:
    """Serve the page until told to stop; return the exit code."""
    options = _parser().parse_args(arguments)
    if options.parent is not None:
        die_with_parent(options.parent)
    log_to_stderr()
    host, port = options.listen or _configured(options.state)
    if host in ("0.0.0.0", "::") and not options.tls_certificate:
        _log.warning("the page listens on every network without TLS")
    app, hub = build(
        options.state, _connector(options.state, options.fd), secure=bool(options.tls_certificate)
    )
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http="h11",
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS_MAX,
        h11_max_incomplete_event_size=REQUEST_HEAD_BYTES_MAX,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=2,
        ssl_certfile=options.tls_certificate,
        ssl_keyfile=options.tls_key,
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    server = Server(config, hub)
    server.run()
    return 0 if server.started else 74


class Server(uvicorn.Server):
    """uvicorn, but open streams end at once when it is told to stop."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT; having stopped as asked is a clean end, so 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the streams, then stop."""
        self._hub.close()
        super().handle_exit(sig, frame)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m minewatch.console", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="state folder")
    parser.add_argument("--fd", type=int, help="inherited connection to the controller")
    parser.add_argument(
        "--listen", type=_address, metavar="HOST:PORT", help="instead of the configuration's"
    )
    parser.add_argument("--parent", type=int, help="end when this process ends")
    parser.add_argument("--tls-certificate", metavar="FILE")
    parser.add_argument("--tls-key", metavar="FILE")
    return parser


def _configured(folder: Path) -> tuple[str, int]:
    try:
        return _address(ActiveMine(folder).current()[1].console.listen)
    except Refused:
        _log.warning("no configuration is active yet; listening on %s", LISTEN_DEFAULT)
        return _address(LISTEN_DEFAULT)


def _address(listen: str) -> tuple[str, int]:
    with suppress(ValueError):
        parts = urlsplit(f"//{listen}")
        if parts.hostname is not None and parts.port is not None:
            return parts.hostname, parts.port
    raise argparse.ArgumentTypeError(f"HOST:PORT is wanted, not {listen!r}")


def _connector(folder: Path, fd: int | None) -> Callable[[], Client]:
    if fd is None:
        return lambda: Client(socket_path(folder))
    # Each client closes its own copy: the connection itself outlives a lost controller.
    return lambda: Client(fd=os.dup(fd))


if __name__ == "__main__":
    sys.exit(main())
