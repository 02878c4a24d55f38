"""The small mine of the upload's tests, its controller's frame and an alarm in it."""

from typing import Any

from minewatch.model.kind import Kind
from minewatch.model.mine import (
    Bus,
    Cause,
    Condition,
    Device,
    Interlock,
    Limits,
    Mine,
    Mode,
    Output,
    OutputRole,
    Point,
    Role,
    Staff,
    Upload,
    Zone,
    ZoneKind,
)


def small_mine(url: str, **changes: Any) -> Mine:
    """Return a mine of one zone, two methane heads, one switch; `changes` replace fields."""
    face = Limits(pre_alarm=80, alarm=100, trip=150, restore=100, clear=80)
    fields: dict[str, Any] = {
        "code": "220181004688",
        "name": "示范煤矿",
        "county": "220181",
        "language": "zh-CN",
        "gas_class": "high",
        "capacity_10kt": 60,
        "severe": True,
        "mode": Mode.CONTROL,
        "headcount_limit": 130,
        "headcount_citation": "38号",
        "profile": "2024",
        "zones": (Zone("face", "工作面", ZoneKind.FACE, headcount_limit=16),),
        "buses": (Bus("bus", "tcp://127.0.0.1:1"),),
        "devices": (Device("head", "bus", 1, "methane-head-generic"),),
        "points": tuple(
            Point(f"T{n}", f"甲烷T{n}", Kind.METHANE, "face", "head", "methane", "face", face)
            for n in (1, 2)
        ),
        "outputs": (
            Output("cut", "开关", OutputRole.POWER_CUT, "face", "head", "coil_1", proof="T2"),
        ),
        "interlocks": (Interlock("lock", "闭锁", (Cause("T1", Condition.TRIP),), ("cut",)),),
        "staff": (Staff("S001", "张海", Role.DISPATCHER),),
        "uploads": (Upload("county", url),) if url else (),
    }
    return Mine(**{**fields, **changes})


def small_frame(**changes: Any) -> dict[str, Any]:
    """Return a full frame of that mine's controller."""
    frame = {
        "type": "full",
        "run": "run-1",
        "cycle": 10,
        "t_ms": 100_000,
        "wall_ms": 1_700_000_000_000,
        "wall_trusted": True,
        "since_wall_ms": 1_699_999_000_000,
        "durable_index": 0,
        "mode": "control",
        "config": "0" * 64,
        "version": "0.1.0",
        "points": {
            name: {
                "value": 30,
                "quality": "GOOD",
                "sampled_ms": 99_500,
                "last": 30,
                "level": 0,
            }
            for name in ("T1", "T2")
        },
        "outputs": {"cut": {"wanted": True, "energised": True, "proved": True, "failed": False}},
        "causes": {},
        "alarms": {},
        "headcount": {
            "lo": 3,
            "hi": 4,
            "limit": 130,
            "state": "normal",
            "reasons": [{"code": "missed_read", "source": "gate", "count": 1}],
            "zones": {"face": {"lo": 3, "hi": 4, "limit": 16, "state": "normal"}},
            "handover_until_ms": None,
        },
        "withdrawals": {},
        "no_descent": False,
        "calibrations": {},
        "hand_covers": {},
        "bypasses": {},
        "approvals": {},
        "horn": False,
        "silenced_until_ms": None,
        "health": {"buses": {}, "console": {"up": True, "pages": 1}},
    }
    return {**frame, **changes}


def alarm_entry(**changes: Any) -> dict[str, Any]:
    """Return one alarm as the controller's frame holds it."""
    entry = {
        "kind": "gas_over_limit",
        "priority": 2,
        "source": "T1",
        "zone": "face",
        "value": 102,
        "limit": 100,
        "peak": 102,
        "raised_ms": 99_000,
        "raised_wall_ms": 1_699_999_999_000,
        "state": "unacknowledged",
        "active": True,
        "acknowledged_by": None,
        "closed": False,
        "first_out": True,
        "occurrences": 1,
        "planned": False,
    }
    return {**entry, **changes}
