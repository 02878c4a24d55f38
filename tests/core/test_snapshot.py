"""The snapshot of what survives, and recovery from any place of the ledger."""

import itertools
import json

import pytest

from minewatch.core import snapshot
from minewatch.core.fold import FOLDS, apply, recover
from minewatch.core.snapshot import durable_from_event, durable_from_json, durable_to_json
from minewatch.core.state import Durable
from minewatch.model.canonical import canonical
from minewatch.model.event import Event
from minewatch.model.quality import Quality


def _busy(rig) -> None:
    """Bring something into every table that survives."""
    rig.turn(readings={"Z0_H0": 160})
    rig.world["Z1_H1"] = Quality.OVER_RANGE
    rig.command("hand_cover", "S4", point="Z1_H0", checker="S7")
    rig.approved("bypass", "S4", "S3", point="Z0_H1", minutes=60)
    rig.command("hand_value", "S7", point="Z0_H0", value=7)
    rig.command("cut", "S1", output="cut_Z1")
    rig.run(12)
    rig.command("silence", "S1")


def _through_json(event: Event) -> Event:
    return Event.from_leaf(json.loads(event.leaf()), event.text)


def test_the_round_trip_loses_nothing(rig) -> None:
    """A durable state with something in every table comes back equal through canonical bytes."""
    _busy(rig)
    durable = rig.state.durable
    assert durable_from_json(json.loads(canonical(durable_to_json(durable)))) == durable


def test_recovery_from_every_event_on(rig, monkeypatch) -> None:
    """From nothing, and from every snapshot on, the fold of the leaves is the same state."""
    monkeypatch.setattr(snapshot, "EVENTS_MAX", 7)
    _busy(rig)
    leaves = [_through_json(event) for event in rig.events]
    whole = recover(leaves)
    assert whole == rig.state.durable
    snapshots = [n for n, event in enumerate(leaves) if event.kind == "state"]
    assert len(snapshots) > 2
    for place in snapshots:
        assert recover(leaves[place + 1 :], durable_from_event(leaves[place])) == whole
        assert recover(leaves[place:]) == whole


def test_a_snapshot_is_due_long_before_ten_thousand_events(rig, monkeypatch) -> None:
    """The distance of two snapshots stays below 10 000 entries whatever one cycle decides."""
    assert snapshot.EVENTS_MAX <= 9_000
    monkeypatch.setattr(snapshot, "EVENTS_MAX", 20)
    for n in range(60):
        rig.turn(readings={"Z0_H0": 120 if n % 2 else 0})
    places = [n for n, event in enumerate(rig.events) if event.kind == "state"]
    assert places[0] <= 30
    assert all(after - before <= 30 for before, after in itertools.pairwise(places))


def test_an_unknown_past_is_never_guessed() -> None:
    """A kind that this version does not know stops recovery."""
    with pytest.raises(KeyError):
        apply(Durable(), Event("from_the_future", 1, 0, 0, 0, True, {}))


@pytest.mark.parametrize("value", [{"index": "x", "nobody": 1}, {"alarms": 3}, []])
def test_a_broken_snapshot_is_an_error(value) -> None:
    """What is no durable state of this version is a ValueError, never a default."""
    with pytest.raises(ValueError, match="not a durable state"):
        durable_from_json(value)


def test_every_emitted_kind_has_a_fold(rig) -> None:
    """No event can be emitted that recovery would not understand."""
    _busy(rig)
    assert {event.kind for event in rig.events} <= set(FOLDS)
