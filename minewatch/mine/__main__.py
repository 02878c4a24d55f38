"""`python -m minewatch.mine CONFIG OUT` writes the canonical mine: a child of the supervisor.

Faults go to standard error in both languages; with an error nothing is written.
Exit codes: 0 written, 2 usage, 74 OUT cannot be written, 78 the configuration is refused.
"""

import sys
from pathlib import Path

from minewatch.mine import Severity, load
from minewatch.model.codec import mine_to_json
from minewatch.text import Catalogue

OK, USAGE, IO_ERROR, CONFIGURATION = 0, 2, 74, 78
"""The same numbers as `minewatch.cli.exit_codes`; this room may not import the command line."""


def main(arguments: list[str]) -> int:
    """Load CONFIG and write its canonical bytes to OUT; return the exit code."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m minewatch.mine CONFIG OUT\n")
        return USAGE
    config, out = arguments
    loaded = load(config)
    for language in ("zh-CN", "en"):
        catalogue = Catalogue.load(language)
        for fault in loaded.faults:
            words = fault.say(catalogue)
            mark = "" if fault.severity is Severity.ERROR else f"({fault.severity.value}) "
            sys.stderr.write(f"{words.where}: {mark}{words.what} {words.why} {words.do}\n")
    if loaded.mine is None:
        return CONFIGURATION
    try:
        Path(out).write_bytes(mine_to_json(loaded.mine))
    except OSError as error:
        sys.stderr.write(f"{out}: {error.strerror}\n")
        return IO_ERROR
    return OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
