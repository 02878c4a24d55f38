"""The `[serial]` part of a device file → `SerialProtocol`; every refusal names key and reason."""

from minewatch_drivers.device_files.device_fields import Fields
from minewatch_drivers.device_files.serial_model import Answer, Ask, Example, Says, SerialProtocol
from minewatch_drivers.wire.framing import Cut, Form, Framing, Sum, wrap

FRAME_MAX = 512


def read_serial(fields: Fields | None) -> SerialProtocol | None:
    """Return the protocol that `[serial]` describes, None where there is none.

    Raises:
        DeviceFileError: a key is unknown or missing, or a value cannot be.
    """
    if fields is None:
        return None
    says = Says(fields.choice("says", tuple(Says)))
    framing = _framing(fields.optional("frame"))
    made = SerialProtocol(
        says=says,
        framing=framing,
        ask=_ask(fields.optional("ask")),
        answer=_answer(fields.optional("answer")),
        first=fields.integer("first", 0, FRAME_MAX, 0),
        size=fields.integer("size", 0, 64, 0),
        silent_ms=fields.integer("silent_ms", 0, 600_000, 0),
        examples=tuple(_example(each) for each in fields.list_of_tables("examples")),
    )
    fields.done()
    _check(fields, made)
    return made


def _framing(fields: Fields | None) -> Framing | None:
    if fields is None:
        return None
    cut = Cut(fields.choice("cut", tuple(Cut)))
    made = Framing(
        cut=cut,
        start=_octets(fields, "start"),
        end=_octets(fields, "end"),
        length_at=fields.integer("length_at", 0, 8, 0),
        bytes_max=fields.integer("bytes_max", 4, FRAME_MAX),
        sum=Sum(fields.choice("sum", tuple(Sum))),
        form=Form(fields.choice("form", tuple(Form), Form.BYTES)),
        mark=_octets(fields, "mark"),
    )
    fields.done()
    if cut is Cut.MARKED and not made.end:
        raise fields.wrong("end", "a marked frame needs the bytes that end it")
    return made


def _octets(fields: Fields, key: str) -> bytes:
    return fields.octets(key) if key in fields.raw else b""


def _ask(fields: Fields | None) -> Ask | None:
    if fields is None:
        return None
    made = Ask(fields.octets("payload"), fields.integer_or_none("unit_at", 0, 16))
    fields.done()
    if made.unit_at is not None and made.unit_at >= len(made.payload):
        raise fields.wrong("unit_at", "lies outside the payload")
    return made


def _answer(fields: Fields | None) -> Answer | None:
    if fields is None:
        return None
    marks = tuple(
        (fields.number(key, 0, 64), fields.between("marks", value, 0, 255))
        for key, value in fields.pairs("marks")
    )
    made = Answer(
        marks=marks,
        unit_at=fields.integer_or_none("unit_at", 0, 64),
        status_at=fields.integer_or_none("status_at", 0, 64),
        good=_codes(fields, "good"),
        empty=_codes(fields, "empty"),
        more=_codes(fields, "more"),
    )
    fields.done()
    if made.status_at is not None and not made.good:
        raise fields.wrong("good", "a status needs the codes that mean success")
    return made


def _example(fields: Fields) -> Example:
    made = Example(
        fields.text("source"),
        _octets(fields, "asked"),
        fields.octets("told"),
        fields.texts("cards"),
        fields.text("time", ""),
    )
    fields.done()
    return made


def _codes(fields: Fields, key: str) -> tuple[int, ...]:
    codes = fields.integers(key)
    return tuple(fields.between(key, code, 0, 255) for code in codes)


def _check(fields: Fields, made: SerialProtocol) -> None:
    """Refuse a protocol that could not be spoken."""
    if made.says is Says.SMS:
        if made.framing or made.ask or made.answer:
            raise fields.wrong("says", "a modem has a dialogue of its own and no frames")
        return
    if made.framing is None:
        raise fields.wrong("frame", "is missing")
    if (made.ask is None) is not (made.answer is None):
        raise fields.wrong("answer", "a question and its answer come together")
    if made.says is Says.INVENTORY and made.ask is None:
        raise fields.wrong("ask", "an inventory has to be asked for")
    if made.says is Says.CARD and not made.size:
        raise fields.wrong("size", "a card number needs its length")
    if not made.examples:
        raise fields.wrong("examples", "a file carries at least one frame from another source")
    if made.ask is not None:
        try:
            for unit in (1, 247):
                wrap(made.framing, made.ask.to(unit))
        except ValueError as error:
            raise fields.wrong("ask.payload", f"cannot be framed: {error}") from error
