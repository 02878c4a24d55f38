"""Kinds of quantity, each with its smallest reported unit, so that the core counts in integers."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a point measures or reports."""

    METHANE = "methane"
    CARBON_MONOXIDE = "carbon_monoxide"
    CARBON_DIOXIDE = "carbon_dioxide"
    OXYGEN = "oxygen"
    TEMPERATURE = "temperature"
    AIR_SPEED = "air_speed"
    NEGATIVE_PRESSURE = "negative_pressure"
    RAIN = "rain"
    WATER_LEVEL = "water_level"
    SMOKE = "smoke"
    DOOR = "door"
    FAN_RUN = "fan_run"
    DUCT_WIND = "duct_wind"
    WIND_DIRECTION = "wind_direction"
    FEED_STATE = "feed_state"
    SOUNDER_STATE = "sounder_state"
    GATE_IN = "gate_in"
    GATE_OUT = "gate_out"
    COAL_CUTTING = "coal_cutting"
    DUST = "dust"
    HEADCOUNT = "headcount"
    HYDROGEN_SULFIDE = "hydrogen_sulfide"
    NITROGEN_DIOXIDE = "nitrogen_dioxide"
    SULFUR_DIOXIDE = "sulfur_dioxide"
    AMMONIA = "ammonia"
    HYDROGEN = "hydrogen"
    SUPPLY_STATE = "supply_state"
    COAL_OUTPUT = "coal_output"


@dataclass(frozen=True, slots=True)
class Unit:
    """How a kind's integer is printed: value / 10**decimals, then the unit text."""

    text: str
    decimals: int
    suffix: str
    switch: bool = False


UNITS: dict[Kind, Unit] = {
    Kind.METHANE: Unit("%CH4", 2, "cpct"),
    Kind.CARBON_MONOXIDE: Unit("ppm", 0, "ppm"),
    Kind.CARBON_DIOXIDE: Unit("%", 2, "cpct"),
    Kind.OXYGEN: Unit("%", 2, "cpct"),
    Kind.TEMPERATURE: Unit("°C", 1, "dc"),
    Kind.AIR_SPEED: Unit("m/s", 2, "cm_s"),
    Kind.NEGATIVE_PRESSURE: Unit("Pa", 0, "pa"),
    Kind.RAIN: Unit("mm/24h", 1, "dmm"),
    Kind.WATER_LEVEL: Unit("m", 2, "cm"),
    Kind.SMOKE: Unit("", 0, "on", switch=True),
    Kind.DOOR: Unit("", 0, "open", switch=True),
    Kind.FAN_RUN: Unit("", 0, "running", switch=True),
    Kind.DUCT_WIND: Unit("", 0, "wind", switch=True),
    Kind.WIND_DIRECTION: Unit("", 0, "forward", switch=True),
    Kind.FEED_STATE: Unit("", 0, "live", switch=True),
    Kind.SOUNDER_STATE: Unit("", 0, "sounding", switch=True),
    Kind.GATE_IN: Unit("", 0, "count"),
    Kind.GATE_OUT: Unit("", 0, "count"),
    Kind.COAL_CUTTING: Unit("", 0, "on", switch=True),
    Kind.DUST: Unit("mg/m³", 1, "dmg_m3"),
    Kind.HEADCOUNT: Unit("", 0, "people"),
    Kind.HYDROGEN_SULFIDE: Unit("ppm", 1, "dppm"),
    Kind.NITROGEN_DIOXIDE: Unit("ppm", 1, "dppm"),
    Kind.SULFUR_DIOXIDE: Unit("ppm", 1, "dppm"),
    Kind.AMMONIA: Unit("ppm", 0, "ppm"),
    Kind.HYDROGEN: Unit("%", 2, "cpct"),
    Kind.SUPPLY_STATE: Unit("", 0, "main", switch=True),
    Kind.COAL_OUTPUT: Unit("t", 0, "t"),
}


def format_value(kind: Kind, value: int) -> str:
    """Return an integer of `kind` as the decimal it stands for, without the unit."""
    decimals = UNITS[kind].decimals
    if decimals == 0:
        return str(value)
    sign = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**decimals)
    return f"{sign}{whole}.{part:0{decimals}d}"
