"""What the core knows between two cycles.

`Durable` survives a crash: it changes only by folding an event (`fold.apply`), so that
`recover(events) == state.durable` holds by construction. `Volatile` is what the next readings
bring back by themselves: values, deadlines, proofs. Both are replaced, never changed in place;
their dictionaries are copied on write, so that a cycle costs what changed in it.
"""

from dataclasses import dataclass, field

from minewatch.core.alarms.alarm import AlarmsDurable, AlarmsVolatile
from minewatch.core.alarms.duty import DutyDurable
from minewatch.core.desk.approval import ApprovalsDurable
from minewatch.core.desk.due import DueDurable, DueVolatile
from minewatch.core.desk.interlock_test import TestsDurable, TestsVolatile
from minewatch.core.desk.planned_work import WorksDurable, WorksVolatile
from minewatch.core.house import HouseDurable, HouseVolatile
from minewatch.core.people.people import PeopleDurable, PeopleVolatile
from minewatch.core.plan import Plan
from minewatch.core.power.fans import FansVolatile
from minewatch.core.power.interlock import InterlockDurable, InterlockVolatile
from minewatch.core.power.votes import VotesVolatile
from minewatch.core.profile import ProfileDurable
from minewatch.core.readings.calibration import CalibrationsDurable, CalibrationsVolatile
from minewatch.core.readings.chatter import ChatterVolatile
from minewatch.core.readings.comparison import ComparisonDurable, ComparisonVolatile
from minewatch.core.readings.hand_check import HandChecksDurable
from minewatch.core.readings.head_move import HeadWorksDurable
from minewatch.core.readings.oxygen import OxygenDurable
from minewatch.core.readings.points import PointsDurable, PointsVolatile
from minewatch.core.readings.production import ProductionDurable, ProductionVolatile
from minewatch.core.readings.rise import RiseVolatile
from minewatch.core.readings.stuck import StuckDurable, StuckVolatile
from minewatch.core.readings.warm_up import WarmUpsDurable
from minewatch.core.withdrawals.emergencies import EmergenciesDurable
from minewatch.core.withdrawals.grades import GradesDurable, GradesVolatile
from minewatch.core.withdrawals.withdrawal import WithdrawalDurable, WithdrawalVolatile


@dataclass(frozen=True, slots=True)
class Durable:
    """The fold of the ledger. `index` counts the events folded: the next one gets this index.

    `now_ms` is the time of the newest event, on the clock of the run that emitted it.
    """

    index: int = 0
    now_ms: int = 0
    house: HouseDurable = field(default_factory=HouseDurable)
    points: PointsDurable = field(default_factory=PointsDurable)
    calibrations: CalibrationsDurable = field(default_factory=CalibrationsDurable)
    interlock: InterlockDurable = field(default_factory=InterlockDurable)
    alarms: AlarmsDurable = field(default_factory=AlarmsDurable)
    approvals: ApprovalsDurable = field(default_factory=ApprovalsDurable)
    people: PeopleDurable = field(default_factory=PeopleDurable)
    withdrawal: WithdrawalDurable = field(default_factory=WithdrawalDurable)
    comparisons: ComparisonDurable = field(default_factory=ComparisonDurable)
    works: WorksDurable = field(default_factory=WorksDurable)
    head_works: HeadWorksDurable = field(default_factory=HeadWorksDurable)
    warm_ups: WarmUpsDurable = field(default_factory=WarmUpsDurable)
    due: DueDurable = field(default_factory=DueDurable)
    tests: TestsDurable = field(default_factory=TestsDurable)
    duty: DutyDurable = field(default_factory=DutyDurable)
    oxygen: OxygenDurable = field(default_factory=OxygenDurable)
    stuck: StuckDurable = field(default_factory=StuckDurable)
    hand_checks: HandChecksDurable = field(default_factory=HandChecksDurable)
    emergencies: EmergenciesDurable = field(default_factory=EmergenciesDurable)
    grades: GradesDurable = field(default_factory=GradesDurable)
    production: ProductionDurable = field(default_factory=ProductionDurable)
    profile: ProfileDurable = field(default_factory=ProfileDurable)


@dataclass(frozen=True, slots=True)
class Volatile:
    """What readings bring back after a restart. `plan` is an index of the mine, no knowledge."""

    house: HouseVolatile = field(default_factory=HouseVolatile)
    points: PointsVolatile = field(default_factory=PointsVolatile)
    calibrations: CalibrationsVolatile = field(default_factory=CalibrationsVolatile)
    interlock: InterlockVolatile = field(default_factory=InterlockVolatile)
    alarms: AlarmsVolatile = field(default_factory=AlarmsVolatile)
    people: PeopleVolatile = field(default_factory=PeopleVolatile)
    withdrawal: WithdrawalVolatile = field(default_factory=WithdrawalVolatile)
    comparisons: ComparisonVolatile = field(default_factory=ComparisonVolatile)
    works: WorksVolatile = field(default_factory=WorksVolatile)
    due: DueVolatile = field(default_factory=DueVolatile)
    tests: TestsVolatile = field(default_factory=TestsVolatile)
    stuck: StuckVolatile = field(default_factory=StuckVolatile)
    chatter: ChatterVolatile = field(default_factory=ChatterVolatile)
    grades: GradesVolatile = field(default_factory=GradesVolatile)
    rise: RiseVolatile = field(default_factory=RiseVolatile)
    production: ProductionVolatile = field(default_factory=ProductionVolatile)
    votes: VotesVolatile = field(default_factory=VotesVolatile)
    fans: FansVolatile = field(default_factory=FansVolatile)
    plan: Plan | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class State:
    """Everything the core knows."""

    durable: Durable = field(default_factory=Durable)
    volatile: Volatile = field(default_factory=Volatile)
