"""Invariants of people and what they are shown: withdrawal, counts, alarms, names
(I4, I6, I8, I9, I10, I12, I13, I26, I27)."""

from collections import deque

from minewatch.model.event import Event
from minewatch.model.image import Command
from minewatch.model.kind import Kind
from minewatch.model.mine import Output, Role
from minewatch.model.quality import Quality
from minewatch_sim.campaign.invariant import Frame, Invariant, Words
from minewatch_sim.campaign.witness import SOUNDERS, Turn, Witness

WINDOW_MS = 14_000
"""A passage is read and told within this time, a silent reader named."""

COUNT_MS = 2_000
HORN_MS = 32_000
STALE_SLACK_MS = 1_000
NEVER_SHELVED = frozenset({"trip", "withdraw", "failed_actuation", "feed_abnormal", "over_range"})


class WithdrawalStands(Invariant):
    """I4: who is ordered out stays ordered out until two names say otherwise."""

    code = "I4"
    says = "a withdrawal sounds until its all-clear by two names is on disk; a restart ends nothing"

    def turn(self, w: Witness, t: Turn) -> Words:
        """Look at ends of withdrawals and at sirens of those that stand."""
        for event in t.events:
            if event.kind == "withdrawal_ended":
                yield from self._ended(w, t, event)
        standing = w.account.withdrawal
        if standing is None or t.outputs is None:
            return
        for output in w.wiring.driven.values():
            hears = output.role in SOUNDERS and _hears(output, standing.zones)
            if hears and not t.outputs.get(output.id):
                yield f"{output.id} is silent while {standing.id} stands"

    def second(self, w: Witness, frame: Frame) -> Words:
        """It is shown while it stands."""
        standing = w.account.withdrawal
        if standing is not None and standing.id not in frame["withdrawals"]:
            yield f"{standing.id} stands and is not shown"

    def _ended(self, w: Witness, t: Turn, event: Event) -> Words:
        name = event.data["withdrawal"]
        clears = [
            (n, each.data)
            for n, each in enumerate(w.house.bench.store.events)
            if each.kind == "all_clear_given" and each.data["withdrawal"] == name
        ]
        if not clears or clears[-1][0] >= t.image.durable_index:
            yield f"{name} ended although its all-clear is not on disk"
        elif clears[-1][1]["by"] == clears[-1][1]["second"]:
            yield f"{name} ended on one name"


def _hears(output: Output, zones: tuple[str, ...]) -> bool:
    return "mine" in zones or bool(set(output.covers or (output.zone,)) & set(zones))


class TrueCount(Invariant):
    """I6: the true number of people lies between lo and hi, but for reads that are under way."""

    code = "I6"
    says = "lo <= people underground <= hi, within the time that a read takes to be told"

    def __init__(self) -> None:
        self._truths: deque[tuple[int, int]] = deque()

    def second(self, w: Witness, frame: Frame) -> Words:
        """Compare the shown span with the truth of the last seconds."""
        now_ms = w.house.now_ms
        self._note(w, now_ms)
        count = frame["headcount"]
        readers = {*(r.device for r in w.wiring.mine.readers), "gate_counter"}
        if not all(w.is_calm(each, now_ms, 2 * WINDOW_MS) for each in readers):
            return
        least = min(n for _, n in self._truths)
        most = max(n for _, n in self._truths)
        if count["lo"] > most:
            yield f"at least {count['lo']} are shown, {least} to {most} were there"
        if count["hi"] is not None and count["hi"] < least - w.account.closed:
            yield f"at most {count['hi']} are shown, {least} to {most} were there"

    def dark(self, w: Witness, now_ms: int) -> Words:
        """The truth goes on while nobody looks."""
        self._note(w, now_ms)
        yield from ()

    def _note(self, w: Witness, now_ms: int) -> None:
        self._truths.append((now_ms, w.house.plant.truth().total))
        while self._truths[0][0] < now_ms - WINDOW_MS:
            self._truths.popleft()


class OverLimitSaid(Invariant):
    """I8: more people than the limit is said within T."""

    code = "I8"
    says = "a shown span beyond its limit has an alarm within 2 s, except in the handover window"

    def __init__(self) -> None:
        self._since_ms: int | None = None

    def second(self, w: Witness, frame: Frame) -> Words:
        """Look at the mine's span and alarms."""
        count, now_ms = frame["headcount"], w.house.now_ms
        over = count["hi"] is not None and count["hi"] > count["limit"]
        if not over or count["handover_until_ms"] is not None:
            self._since_ms = None
            return
        self._since_ms = now_ms if self._since_ms is None else self._since_ms
        said = w.account.stands("over_limit", "mine") or w.account.stands(
            "maybe_over_limit", "mine"
        )
        if now_ms - self._since_ms > COUNT_MS and now_ms - w.began_ms > WINDOW_MS and not said:
            yield f"{count['lo']} to {count['hi']} people, the limit is {count['limit']}, unsaid"


class ShownIsFresh(Invariant):
    """I9: what is shown GOOD is young."""

    code = "I9"
    says = "a value shown GOOD is no older than its stale limit and one second"

    def second(self, w: Witness, frame: Frame) -> Words:
        """Look at every point of the frame."""
        controller = w.house.controller
        assert controller is not None
        now_ms = controller.clock.now_ms()
        for point, shown in frame["points"].items():
            if shown["quality"] != "GOOD":
                continue
            if shown["sampled_ms"] is None:
                yield f"{point} is shown GOOD although it never spoke"
                continue
            age_ms = now_ms - shown["sampled_ms"]
            if age_ms > w.wiring.stale_ms[point] + STALE_SLACK_MS:
                yield f"{point} is shown GOOD at an age of {age_ms} ms"


class AnswerFitsQuestion(Invariant):
    """I10: an accepted value is one that its own point had between question and answer."""

    code = "I10"
    reads = True
    says = "a GOOD value was the point's own between its question and its arrival"

    KINDS = frozenset({Kind.METHANE, Kind.CARBON_MONOXIDE})

    def turn(self, w: Witness, t: Turn) -> Words:
        """Compare each GOOD reading with what the plant had."""
        plant, shift_ms = w.house.plant, t.now_ms - t.image.now_ms
        for sample in t.image.samples:
            for point, value, quality in sample.readings:
                known = w.wiring.points.get(point)
                if known is None or known.kind not in self.KINDS or quality != Quality.GOOD:
                    continue
                had = plant.shown_since(point, sample.sampled_ms + shift_ms - 300)
                if value not in had and not w.lies(known, t.now_ms):
                    yield f"{point} read {value}, it had {sorted(had)}"


class AlarmIsSeen(Invariant):
    """I12: an alarm is seen until it is closed out, heard until answered, and moves nothing."""

    code = "I12"
    says = (
        "alarms are shown until closed out, urgent ones sound until answered; neither moves outputs"
    )

    WORDS = frozenset({"acknowledge", "close_out", "silence"})

    def second(self, w: Witness, frame: Frame) -> Words:
        """Compare the frame with the account."""
        now_ms = w.house.now_ms
        for alarm in w.account.alarms.values():
            open_ = alarm.priority <= 2 and not alarm.closed
            unheard = not alarm.answered and not alarm.held
            if (alarm.active or open_ or unheard) and alarm.id not in frame["alarms"]:
                yield f"{alarm.kind} of {alarm.source} ({alarm.id}) is not shown"
        urgent = [
            a for a in w.account.alarms.values()
            if a.priority == 1 and not a.answered and not a.held
            and now_ms - a.at_ms > HORN_MS
        ]  # fmt: skip
        quiet = now_ms < w.account.silenced_ms or now_ms - w.began_ms < HORN_MS
        if urgent and not quiet and now_ms - w.shaken_ms > HORN_MS and not frame["horn"]:
            yield f"{urgent[0].kind} of {urgent[0].source} is unanswered and no horn sounds"

    def turn(self, w: Witness, t: Turn) -> Words:
        """Words about alarms leave power, sirens and the gate alone."""
        kinds = {each.kind for each in t.image.commands}
        if not kinds or not kinds <= self.WORDS or t.outputs is None or t.before is None:
            return
        decided = {"cause_latched", "released", "withdrawal_raised", "withdrawal_extended",
                   "withdrawal_ended", "descent_resumed", "badge_entered", "entry_missed",
                   "badge_left", "handover_started", "handover_ended", "gate_counted",
                   "person_closed"}  # fmt: skip
        if any(each.kind in decided for each in t.events):
            return
        for output in w.wiring.driven.values():
            moves = t.before.get(output.id) is not t.outputs.get(output.id)
            if moves and (output.role in SOUNDERS or output.role.value in ("power_cut", "gate")):
                yield f"{sorted(kinds)} moved {output.id}"


class NeverShelved(Invariant):
    """I13: trips, withdrawals and failed cuts are never put aside; what is comes back in time."""

    code = "I13"
    says = "no trip, withdrawal or failed cut is shelved, and a shelf ends in its time"

    def turn(self, w: Witness, t: Turn) -> Words:
        """Look at what is put aside."""
        del w
        for event in t.events:
            kind, data = event.kind, event.data
            held = kind in ("shelving_ordered", "shelving_began", "alarm_held")
            if held and data["alarm_kind"] in NEVER_SHELVED and data.get("held") != "suppress":
                yield f"{data['alarm_kind']} was put aside by {kind}"

    def second(self, w: Witness, frame: Frame) -> Words:
        """Shelves end in time."""
        del frame
        now_ms = w.house.now_ms
        for key, shelf in w.account.shelves.items():
            assert shelf.most_ms is not None
            late_ms = now_ms - shelf.at_ms - shelf.most_ms
            alive = now_ms - w.began_ms > COUNT_MS and now_ms - w.shaken_ms > COUNT_MS
            if late_ms > COUNT_MS and alive and not w.rebooted_since(shelf.at_ms):
                yield f"{key} is still shelved {late_ms} ms after its time"


_R = Role
NAMES: dict[str, tuple[str, frozenset[Role], frozenset[Role] | None]] = {
    "release_granted": (
        "by",
        frozenset({_R.DISPATCHER}),
        frozenset({_R.DUTY_LEADER, _R.CHIEF_ENGINEER}),
    ),
    "all_clear_given": (
        "by",
        frozenset({_R.DUTY_LEADER}),
        frozenset({_R.CHIEF_ENGINEER, _R.MINE_HEAD}),
    ),
    "resumption_signed": ("by", frozenset({_R.CHIEF_ENGINEER}), frozenset({_R.MINE_HEAD})),
    "bypass_started": ("by", frozenset({_R.CHIEF_ENGINEER}), frozenset({_R.DUTY_LEADER})),
    "hand_cover_started": ("by", frozenset({_R.CHIEF_ENGINEER}), None),
    "calibration_started": ("by", frozenset({_R.FIELD_ENGINEER, _R.MONITORING_OPERATOR}), None),
    "person_closed": ("by", frozenset({_R.LAMP_ROOM_CLERK}), frozenset({_R.DISPATCHER})),
    "alarms_closed": (
        "by",
        frozenset({_R.DISPATCHER, _R.MONITORING_OPERATOR, _R.DUTY_LEADER}),
        None,
    ),
    "hand_value_recorded": ("checker", frozenset({_R.GAS_CHECKER}), None),
}
"""Which names an act that lowers protection must bear: the first, and the second if one is due."""


class NamedByRight(Invariant):
    """I26: nothing that lowers protection is done without the right names, really given."""

    code = "I26"
    says = "what lowers protection bears the right names, and those people asked for it on a page"

    def turn(self, w: Witness, t: Turn) -> Words:
        """Look at each act of this cycle."""
        for event in t.events:
            if event.kind in NAMES and event.data.get("command"):
                yield from self._names(w, event)

    def _names(self, w: Witness, event: Event) -> Words:
        field, roles, second_roles = NAMES[event.kind]
        mine, data = w.house.mine, event.data
        member = mine.staff_member(data[field])
        if member is None or member.role not in roles:
            yield f"{event.kind} by {data[field]!r}"
        given = w.house.commands.get(data["command"])
        if given is None:
            yield f"{event.kind} that nobody asked for"
        elif second_roles is None:
            yield from self._said(event, given, data["by"])
        else:
            second = mine.staff_member(data["second"])
            if second is None or second.role not in second_roles or second.code == data["by"]:
                yield f"{event.kind} seconded by {data['second']!r}"
            yield from self._said(event, given, data["second"])

    def _said(self, event: Event, given: Command, by: str) -> Words:
        if given.by != by or not given.origin.startswith("page:"):
            yield f"{event.kind} in the name of {by}, given by {given.by!r} at {given.origin!r}"


class TestedInTime(Invariant):
    """I27: a cut-off that was not tested for 15 days has an alarm."""

    code = "I27"
    says = "an interlock test that is more than 15 days old raises its alarm"

    MOST_MS = 15 * 86_400_000

    def __init__(self) -> None:
        self._late_ms: int | None = None

    def second(self, w: Witness, frame: Frame) -> Words:
        """Look at the newest test of each wired cut.

        What a box slept through before its clock began anew, a vouched-for wall clock alone knows.
        """
        del frame
        now_ms, vouched = w.house.now_ms, w.house.bench.clock.trusted
        late = [
            key
            for key, at_ms in w.account.tested_ms.items()
            if now_ms - at_ms > self.MOST_MS
            and key.partition("/")[2] in w.wiring.driven
            and (vouched or not w.rebooted_since(at_ms))
        ]
        if not late or w.account.stands("test_overdue", "test_overdue"):
            self._late_ms = None
            return
        self._late_ms = now_ms if self._late_ms is None else self._late_ms
        if now_ms - self._late_ms > COUNT_MS and w.outputs is not None:
            yield f"{late} is overdue and nothing says so"


PEOPLE = (WithdrawalStands, TrueCount, OverLimitSaid, ShownIsFresh, AnswerFitsQuestion,
          AlarmIsSeen, NeverShelved, NamedByRight, TestedInTime)  # fmt: skip
