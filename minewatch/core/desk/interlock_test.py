"""Interlock test (断电试验): does the cut-off cut? Made for real, or made by hand and recorded.

A real test is a cut: the output is de-energised under the latched cause `cut:<output>`, its proof
must follow as after any trip, and power returns by a release alone. A test made by hand (a bottle
at the head, the relay's own test switch) is recorded by name with its result. A test that a restart
interrupts proves nothing: the relay had dropped by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from minewatch.core.alarms import alarm
from minewatch.core.desk import due
from minewatch.core.desk.act import Act, Given, Reasons, is_id
from minewatch.core.folding import Fold, with_entry, without
from minewatch.core.power import interlock
from minewatch.core.power.interlock import Want
from minewatch.model.alarm import AlarmKind
from minewatch.model.event import Event
from minewatch.model.image import Command
from minewatch.model.mine import Output, OutputRole, Role

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable, State

TEST_MS = 30_000
"""A test whose proof neither comes nor fails within this time has failed."""

_UNPROVED = Want(energised=False, since_ms=0)
"""What is known of an output while nothing may be written yet."""


@dataclass(frozen=True, slots=True)
class Running:
    """A real test of an output that waits for its proof."""

    output: str
    by: str
    second: str
    started_ms: int


@dataclass(frozen=True, slots=True)
class TestsDurable:
    """Real tests that wait, by output."""

    running: Mapping[str, Running] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TestsVolatile:
    """The outputs whose test began in this run: those of another run are interrupted."""

    begun: frozenset[str] = frozenset()


def decide(draft: "Draft") -> None:
    """Take the proofs of running tests."""
    running = draft.durable.tests.running
    for output_id in sorted(running):
        result = _result(draft, running[output_id])
        if result:
            _end(draft, running[output_id], result)


def _result(draft: "Draft", test: Running) -> str:
    """Return how a test has ended, empty while it runs."""
    if test.output not in draft.volatile.tests.begun or test.output not in draft.plan.driven:
        return "interrupted"
    want = draft.volatile.interlock.wants.get(test.output, _UNPROVED)
    if want.failed:
        return "failed"
    if want.proved:
        return "passed"
    return "failed" if draft.image.now_ms - test.started_ms >= TEST_MS else ""


def _end(draft: "Draft", test: Running, result: str) -> None:
    draft.emit(
        "interlock_tested",
        after_ms=draft.image.now_ms - test.started_ms,
        by=test.by,
        days=draft.mine.acts.interlock_test_days,
        how="cut",
        output=test.output,
        result=result,
        second=test.second,
    )
    begun = draft.volatile.tests.begun - {test.output}
    draft.update_volatile(tests=TestsVolatile(begun))
    _judge(draft, test.output, result)


def _judge(draft: "Draft", output_id: str, result: str) -> None:
    """Raise what a failed test asks for; a passed one ends it."""
    if result == "failed":
        zone = draft.mine.output(output_id).zone
        alarm.raise_(draft, AlarmKind.TEST_FAILED, output_id, zone=zone)
    elif result == "passed":
        alarm.clear(draft, AlarmKind.TEST_FAILED, output_id)
        due.look_soon(draft)


def _begun(durable: "Durable", event: Event) -> "Durable":
    data = event.data
    test = Running(data["output"], data["by"], data["second"], event.now_ms)
    return _set(durable, with_entry(durable.tests.running, test.output, test))


def _tested(durable: "Durable", event: Event) -> "Durable":
    if event.data["how"] != "cut":
        return durable
    return _set(durable, without(durable.tests.running, event.data["output"]))


def _set(durable: "Durable", running: Mapping[str, Running]) -> "Durable":
    return replace(durable, tests=TestsDurable(running))


FOLDS: dict[str, Fold] = {"interlock_test_begun": _begun, "interlock_tested": _tested}


def _power_cut(draft: "Draft", output_id: str) -> Output | None:
    output = draft.plan.driven.get(output_id)
    return output if output is not None and output.role is OutputRole.POWER_CUT else None


def _check_test(draft: "Draft", command: Command) -> Reasons:
    output_id = command.arguments["output"]
    output = _power_cut(draft, output_id)
    if output is None:
        return (f"not_a_power_cut:{output_id}",)
    reasons = []
    if output.proof is None:
        reasons.append(f"no_proof:{output_id}")
    if output_id in draft.durable.interlock.held:
        reasons.append(f"already_cut:{output_id}")
    return tuple(reasons)


def _test(draft: "Draft", given: Given) -> None:
    output_id = given.command.arguments["output"]
    draft.emit(
        "interlock_test_begun",
        given.command.text,
        by=given.command.by,
        command=given.answer,
        output=output_id,
        second=given.second,
    )
    begun = draft.volatile.tests.begun | {output_id}
    draft.update_volatile(tests=TestsVolatile(begun))
    interlock.demand(draft, "cut", output_id, (), (output_id,))


def _check_record(draft: "Draft", command: Command) -> Reasons:
    output_id = command.arguments["output"]
    known = {each.id for each in draft.mine.outputs if each.role is OutputRole.POWER_CUT}
    reasons = [] if output_id in known else [f"not_a_power_cut:{output_id}"]
    if output_id in draft.durable.tests.running:
        reasons.append("test_running")
    if not command.text.strip():
        reasons.append("reason_missing")
    return tuple(reasons)


def _record(draft: "Draft", given: Given) -> None:
    asked = given.command.arguments
    result = "passed" if asked["passed"] else "failed"
    draft.emit(
        "interlock_tested",
        given.command.text,
        after_ms=None,
        by=given.command.by,
        command=given.answer,
        days=draft.mine.acts.interlock_test_days,
        how="hand",
        output=asked["output"],
        result=result,
        second="",
    )
    _judge(draft, asked["output"], result)


_TESTERS = frozenset({Role.FIELD_ENGINEER, Role.MONITORING_OPERATOR})

COMMANDS: dict[str, Act] = {
    "test_interlock": Act(
        do=_test,
        arguments={"output": is_id},
        roles=_TESTERS,
        second=frozenset({Role.DISPATCHER, Role.DUTY_LEADER}),
        check=_check_test,
    ),
    "record_test": Act(
        do=_record,
        arguments={"output": is_id, "passed": lambda value: isinstance(value, bool)},
        roles=_TESTERS,
        check=_check_record,
    ),
}


def view(state: "State") -> dict[str, Any]:
    """Return the frame's `interlock_tests`: real tests that wait for their proof."""
    return {
        "interlock_tests": {
            each.output: {"by": each.by, "second": each.second, "started_ms": each.started_ms}
            for each in state.durable.tests.running.values()
        }
    }
