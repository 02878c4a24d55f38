"""The floor of `lines.py`: one epoll that sends the same question after each answer.

It looks at nothing, so that no client of the same kind can be cheaper.
"""

import asyncio
import select
import socket

from line_cost import REGISTERS, main
from minewatch_drivers.wire import modbus


class ByHand:
    """So many sockets in one epoll of the standard loop."""

    def __init__(self, port: int, connections: int, _timed: bool) -> None:
        self.answered = 0
        self.took_us: list[int] = []
        self._question = modbus.tcp_frame(1, 1, modbus.read_pdu(modbus.READ_INPUT, 0, REGISTERS))
        peers = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
        self._peers = {peer.fileno(): peer for peer in peers}
        self._poller = select.epoll()

    async def start(self) -> None:
        """Ask the first question of each."""
        for file, peer in self._peers.items():
            peer.setblocking(False)
            self._poller.register(file, select.EPOLLIN)
            peer.send(self._question)
        asyncio.get_running_loop().add_reader(self._poller.fileno(), self._ready)

    async def stop(self) -> None:
        """Close everything."""
        asyncio.get_running_loop().remove_reader(self._poller.fileno())
        self._poller.close()
        for peer in self._peers.values():
            peer.close()

    def _ready(self) -> None:
        peers, question = self._peers, self._question
        for file, _ in self._poller.poll(0):
            peer = peers[file]
            peer.recv(4096)
            self.answered += 1
            peer.send(question)


if __name__ == "__main__":
    main(ByHand)
