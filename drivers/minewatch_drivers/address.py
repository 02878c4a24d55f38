"""A bus's url: which runner moves its bytes and how long a byte takes on its wire."""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

PARITIES = ("N", "E", "O")
T35_FIXED_ABOVE_BAUD = 19_200
T35_FIXED_US = 1_750
"""Above 19 200 baud the silent interval is fixed (Modbus over Serial Line V1.02, 2.5.1.1)."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a line is. `transport` is tcp, rtu or rtu+tcp; `path` is the port of a serial line."""

    transport: str
    host: str
    port: int
    path: str
    baud: int
    parity: str
    stop_bits: int

    @property
    def serial(self) -> bool:
        """True where bytes run in RTU frames, also behind a serial server."""
        return self.transport != "tcp"

    @property
    def byte_us(self) -> float:
        """µs that one byte takes: start, eight data, parity, stop; 0 on Modbus TCP."""
        if not self.serial:
            return 0.0
        return (9 + (self.parity != "N") + self.stop_bits) * 1e6 / self.baud

    @property
    def silence_us(self) -> int:
        """The silent interval t3.5 before each question; 0 on Modbus TCP."""
        if not self.serial:
            return 0
        if self.baud > T35_FIXED_ABOVE_BAUD:
            return T35_FIXED_US
        return int(3.5 * 11 * 1e6 / self.baud) + 1


def parse_address(url: str) -> Address:
    """Return what `url` says.

    Raises:
        ValueError: not one of tcp://host:port, rtu+tcp://host:port, rtu:///path?baud=…&parity=…,
            serial:///path?baud=…&parity=…
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    unknown = set(query) - {"baud", "parity", "stop"}
    if parts.scheme not in ("tcp", "rtu", "rtu+tcp", "serial") or unknown:
        raise ValueError(f"not a line: {url!r}")
    baud = int(query.get("baud", ["9600"])[0])
    parity = query.get("parity", ["E" if parts.scheme == "rtu" else "N"])[0]
    stop = int(query.get("stop", ["1"])[0])
    if not 300 <= baud <= 4_000_000 or parity not in PARITIES or stop not in (1, 2):
        raise ValueError(f"baud, parity or stop bits of {url!r} cannot be")
    if parts.scheme in ("rtu", "serial"):
        if not parts.path or parts.netloc:
            raise ValueError(f"a serial line needs a path: {url!r}")
        return Address(parts.scheme, "", 0, parts.path, baud, parity, stop)
    if not parts.hostname or not parts.port:
        raise ValueError(f"host and port are needed: {url!r}")
    return Address(parts.scheme, parts.hostname, parts.port, "", baud, parity, stop)
