"""The statutory tables: whole units, citations, and the rows that the issue of safety turns on."""

from decimal import Decimal

import pytest

from minewatch.mine.limits import ORDER, units
from minewatch.mine.rules import Place, Status, load_rules
from minewatch.model.kind import Kind
from minewatch.model.mine import ZoneKind

PLACES = load_rules().places


@pytest.mark.parametrize("place", PLACES.values(), ids=lambda each: each.id)
def test_every_row_is_whole_and_in_order(place: Place) -> None:
    """Limits are whole units, above zero, in the order of a warning that grows."""
    for kind in place.kinds:
        values = {name: units(kind, printed) for name, printed in place.limits.items()}
        assert all(value is not None and value > 0 for value in values.values())
        for lower, upper in ORDER:
            low, high = values.get(lower), values.get(upper)
            assert low is None or high is None or low <= high
    assert ("trip" in place.limits) == ("restore" in place.limits)
    assert place.kinds


def test_every_row_says_where_it_comes_from() -> None:
    """No number without a citation and a word on how sure it is."""
    sources = list(load_rules().sources())

    assert len(sources) > 60
    assert all(each.citation and each.status in Status for each in sources)


@pytest.mark.parametrize(
    ("place", "alarm", "trip", "restore"),
    [
        ("face_return_corner", "1.00", "1.50", "1.00"),
        ("face", "1.00", "1.50", "1.00"),
        ("face_return", "1.00", "1.00", "1.00"),
        ("face_intake_high_gas", "0.50", "0.50", "0.50"),
        ("heading", "1.00", "1.50", "1.00"),
        ("heading_return", "1.00", "1.00", "1.00"),
        ("district_return", "1.00", "1.00", "1.00"),
        ("machine_borne", "1.00", "1.50", "1.00"),
        ("belt_return_shaft", "0.50", "0.70", "0.70"),
        ("coal_bunker", "1.50", "1.50", "1.50"),
    ],
)
def test_methane_rows(place: str, alarm: str, trip: str, restore: str) -> None:
    """The rows that every coal mine has, number by number."""
    limits = PLACES[place].limits
    found = (limits["alarm"], limits["trip"], limits["restore"])

    assert found == (Decimal(alarm), Decimal(trip), Decimal(restore))


def test_the_return_of_the_whole_mine_warns_and_cuts_nothing() -> None:
    """0.75 in the total return alarms; no text prescribes a cut there."""
    assert PLACES["total_return"].limits == {"alarm": Decimal("0.75")}


def test_faces_and_headings_are_guarded_by_their_own_rows() -> None:
    """Each area has a row whose head it must have, with a trip and a withdrawal."""
    guards = {each.guards: each for each in PLACES.values() if each.guards is not None}

    assert set(guards) == {ZoneKind.FACE, ZoneKind.HEADING}
    assert all({"trip", "withdraw"} <= set(each.limits) for each in guards.values())


def test_what_guards_people_is_never_only_recorded() -> None:
    """Gas, oxygen, carbon monoxide and feed states need a row with a purpose."""
    forbidden = {Kind.METHANE, Kind.CARBON_MONOXIDE, Kind.OXYGEN, Kind.FEED_STATE, Kind.SMOKE}

    assert forbidden.isdisjoint(PLACES["record_only"].kinds)


@pytest.mark.parametrize(
    ("zone", "mechanised", "shift", "severe", "other"),
    [
        (ZoneKind.FACE, True, "maintenance", 40, 30),
        (ZoneKind.FACE, True, "production", 25, 20),
        (ZoneKind.FACE, False, "production", 25, 25),
        (ZoneKind.FACE, False, "maintenance", 25, 25),
        (ZoneKind.HEADING, True, "production", 18, 16),
        (ZoneKind.HEADING, False, "maintenance", 15, 12),
    ],
)
def test_area_quotas(zone: ZoneKind, mechanised: bool, shift: str, severe: int, other: int) -> None:
    """Articles 5 and 6, cell by cell."""
    quota = load_rules().area_quota(zone, mechanised, shift)

    assert quota is not None
    assert (quota.limit(True), quota.limit(False)) == (severe, other)
    assert quota.source.status is Status.UNCONFIRMED


def test_other_zones_have_no_quota() -> None:
    """Only faces and headings have limits of their own."""
    assert load_rules().area_quota(ZoneKind.RETURN, True, "production") is None


def test_what_keeps_people_alive_is_never_a_load() -> None:
    """Fans, drainage and the monitoring supply are refused, with a reason each."""
    forbidden = {kind for kind, row in load_rules().loads.items() if row.forbidden}

    assert forbidden == {"main_fan", "local_fan", "drainage_pump", "monitoring_supply"}
    assert all(load_rules().loads[kind].source for kind in forbidden)


def test_the_profile_names_version_and_bytes() -> None:
    """Two mines with one profile were judged by the same tables."""
    version, _, digest = load_rules().profile.partition("+")

    assert version == load_rules().version
    assert len(digest) == 64
