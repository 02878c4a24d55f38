"""A device file by name or path, or the end of the verb with what is wrong in it."""

import sys
from pathlib import Path

import click
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_file import DeviceFileError
from minewatch_drivers.device_files.device_model import DeviceModel

from minewatch.cli import exit_codes
from minewatch.text import Catalogue

FILE_BYTES_MAX = 1024 * 1024
SITE = "site"
"""The category of a file that lies in no folder of the package."""


def load_model(name: str, say: Catalogue) -> DeviceModel:
    """Return the model of a path, else of a shipped name; leave with 74 or 78."""
    path = Path(name)
    try:
        if path.suffix != ".toml" and not path.is_file():
            return device_file.load(name)
        with path.open("rb") as file:
            text = file.read(FILE_BYTES_MAX).decode("utf-8-sig")
        category = path.resolve().parent.name
        known = {device_file.load(each).category for each in device_file.catalogue()}
        return device_file.parse(path.stem, category if category in known else SITE, text)
    except OSError as error:
        click.echo(say.say("device.unreadable", file=name, why=error.strerror), err=True)
        sys.exit(exit_codes.IO_ERROR)
    except UnicodeDecodeError:
        click.echo(say.say("device.unreadable", file=name, why="UTF-8"), err=True)
        sys.exit(exit_codes.IO_ERROR)
    except DeviceFileError as error:
        reason = say.say(f"device_fault.{error.code}", english=error.why, **error.fields)
        click.echo(say.say("device.wrong_key", file=name, at=error.key or "-", reason=reason),
                   err=True)  # fmt: skip
        sys.exit(exit_codes.CONFIGURATION)
