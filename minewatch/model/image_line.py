"""An image as its canonical journal line, made faster than by a JSON encoder.

The line is exactly `encode(image.to_row())`, byte for byte: what is hashed, sealed and replayed.
Most exchanges bring whole numbers of GOOD quality from the same points again and again, so their
text is kept as a template into which only the numbers are printed.
"""

from collections.abc import Sequence

from minewatch.model.canonical import encode
from minewatch.model.image import Image, Sample

TEMPLATES_MAX = 4096
"""Exchanges whose text is remembered; beyond it all are forgotten and made again."""

_WHOLE = {int}
"""The types of values that print as `%d`: no None, and no bool, which JSON spells in words."""


class ImageLines:
    """Makes lines; keeps templates only, so that any number of images give the same bytes."""

    def __init__(self) -> None:
        self._templates: dict[tuple[str, ...], str] = {}

    def line(self, image: Image) -> bytes:
        """Return `encode(image.to_row())`."""
        row = image.to_row()
        if not image.samples:
            return encode(row)
        head, tail = encode(row[:5]), encode(row[6:])
        samples = ",".join(map(self._sample, image.samples)).encode()
        return b"%s,[%s],%s" % (head[:-1], samples, tail[1:])

    def _sample(self, sample: Sample) -> str:
        device, sampled_ms, readings = sample
        if readings:
            points, values, qualities = zip(*readings, strict=True)
            if not any(qualities) and set(map(type, values)) == _WHOLE:
                template = self._templates.get(points) or self._learn(points)
                return f"[{_text(device)},{sampled_ms:d},{template % values}]"
        return _text(sample)

    def _learn(self, points: tuple[str, ...]) -> str:
        if len(self._templates) >= TEMPLATES_MAX:
            self._templates.clear()
        quoted = (_text(point).replace("%", "%%") for point in points)
        template = self._templates[points] = f"[{','.join(f'[{q},%d,0]' for q in quoted)}]"
        return template


def _text(value: str | Sequence[object]) -> str:
    return encode(value).decode()
