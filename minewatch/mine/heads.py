"""What a head's device file says of its element and its steps: how far it is believed."""

from minewatch_drivers.device_files.device_file import DeviceFileError, catalogue, load
from minewatch_drivers.device_files.device_model import DeviceModel

from minewatch.mine.rules.values import stuck_after_ms
from minewatch.mine.schema import PointTable
from minewatch.mine.shape import Shaped
from minewatch.model.kind import UNITS, Kind


class Heads:
    """Resolves facts of points from their device files; what has none is taken strictly."""

    def __init__(self, shaped: Shaped) -> None:
        self._models: dict[str, DeviceModel] = {}
        known = catalogue()
        for row in shaped.devices:
            if row.table.model in known:
                try:
                    self._models[row.table.id] = load(row.table.model)
                except DeviceFileError:
                    continue

    def is_catalytic(self, table: PointTable) -> bool:
        """Say whether the element burns the gas; a methane head that does not say counts as one."""
        model = self._models.get(table.device)
        if model is None or table.kind is not Kind.METHANE:
            return False
        return model.principle in {"", "catalytic"}

    def stuck_after_ms(self, table: PointTable) -> int:
        """Return how long the head may stand still while its companions move, 0 for no limit.

        Only methane heads have one: no real series of another kind has shown how they stand still.
        """
        if table.kind is not Kind.METHANE or not table.companions:
            return 0
        return stuck_after_ms(self._quantum(table))

    def _quantum(self, table: PointTable) -> int:
        """Return the step of the reading in the kind's smallest unit, at least 1."""
        model = self._models.get(table.device)
        signal = None if model is None else model.signals.get(table.signal)
        if signal is None:
            return 1
        decimals = UNITS[table.kind].decimals
        return max(1, int(signal.scale * 10**decimals))
