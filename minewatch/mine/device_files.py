"""Device files that a configuration brings along: `devices/<model>.toml` beside its main file.

Only those that a device names are read. They travel as text in the `Mine`, so a mine gets a device
of its own without touching the installed package; a shipped name may not be taken.
"""

from pathlib import Path

from minewatch_drivers.device_files import device_file

from minewatch.mine.fault import Faults
from minewatch.mine.shape import Shaped
from minewatch.mine.text_file import read_text
from minewatch.model.device_text import DeviceText

FOLDER = "devices"
CATEGORY = "site"


def read(shaped: Shaped, faults: Faults) -> tuple[DeviceText, ...]:
    """Return the configuration's own device files, by name; let this process know them."""
    found: dict[str, DeviceText] = {}
    shipped = device_file.shipped()
    folder = Path(shaped.main.file).parent / FOLDER
    for row in shaped.devices:
        name = row.table.model
        path = folder / f"{name}.toml"
        if name in found or Path(name).name != name or not path.is_file():
            continue
        if name in shipped:
            faults.add(row.where, "model", "shipped_model", got=name, file=str(path))
            continue
        text = read_text(path, row.where, "model", faults)
        if text is not None:
            found[name] = DeviceText(name, CATEGORY, text)
    own = tuple(found[name] for name in sorted(found))
    device_file.provide(own)
    return own
