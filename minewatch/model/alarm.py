"""Alarms: kinds, priorities and the life cycle as a table (ISA-18.2, practice 12)."""

from enum import StrEnum


class AlarmKind(StrEnum):
    """What an alarm says."""

    PRE_ALARM = "pre_alarm"
    GAS_OVER_LIMIT = "gas_over_limit"
    TRIP = "trip"
    WITHDRAW = "withdraw"
    LOW = "low"
    OVER_RANGE = "over_range"
    SENSOR_FAULT = "sensor_fault"
    FAILED_ACTUATION = "failed_actuation"
    FEED_ABNORMAL = "feed_abnormal"
    CALIBRATION_OVERRUN = "calibration_overrun"
    HEAD_WORK_OVERRUN = "head_work_overrun"
    CALIBRATION_OVERDUE = "calibration_overdue"
    TEST_OVERDUE = "test_overdue"
    TEST_FAILED = "test_failed"
    HAND_COVER_LATE = "hand_cover_late"
    OVER_LIMIT = "over_limit"
    MAYBE_OVER_LIMIT = "maybe_over_limit"
    OVER_TIME = "over_time"
    RESTRICTED_ZONE = "restricted_zone"
    SOS = "sos"
    UNACCOUNTED = "unaccounted"
    READER_LOST = "reader_lost"
    SYSTEM_FAULT = "system_fault"
    COMPARISON = "comparison"
    LOW_OXYGEN = "low_oxygen"
    HAND_CHECK = "hand_check"
    WITHDRAWAL_DEMANDED = "withdrawal_demanded"
    RISE = "rise"
    INRUSH = "inrush"
    NOBODY_REACHABLE = "nobody_reachable"
    DUTY_CHECK_MISSED = "duty_check_missed"
    FANS_STOPPED = "fans_stopped"
    VOTE_DISAGREEMENT = "vote_disagreement"


class AlarmState(StrEnum):
    """Where an alarm stands; NORMAL is the state of an alarm that is gone.

    LATCHED: the condition is gone and was seen, what it latched still stands. SHELVED, SUPPRESSED
    (folded into one alarm of its cause) and OUT_OF_SERVICE (its head is bypassed or in calibration)
    are held: the condition stands, is shown, and makes no sound.
    """

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"
    LATCHED = "latched"
    SHELVED = "shelved"
    SUPPRESSED = "suppressed"
    OUT_OF_SERVICE = "out_of_service"


class AlarmMove(StrEnum):
    """What may happen to an alarm."""

    RAISE = "raise"
    CLEAR = "clear"
    ACKNOWLEDGE = "acknowledge"
    LATCH = "latch"
    RESET = "reset"
    SHELVE = "shelve"
    SUPPRESS = "suppress"
    REMOVE = "remove"
    RESTORE = "restore"


HOLDS: dict[AlarmMove, AlarmState] = {
    AlarmMove.SHELVE: AlarmState.SHELVED,
    AlarmMove.SUPPRESS: AlarmState.SUPPRESSED,
    AlarmMove.REMOVE: AlarmState.OUT_OF_SERVICE,
}
"""Moves that hold a standing alarm, and the state that each ends in."""

HELD: frozenset[AlarmState] = frozenset(HOLDS.values())
ACTIVE: frozenset[AlarmState] = frozenset({AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED})
STANDING: frozenset[AlarmState] = ACTIVE | HELD
"""States in which the condition stands."""

LIFE_CYCLE: dict[tuple[AlarmState, AlarmMove], AlarmState] = {
    (AlarmState.NORMAL, AlarmMove.RAISE): AlarmState.UNACKNOWLEDGED,
    (AlarmState.NORMAL, AlarmMove.LATCH): AlarmState.LATCHED,
    (AlarmState.UNACKNOWLEDGED, AlarmMove.CLEAR): AlarmState.RETURNED,
    (AlarmState.UNACKNOWLEDGED, AlarmMove.ACKNOWLEDGE): AlarmState.ACKNOWLEDGED,
    (AlarmState.ACKNOWLEDGED, AlarmMove.CLEAR): AlarmState.NORMAL,
    (AlarmState.RETURNED, AlarmMove.RAISE): AlarmState.UNACKNOWLEDGED,
    (AlarmState.RETURNED, AlarmMove.ACKNOWLEDGE): AlarmState.NORMAL,
    (AlarmState.LATCHED, AlarmMove.RAISE): AlarmState.UNACKNOWLEDGED,
    (AlarmState.LATCHED, AlarmMove.RESET): AlarmState.NORMAL,
    **{(state, move): held for state in ACTIVE for move, held in HOLDS.items()},
    **{(held, AlarmMove.CLEAR): AlarmState.NORMAL for held in HELD},
    **{(held, AlarmMove.RESTORE): AlarmState.UNACKNOWLEDGED for held in HELD},
}
"""A pair that is not here changes nothing: an acknowledged alarm that is raised again stays so."""

PRIORITY: dict[AlarmKind, int] = {
    AlarmKind.WITHDRAW: 1,
    AlarmKind.FAILED_ACTUATION: 1,
    AlarmKind.TRIP: 1,
    AlarmKind.FEED_ABNORMAL: 1,
    AlarmKind.OVER_RANGE: 1,
    AlarmKind.SOS: 1,
    AlarmKind.UNACCOUNTED: 1,
    AlarmKind.HAND_COVER_LATE: 1,
    AlarmKind.GAS_OVER_LIMIT: 2,
    AlarmKind.SENSOR_FAULT: 2,
    AlarmKind.OVER_LIMIT: 2,
    AlarmKind.RESTRICTED_ZONE: 2,
    AlarmKind.LOW: 2,
    AlarmKind.CALIBRATION_OVERRUN: 2,
    AlarmKind.HEAD_WORK_OVERRUN: 2,
    AlarmKind.TEST_FAILED: 2,
    AlarmKind.SYSTEM_FAULT: 2,
    AlarmKind.READER_LOST: 3,
    AlarmKind.CALIBRATION_OVERDUE: 3,
    AlarmKind.TEST_OVERDUE: 3,
    AlarmKind.MAYBE_OVER_LIMIT: 3,
    AlarmKind.OVER_TIME: 3,
    AlarmKind.COMPARISON: 3,
    AlarmKind.LOW_OXYGEN: 2,
    AlarmKind.HAND_CHECK: 3,
    AlarmKind.WITHDRAWAL_DEMANDED: 1,
    AlarmKind.INRUSH: 1,
    AlarmKind.RISE: 2,
    AlarmKind.PRE_ALARM: 4,
    AlarmKind.NOBODY_REACHABLE: 2,
    AlarmKind.DUTY_CHECK_MISSED: 1,
    AlarmKind.FANS_STOPPED: 1,
    AlarmKind.VOTE_DISAGREEMENT: 3,
}
"""1 acts at once, 2 needs a person now, 3 needs a person soon, 4 is a warning."""

SHELVABLE: frozenset[AlarmKind] = frozenset(
    {
        AlarmKind.PRE_ALARM,
        AlarmKind.LOW,
        AlarmKind.SENSOR_FAULT,
        AlarmKind.CALIBRATION_OVERRUN,
        AlarmKind.MAYBE_OVER_LIMIT,
        AlarmKind.OVER_TIME,
        AlarmKind.READER_LOST,
        AlarmKind.COMPARISON,
        AlarmKind.HAND_CHECK,
        AlarmKind.SYSTEM_FAULT,
    }
)
"""Kinds that may be held at all. A kind that is not here always sounds: trips, withdrawals, failed
cuts, feed abnormal, gas and people over their limit, and whatever is newly invented."""
