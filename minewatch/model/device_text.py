"""A device file as a configuration carries it: the text, so that it means the same everywhere."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceText:
    """A device file that the configuration brings along; `text` is its TOML."""

    name: str
    category: str
    text: str
