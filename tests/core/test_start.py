"""Start and recovery: design rule 6, for each way in which a contact can be found."""

from dataclasses import replace

import pytest

from minewatch.core.fold import recover
from minewatch.model.image import Notice
from minewatch.model.mine import OutputRole


def _started(rig, prior: str):
    return rig.turn(
        ms=100, scan=True, notices=(Notice("controller_started", "", {"prior": prior, "run": "r",
                                    "version": "0.1.0", "config": "c"}),)
    )  # fmt: skip


@pytest.mark.parametrize("prior", ["first", "clean", "crash"])
@pytest.mark.parametrize("contact", [True, False, None])
@pytest.mark.parametrize("latched", [False, True])
def test_contacts_found_at_start(rig_of, mine_of, prior: str, contact, *, latched: bool) -> None:
    """Disk, read-back or its absence keeps a cut; only a first start trusts open contacts."""
    before = rig_of(mine_of())
    if latched:
        before.start()
        before.turn(readings={"Z0_H0": 160})
    rig = rig_of(mine_of(), now_ms=before.now_ms)
    rig.state = type(rig.state)(durable=recover(before.events))
    for output in rig.mine.outputs:
        if output.role is OutputRole.POWER_CUT:
            rig.written[output.id] = bool(contact)
    rig.silent_relays = contact is None
    _started(rig, prior)
    rig.run(3)
    lost = contact is None or (contact is False and prior != "first")
    expected = (["controller_lost"] if lost else []) + (["trip:Z0_H0"] if latched else [])
    assert rig.causes == expected
    assert rig.written["cut_Z0"] is not (lost or latched)
    assert rig.written["cut_Z1"] is not lost
    if lost:
        cause = rig.state.durable.interlock.causes["controller_lost"]
        assert ("cut_Z0" in cause.outputs) is not latched


def test_no_output_is_written_before_everything_answered(rig_of, mine_of) -> None:
    """While a proof or read-back is missing the table is None; then it is complete."""
    rig = rig_of(mine_of())
    assert rig.turn().outputs is None
    assert rig.turn(readings={"FEED_Z0": 1}).outputs is None
    assert rig.turn(scan=True).outputs is not None


def test_a_silent_relay_is_awaited_for_two_seconds(rig_of, mine_of) -> None:
    """Nothing is written for 2 s; then whoever has not answered is cut."""
    rig = rig_of(mine_of(), silent_relays=True)
    rig.turn(ms=0, scan=True)
    begun_ms = rig.now_ms
    while rig.turn(scan=True).outputs is None:
        assert rig.now_ms - begun_ms < 2_000
    assert rig.now_ms - begun_ms == 2_000
    assert rig.causes == ["controller_lost"]


def test_controller_lost_is_one_form(rig_of, mine_of) -> None:
    """Contacts that our absence opened are released together, each place with its hand value."""
    rig = rig_of(mine_of()).start()
    rig.restart()
    rig.run(65)
    assert rig.causes == ["controller_lost"]
    cuts = ["cut_Z0", "cut_Z1", "cut_main"]
    heads = ("Z0_H0", "Z0_H1", "Z1_H0", "Z1_H1")
    granted = rig.release(*cuts, values=dict.fromkeys(heads, 4))
    assert granted.kind == "release_granted"
    rig.run(1)
    assert [rig.written[each] for each in cuts] == [True] * 3


def test_without_a_notice_the_ledger_says_whether_it_is_the_first_start(rig_of, mine_of) -> None:
    """An empty ledger is a first start; a ledger with anything in it is a crash."""
    rig = rig_of(mine_of()).start()
    assert rig.of("controller_started")[0].data["prior"] == "first"
    rig.restart()
    assert rig.of("controller_started")[1].data["prior"] == "crash"


def test_after_a_gap_contacts_are_proven_anew(rig) -> None:
    """A box that slept past its relays' watchdog finds open contacts and does not close them."""
    for output in rig.mine.outputs:
        if output.role is OutputRole.POWER_CUT:
            rig.written[output.id] = False
    rig.turn(ms=30_000, scan=True)
    rig.run(3)
    assert rig.causes == ["controller_lost"]


def test_everything_that_matters_survives_a_crash(rig) -> None:
    """Latches, acknowledgements, covers, bypasses and calibrations are the fold of the ledger."""
    rig.turn(readings={"Z0_H0": 160})
    rig.world["Z0_H0"] = 160
    rig.command("acknowledge", "S1", alarms=sorted(rig.state.durable.alarms.items)[:2])
    rig.command("hand_cover", "S4", point="Z1_H0", checker="S7")
    rig.approved("bypass", "S4", "S3", point="Z0_H1", minutes=60)
    rig.command("calibrate", "S6", point="Z1_H1")
    rig.command("hand_value", "S7", point="Z0_H0", value=7)
    before = rig.state.durable
    assert recover(rig.events) == before
    rig.restart()
    after = rig.state.durable
    assert after.interlock.causes.keys() >= before.interlock.causes.keys()
    assert after.alarms.items.keys() >= before.alarms.items.keys()
    assert [each.state for each in after.alarms.items.values()][:2] == [
        each.state for each in before.alarms.items.values()
    ][:2]
    assert after.interlock.covers.keys() == {"Z1_H0"}
    assert after.interlock.bypasses.keys() == {"Z0_H1"}
    assert after.calibrations.open.keys() == {"Z1_H1"}
    assert after.interlock.hand_values.keys() == {"Z0_H0"}


def test_a_siren_whose_order_was_lost_sounds_on(rig, rig_of) -> None:
    """I4: a withdrawal that the disk never took is raised again by the siren that sounds for it."""
    kept = len(rig.events)
    rig.turn(readings={"Z0_H0": 160})
    assert rig.written["siren_Z0"]
    written = dict(rig.written)
    after = rig_of(rig.mine, now_ms=rig.now_ms + 3000, written=written)
    after.state = type(after.state)(durable=recover(rig.events[:kept]))
    after.run(4)
    assert after.written["siren_Z0"]
    assert not after.written["siren_Z1"]
    standing = after.state.durable.withdrawal.standing
    assert (standing.zones, standing.causes) == (("Z0",), ("controller_lost",))


def test_an_all_clear_on_disk_is_not_undone_by_a_crash(rig) -> None:
    """A crash between the all-clear and the siren's silence raises no second withdrawal."""
    raised = rig.command("withdraw", "S1", zones=["Z0"])
    rig.run(2)
    rig.approved("all_clear", "S3", "S4", withdrawal=raised.data["withdrawal"])
    assert not rig.of("withdrawal_ended")
    assert rig.written["siren_Z0"]
    rig.restart()
    rig.run(4)
    assert len(rig.of("withdrawal_raised")) == 1
    assert len(rig.of("withdrawal_ended")) == 1
    assert not rig.written["siren_Z0"]


def test_alarms_of_what_a_new_configuration_lost_end_at_its_start(rig, rig_of) -> None:
    """A point that is gone can clear nothing itself: its alarms end when the run begins."""
    rig.turn(readings={"Z0_H0": 120})
    assert any("/Z0_H0" in key for key in rig.state.durable.alarms.standing)
    points = tuple(each for each in rig.mine.points if each.id != "Z0_H0")
    after = rig_of(replace(rig.mine, points=points, interlocks=()), now_ms=rig.now_ms + 3000)
    after.state = type(after.state)(durable=recover(rig.events))
    after.run(4)
    items = after.state.durable.alarms.items.values()
    assert not [each for each in items if each.source == "Z0_H0" and each.active]
