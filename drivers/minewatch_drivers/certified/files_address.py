"""The url of a files line: files:///folder?dialect=2019, and &code=<mine code> where it differs."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

SCHEME = "files"
DIALECT_DEFAULT = "2019"

_CODE = re.compile(r"[0-9A-Za-z]{6,32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class FilesAddress:
    """A folder, how its files are written, and which mine they are of ('': the mine's own code)."""

    path: str
    dialect: str
    code: str


def parse_files_address(url: str) -> FilesAddress:
    """Return what `url` says; whether dialect and folder exist is not looked at.

    Raises:
        ValueError: not files:///absolute/path with known keys after it.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    path = unquote(parts.path)
    single = all(len(values) == 1 for values in query.values())
    if parts.scheme != SCHEME or set(query) - {"dialect", "code"} or not single:
        raise ValueError(f"not a folder of files: {url!r}")
    if parts.netloc or parts.fragment or not path.startswith("/") or "\0" in path:
        raise ValueError(f"the folder must be an absolute path: {url!r}")
    code = query.get("code", [""])[0]
    if code and not _CODE.fullmatch(code):
        raise ValueError(f"no mine code: {url!r}")
    return FilesAddress(path.rstrip("/") or "/", query.get("dialect", [DIALECT_DEFAULT])[0], code)
