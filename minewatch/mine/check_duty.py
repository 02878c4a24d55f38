"""The duty roster: no hour without anybody, nobody whom no channel reaches (practice 14)."""

from minewatch.mine import build_duty
from minewatch.mine.fault import Faults
from minewatch.mine.shape import Shaped
from minewatch.model.mine import Rung
from minewatch.model.staff import WEEK_MINUTES, Duty

DAY_MINUTES = 24 * 60


def check(shaped: Shaped, faults: Faults) -> None:
    """Warn of what a step of escalation would find empty; it loads all the same."""
    if not shaped.whole("duty", "staff", "bus", "device") or not shaped.duties:
        return
    _holes(shaped, faults)
    _channels(shaped, faults)


def _holes(shaped: Shaped, faults: Faults) -> None:
    for rung in Rung:
        rows = [row for row in shaped.duties if row.table.rung is rung]
        empty = holes(tuple(build_duty.duty(row.table) for row in rows))
        if rows and empty:
            day, minute = divmod(empty[0], DAY_MINUTES)
            time = f"{minute // 60:02d}:{minute % 60:02d}"
            faults.warn(
                rows[0].where, "start", "roster_hole",
                rung=rung.value, minutes=len(empty), day=day + 1, time=time,
            )  # fmt: skip


def holes(rows: tuple[Duty, ...]) -> list[int]:
    """Return the minutes of the week in which none of the rows is on duty."""
    covered: set[int] = set()
    for row in rows:
        for day in row.weekdays:
            first = (day - 1) * DAY_MINUTES + row.start_minute
            covered |= {minute % WEEK_MINUTES for minute in range(first, first + row.minutes)}
    return [minute for minute in range(WEEK_MINUTES) if minute not in covered]


def _channels(shaped: Shaped, faults: Faults) -> None:
    """Warn of people on the roster whom neither a phone nor a screen reaches."""
    phones = {row.table.code: row.table.phone for row in shaped.staff}
    terminals = shaped.console.table.terminals if shaped.console is not None else []
    has_modem = bool(build_duty.modems(shaped))
    for row in shaped.duties:
        table = row.table
        if table.screen is not None:
            if table.screen not in terminals:
                faults.warn(row.where, "screen", "unknown_terminal", got=table.screen)
            continue
        mute = [code for code in table.staff if not phones.get(code)]
        if mute:
            faults.warn(row.where, "staff", "duty_unreachable", wanted=", ".join(mute))
        elif not has_modem:
            faults.warn(row.where, "staff", "duty_no_modem")
