"""What registers and signals look like on a terminal."""

from collections.abc import Sequence

from minewatch_drivers.commission.live import Look, Shown
from minewatch_drivers.commission.words import Meaning, meanings
from rich.table import Table as Grid
from rich.text import Text

from minewatch.cli.bus_door import error_text
from minewatch.model.kind import UNITS, format_value
from minewatch.model.quality import Quality
from minewatch.text import Catalogue

WORD_TYPES = ("u16", "s16", "bits", "bcd", "ascii")


def words_grid(first: int, words: Sequence[int], say: Catalogue, *, everything: bool) -> Grid:
    """Return registers beside what they could mean; plausible meanings are bold."""
    grid = Grid()
    for key in ("address", "hex", "word", "pair"):
        grid.add_column(say.say(f"bus.{key}"), overflow="fold")
    by_address: dict[int, list[Meaning]] = {}
    for each in meanings(first, words):
        by_address.setdefault(each.address, []).append(each)
    for place, word in enumerate(words):
        found = by_address[first + place]
        alone = [each for each in found if each.type in WORD_TYPES]
        pair = [each for each in found if each.type not in WORD_TYPES]
        grid.add_row(
            f"{first + place} ({first + place:04X})",
            f"{word:04X}",
            _joined(alone, everything=everything, always=("u16 AB",)),
            _joined(pair, everything=everything, always=()),
        )
    return grid


def bits_grid(first: int, bits: Sequence[int], say: Catalogue) -> Grid:
    """Return bits, sixteen a row."""
    grid = Grid()
    for key in ("address", "bits"):
        grid.add_column(say.say(f"bus.{key}"))
    for at in range(0, len(bits), 16):
        row = " ".join(str(bit) for bit in bits[at : at + 16])
        grid.add_row(f"{first + at} ({first + at:04X})", row)
    return grid


def words_report(first: int, words: Sequence[int], *, bits: bool) -> list[dict[str, object]]:
    """Return the same for machines."""
    if bits:
        return [{"address": first + n, "bit": bit} for n, bit in enumerate(words)]
    rows: list[dict[str, object]] = []
    found = meanings(first, words)
    for place, word in enumerate(words):
        told = [
            {"type": each.type, "order": each.order, "text": each.text,
             "plausible": each.plausible}
            for each in found if each.address == first + place
        ]  # fmt: skip
        rows.append({"address": first + place, "word": word, "meanings": told})
    return rows


def look_grid(seen: Look, say: Catalogue) -> Grid:
    """Return the signals of a device with value, quality and raw words."""
    caption = {True: "bus.identity_right", False: "bus.identity_wrong", None: ""}[seen.identity]
    style = "bold red" if seen.identity is False else ""
    grid = Grid(caption=say.say(caption) if caption else None, caption_style=style)
    for key in ("signal", "value", "quality", "raw"):
        grid.add_column(say.say(f"bus.{key}"))
    for each in seen.shown:
        good = each.quality is Quality.GOOD
        grid.add_row(
            each.signal,
            value_of(each),
            error_text(say, each.error)
            if each.error
            else say.say(f"quality.{each.quality.name.lower()}"),
            " ".join(f"{word:04X}" for word in each.raw),
            style="" if good else "yellow",
        )
    return grid


def look_report(seen: Look) -> dict[str, object]:
    """Return the same for machines; values in the smallest unit of their kind."""
    signals = {
        each.signal: {
            "value": each.value,
            "quality": each.quality.name,
            "raw": list(each.raw),
            "error": each.error,
        }
        for each in seen.shown
    }
    return {"identity": seen.identity, "signals": signals}


def value_of(each: Shown) -> str:
    """Return a value with its unit, a dash where there is none."""
    if each.value is None:
        return "—"
    if each.kind is None:
        return str(each.value)
    return f"{format_value(each.kind, each.value)} {UNITS[each.kind].text}".strip()


def _joined(found: Sequence[Meaning], *, everything: bool, always: tuple[str, ...]) -> Text:
    text = Text()
    for each in found:
        label = f"{each.type} {each.order}"
        if not (each.plausible or everything or label in always):
            continue
        if text:
            text.append("  ")
        name = each.type if each.order in ("AB", "ABCD") else label
        text.append(f"{name} ", "dim")
        text.append(each.text, "bold green" if each.plausible else "dim")
    return text
