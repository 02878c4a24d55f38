"""Fault 14: another master writes our coils; what it did is undone with the next refresh."""

from minewatch_sim.people import Habits
from minewatch_sim.scenario import Scenario

UNDONE_MS = 1_000
"""A quarter of the relay's watchdog is the refresh of every level; the rest is the line's turn."""


def test_what_another_master_writes_is_undone_within_a_second(make_house) -> None:
    """A writer on the serial line flips sirens, horn and gate again and again; none stays so."""
    house = make_house(Scenario("quiet", Habits(underground=0)))
    house.run(10)
    house.plant.log.clear()
    house.plant.do("fault", target="line_headings", name="second_writer", share=0.1, delay_ms=30)
    house.run(60)
    house.plant.do("end_fault", target="line_headings")
    house.run(5)

    wrong_since_us: dict[str, int] = {}
    spells_ms: list[int] = []
    wanted = {key: shown["wanted"] for key, shown in house.view()["outputs"].items()}
    for entry in house.plant.log:
        if entry.what != "coil" or entry.subject not in wanted:
            continue
        if bool(entry.value) != wanted[entry.subject]:
            wrong_since_us[entry.subject] = entry.at_us
        elif entry.subject in wrong_since_us:
            spells_ms.append((entry.at_us - wrong_since_us.pop(entry.subject)) // 1000)
    assert house.plant.faults.struck["second_writer"] >= 20
    assert len(spells_ms) >= 20
    assert wrong_since_us == {}
    assert max(spells_ms) <= UNDONE_MS
