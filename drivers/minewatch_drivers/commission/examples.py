"""The examples of a vendor's protocol, read by its own file: what `device test` shows of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from minewatch_drivers.device_files.serial_model import Example, Says, SerialProtocol
from minewatch_drivers.vendor.nmea import TimeSentences
from minewatch_drivers.vendor.serial_decode import NotAnAnswerError, cards
from minewatch_drivers.wire.framing import Framer, Framing


@dataclass(frozen=True, slots=True)
class ExampleSeen:
    """One example, from 1: what it must mean and what it means; both empty for no card."""

    number: int
    expected: str
    found: str


def examples(protocol: SerialProtocol) -> Iterator[ExampleSeen]:
    """Yield every example of a protocol that has frames."""
    if protocol.framing is None:
        return
    for number, example in enumerate(protocol.examples, 1):
        expected = example.time or " ".join(example.cards)
        yield ExampleSeen(number, expected, _found(protocol, protocol.framing, example))


def _found(protocol: SerialProtocol, framing: Framing, example: Example) -> str:
    payloads = Framer(framing).feed(example.told)
    if len(payloads) != 1:
        return f"{len(payloads)} frames"
    if protocol.says is Says.TIME:
        at_ms = TimeSentences().take(payloads[0])
        return "" if at_ms is None else _iso(at_ms)
    if protocol.answer is not None and protocol.answer.status_at is not None:
        at = protocol.answer.status_at
        if payloads[0][at : at + 1] in [bytes((code,)) for code in protocol.answer.empty]:
            return ""
    try:
        return " ".join(each.lstrip("0") for each in cards(protocol, payloads[0]))
    except NotAnAnswerError as wrong:
        return wrong.why


def _iso(at_ms: int) -> str:
    whole = datetime.fromtimestamp(at_ms // 1000, tz=UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
