"""What the certified system's points become in the mine: their age limits and their comparisons."""

from minewatch_drivers.certified.files_dialect import MODELS, form_of

from minewatch.mine.check_certified import dialect_of
from minewatch.mine.limits import units
from minewatch.mine.rules import Rules
from minewatch.mine.schema import PointTable
from minewatch.mine.shape import Shaped
from minewatch.model.kind import Kind
from minewatch.model.mine import Comparison


class Certified:
    """Resolves points of files lines; other points are none of its business."""

    def __init__(self, shaped: Shaped, rules: Rules) -> None:
        self._shaped = shaped
        self._rules = rules
        urls = {row.table.id: row.table.url for row in shaped.buses}
        self._stale_ms: dict[str, int] = {}
        for row in shaped.devices:
            dialect = dialect_of(urls.get(row.table.bus, ""))
            if dialect is not None and row.table.model in MODELS:
                self._stale_ms[row.table.id] = form_of(dialect, row.table.model).stale_ms

    def stale_ms(self, device: str) -> int:
        """Return the age limit of values from files, 0 for a device on a wire."""
        return self._stale_ms.get(device, 0)

    def comparisons(self) -> tuple[Comparison, ...]:
        """Return each of our points with its companion, and each certified headcount with ours.

        Either side of a pair of points may name the other.
        """
        pairs = []
        for table in self._tables():
            if table.compare_with:
                theirs = table.device in self._stale_ms
                names = (table.compare_with, table.id) if theirs else (table.id, table.compare_with)
                pairs.append(self._pair(names[0], *names, table.kind))
        if self._shaped.readers:
            pairs += [
                self._pair(table.id, table.zone, table.id, table.kind)
                for table in self._tables()
                if table.kind is Kind.HEADCOUNT
            ]
        return tuple(pair for pair in pairs if pair is not None)

    def _tables(self) -> list[PointTable]:
        return [row.table for row in self._shaped.points]

    def _pair(self, pair_id: str, ours: str, theirs: str, kind: Kind) -> Comparison | None:
        rule = self._rules.comparisons.get(kind)
        more_than = None if rule is None else units(kind, rule.more_than)
        if rule is None or more_than is None:
            return None
        return Comparison(
            id=pair_id,
            ours=ours,
            theirs=theirs,
            kind=kind,
            more_than=more_than,
            for_ms=rule.for_s * 1000,
            citation=str(rule.source),
        )
