"""Which device files fit a unit: identity first, then whether all that is read makes sense.

Reads are shared between files and bounded; nothing is read that any file still possible forbids,
because the unit might be that device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from minewatch.model.quality import Quality
from minewatch_drivers.commission.ask import Asker, AskError, read_block
from minewatch_drivers.commission.live import Look, look
from minewatch_drivers.device_files.device_model import DeviceModel
from minewatch_drivers.device_files.reader_model import Drain
from minewatch_drivers.wire import modbus

READS_MAX = 200
"""Questions to one unit while device files are tried; what was not tried is said to be so."""

SOUND = frozenset({Quality.GOOD, Quality.WARMUP, Quality.CALIBRATION, Quality.INHIBITED})
"""Qualities that a healthy device may have; the others mean that the file reads nonsense."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a file fits. `reason` is `identity`, `values`, `empty` or `partly`.

    `good` of `count` signals made sense; `empty` says that all words were 0, which fits anything.
    """

    model: str
    score: int
    reason: str
    good: int
    count: int


def fits(
    asker: Asker, unit: int, models: Sequence[DeviceModel], known: Sequence[DeviceModel]
) -> tuple[Fit, ...]:
    """Return which of `models` fit `unit`, best first; `known` are all that forbid reads.

    Raises:
        OSError: the port or the daemon is gone.
    """
    shared = _Shared(asker, unit)
    feared = [each for each in known if each.forbidden]
    tried = [each for each in models if each.serial is None and each.signals]
    found: list[Fit] = []
    for model in (*feared, *(each for each in tried if each not in feared)):
        others = tuple(span for each in feared if each is not model for span in each.forbidden)
        guarded = _Guarded(shared, others)
        fit = _fit(model, look(guarded, unit, model))
        if fit is None and model in feared and _is_another(guarded, unit, model):
            feared.remove(model)
        if fit is not None and model in tried:
            found.append(fit)
    named = [each for each in found if each.reason == "identity"]
    return tuple(sorted(named or found, key=lambda each: -each.score))


def _is_another(asker: Asker, unit: int, model: DeviceModel) -> bool:
    """Return whether the unit has shown that it is no device of `model`: it refused what that has.

    Nonsense in a signal proves it as well, but only where the file has signals.
    """
    form = model.reader
    try:
        if isinstance(form, Drain) and form.count is not None:
            read_block(asker, unit, form.table, form.count, 1)
    except AskError as error:
        return error.refused
    seen = look(asker, unit, model)
    wrong = any(each.error.startswith("exception_") for each in seen.shown)
    return wrong or seen.identity is False or (bool(seen.shown) and not _made_sense(seen))


def _made_sense(seen: Look) -> bool:
    """Return whether any signal did; one that was not asked for might have."""
    return any(each.quality in SOUND or each.error == "forbidden" for each in seen.shown)


def _fit(model: DeviceModel, seen: Look) -> Fit | None:
    """Return how well `model` fits what was read, None where it cannot be this device."""
    count = len(seen.shown)
    good = sum(each.quality in SOUND and not each.error for each in seen.shown)
    if seen.identity is False or not good or any(each.error for each in seen.shown):
        return None
    empty = not any(any(each.raw) for each in seen.shown)
    if seen.identity:
        return Fit(model.name, 1000 + 100 * good // count, "identity", good, count)
    if empty:
        return Fit(model.name, 1, "empty", good, count)
    if good < count:
        return Fit(model.name, 100 * good // count, "partly", good, count)
    return Fit(model.name, 200 + min(count, 50), "values", good, count)


@dataclass
class _Shared:
    """Answers of one unit, kept so that no question is asked twice; refusals too."""

    asker: Asker
    unit: int
    known: dict[bytes, bytes | AskError] = field(default_factory=dict)

    def ask(self, unit: int, pdu: bytes) -> bytes:
        found = self.known.get(pdu)
        if found is None:
            if len(self.known) >= READS_MAX:
                raise AskError("too_many")
            try:
                found = self.asker.ask(unit, pdu)
            except AskError as error:
                found = error
            self.known[pdu] = found
        if isinstance(found, AskError):
            raise found
        return found


@dataclass(frozen=True)
class _Guarded:
    """Refuses what a file that is still possible forbids to read."""

    inner: _Shared
    forbidden: tuple[tuple[int, int], ...]

    def ask(self, unit: int, pdu: bytes) -> bytes:
        request = modbus.parse_request(unit, pdu)
        first, last = request.address, request.address + request.count - 1
        if any(first <= high and low <= last for low, high in self.forbidden):
            raise AskError("forbidden")
        return self.inner.ask(unit, pdu)
