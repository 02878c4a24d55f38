"""Real time for the cycle: turns it every 100 ms, and at once when a line says so."""

import asyncio

from minewatch.controller.cycle import Controller


class Rhythm:
    """Runs `controller.turn` on the event loop until stopped.

    `notify` is what the line runners call when bytes became readings: it drains that line and
    wakes the loop early only where a reading at a limit, or a command, waits.
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._wake = asyncio.Event()
        self._stopping = False
        self.turned_ms = controller.clock.now_ms()

    def notify(self, bus_id: str) -> None:
        """Something new lies on this line."""
        self._controller.hear(bus_id)
        if self._controller.board.urgent:
            self._wake.set()

    def wake(self) -> None:
        """Turn as soon as the coalescing time allows."""
        self._wake.set()

    def stop(self) -> None:
        """Let `run` return after the turn that is under way."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Turn until stopped; one last turn carries what is still on the board."""
        controller = self._controller
        while not self._stopping:
            controller.turn()
            self.turned_ms = controller.clock.now_ms()
            await self._sleep_until_due()
        controller.turn()

    async def _sleep_until_due(self) -> None:
        while not self._stopping:
            self._wake.clear()
            wait_ms = self._controller.next_wake_ms - self._controller.clock.now_ms()
            if wait_ms <= 0:
                await asyncio.sleep(0)
                return
            try:
                async with asyncio.timeout(wait_ms / 1000):
                    await self._wake.wait()
            except TimeoutError:
                return
