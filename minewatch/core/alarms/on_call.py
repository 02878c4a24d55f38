"""Who is on duty now, and by which channel a step of escalation reaches them (practice 13–14).

The ladder is 岗位(班组) → 区队 → 矿 → 公司 → county. Its rungs come from the duty roster; a rung
that the roster does not name is everybody whose office it is. A channel is a phone behind a living
modem, or the console page that is live on the screen beside who is on duty. Nothing here decides.
"""

from typing import TYPE_CHECKING

from minewatch.core import local_time
from minewatch.model.image import Image
from minewatch.model.mine import Duty, Mine, OutputRole, Role, Rung, Staff

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

HORN, DUTY_LEADER, MINE_HEAD, COMPANY, UNANSWERED = STEPS = (
    "horn",
    "duty_leader",
    "mine_head",
    "company",
    "unanswered",
)
"""Whom each step reaches; the last is everybody and the county, and it repeats."""

RUNGS: dict[str, Rung] = {
    HORN: Rung.POST,
    DUTY_LEADER: Rung.DISTRICT,
    MINE_HEAD: Rung.MINE,
    COMPANY: Rung.COMPANY,
}

OFFICES: dict[Rung, frozenset[Role]] = {
    Rung.POST: frozenset(),
    Rung.DISTRICT: frozenset({Role.DUTY_LEADER}),
    Rung.MINE: frozenset({Role.MINE_HEAD, Role.CHIEF_ENGINEER}),
    Rung.COMPANY: frozenset(),
}
"""Who stands on a rung that the roster does not name."""

LIVE_MS = 60_000
"""A page that was seen within this time is live."""


def schedule(mine: Mine) -> tuple[tuple[str, int], ...]:
    """Return each step with its time after the alarm, in ms, in the order of the ladder."""
    rules = mine.escalation
    seconds = {
        HORN: rules.horn_s,
        DUTY_LEADER: rules.duty_leader_s,
        MINE_HEAD: rules.mine_head_s,
        COMPANY: rules.company_s,
        UNANSWERED: rules.county_s,
    }
    has_company = any(each.rung is Rung.COMPANY for each in mine.duties)
    return tuple((to, s * 1000) for to, s in seconds.items() if to != COMPANY or has_company)


def on_duty(mine: Mine, rung: Rung, image: Image) -> tuple[Duty, ...]:
    """Return the roster's rows of a rung that count now; all of them without a trusted clock."""
    rows = (each for each in mine.duties if each.rung is rung)
    minute = local_time.week_minute(image.wall_ms)
    return tuple(each for each in rows if not image.wall_trusted or each.is_on(minute))


def reached(draft: "Draft", to: str) -> tuple[str, ...]:
    """Return whom a step reaches now, by channel; empty where it reaches nobody."""
    found: set[str] = set()
    for rung in RUNGS.values() if to == UNANSWERED else (RUNGS[to],):
        found |= _of_rung(draft, rung)
    if to == HORN:
        found |= _at_the_post(draft)
    if to == UNANSWERED and draft.mine.uploads and "upload" not in draft.durable.house.faults:
        found.add("upload")
    return tuple(sorted(found))


def has_channels(mine: Mine) -> bool:
    """Say whether people are reached at all: by a modem, or on a screen of the roster."""
    return bool(mine.modems) or any(each.screen for each in mine.duties)


def _of_rung(draft: "Draft", rung: Rung) -> set[str]:
    mine, image = draft.mine, draft.image
    rows = on_duty(mine, rung, image)
    found = {f"screen:{each.screen}" for each in rows if _is_live(draft, each.screen)}
    if any(f"bus:{each}" not in draft.durable.house.faults for each in mine.modems):
        found |= {f"sms:{each.code}" for each in _people(mine, rung, rows) if each.phone}
    return found


def _people(mine: Mine, rung: Rung, rows: tuple[Duty, ...]) -> list[Staff]:
    if not any(each.rung is rung for each in mine.duties):
        return [each for each in mine.staff if each.role in OFFICES[rung]]
    codes = {code for each in rows for code in each.staff}
    return [each for each in mine.staff if each.code in codes]


def _is_live(draft: "Draft", screen: str) -> bool:
    seen_ms = draft.volatile.alarms.screens.get(screen) if screen else None
    return seen_ms is not None and draft.image.now_ms - seen_ms <= LIVE_MS


def _at_the_post(draft: "Draft") -> set[str]:
    """Return what sounds in the dispatch room: the corridor horn, a page that is heard."""
    found = {"horn" for o in draft.plan.driven.values() if o.role is OutputRole.HORN}
    if any(_is_live(draft, each) for each in draft.volatile.alarms.screens):
        found.add("page")
    return found
