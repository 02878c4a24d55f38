"""Bytes of a file to text: UTF-8, UTF-8 with BOM, or GB18030 as Excel and WPS save it in China."""

from pathlib import Path

from minewatch.mine.fault import Faults
from minewatch.mine.locate import Where

FILE_BYTES_MAX = 4 * 1024 * 1024


def read_text(path: Path, asked: Where, key: str, faults: Faults) -> str | None:
    """Return a file's text, or None with a fault at the key that asked for it."""
    if not path.is_file():
        faults.add(asked, key, "file_missing", name=str(path))
        return None
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        faults.add(asked, key, "file_unreadable", name=str(path), detail=error.strerror)
        return None
    if len(data) > FILE_BYTES_MAX:
        faults.add(Where(str(path)), "", "file_too_large", limit=FILE_BYTES_MAX)
        return None
    try:
        return decode(data)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        faults.add(Where(str(path), line), "", "bad_encoding")
        return None


def decode(data: bytes) -> str:
    """Return the text of UTF-8 (with or without BOM) or GB18030 bytes.

    Raises:
        UnicodeDecodeError: neither, or UTF-8 that was damaged: read as GB18030 it would be
            nonsense without an error, so mostly sound UTF-8 is never taken for it.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if _mostly_utf8(data) or b"\0" in data:
            raise
        try:
            text = data.decode("gb18030")
        except UnicodeDecodeError:
            raise error from None
    nul = text.find("\0")
    if nul >= 0:
        at = len(text[:nul].encode())
        raise UnicodeDecodeError("utf-8", data, at, at + 1, "zero byte")
    return text


def _mostly_utf8(data: bytes) -> bool:
    """Say whether Chinese characters outnumber damaged bytes eight to one when read as UTF-8."""
    text = data.decode("utf-8", errors="replace")
    damaged = text.count("\ufffd")
    sound = sum("\u4e00" <= each <= "\u9fff" for each in text)
    return sound >= 8 * damaged
