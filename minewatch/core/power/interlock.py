"""Interlock: latched causes and the power-cut outputs that they hold.

A power-cut output is de-energised while any latched cause holds it. A cause is latched by a demand
at once and ends by a release alone (`release.py`); restart, reload, acknowledgement and the end of
the condition are no releases. Causes are keyed by what they are about: `trip:<point>`,
`fault:<point>`, `off:<point>`, `line:<bus>`, `vote:<interlock>`, `fan:<local fan>`, `cut:<output>`,
`upstream:<output>`, `controller_lost`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from minewatch.core.deadline import Deadline, rebased_each
from minewatch.core.desk.act import Act, Given, Reasons, is_id
from minewatch.core.folding import Fold, keep, with_entry, without
from minewatch.model.event import Event
from minewatch.model.image import Command, ReadBack
from minewatch.model.mine import OutputRole, Role

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable


@dataclass(frozen=True, slots=True)
class Cause:
    """One latched cause over `outputs`; `points` are the places that each need a hand value."""

    id: str
    kind: str
    points: tuple[str, ...]
    outputs: tuple[str, ...]
    since_ms: int
    since_wall_ms: int
    index: int
    first_out: bool


@dataclass(frozen=True, slots=True)
class HandValue:
    """What a gas checker measured by hand at a point; it is worth nothing after its deadline."""

    value: int
    by: str
    checker: str
    index: int
    until: Deadline


@dataclass(frozen=True, slots=True)
class Cover:
    """Approved hand cover of a dead head: `next` reading by then, `until` at most (practice 3)."""

    point: str
    checker: str
    by: str
    index: int
    until: Deadline
    next: Deadline


@dataclass(frozen=True, slots=True)
class Bypass:
    """A point taken out of service for a time by two names (practice 10)."""

    point: str
    by: str
    second: str
    index: int
    until: Deadline


@dataclass(frozen=True, slots=True)
class Pending:
    """A granted release that waits for its event to be on disk."""

    id: str
    outputs: tuple[str, ...]
    causes: tuple[str, ...]
    index: int
    granted_ms: int


@dataclass(frozen=True, slots=True)
class InterlockDurable:
    """`held` is derived: the causes that hold each output, in order of latching."""

    causes: Mapping[str, Cause] = field(default_factory=dict)
    held: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pending: Mapping[str, Pending] = field(default_factory=dict)
    hand_values: Mapping[str, HandValue] = field(default_factory=dict)
    covers: Mapping[str, Cover] = field(default_factory=dict)
    bypasses: Mapping[str, Bypass] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Want:
    """A driven output's level: since when it is wanted, whether its proof agreed or failed.

    `proved_ms` is the sample that first proved it. `exhausted`: no switch above is left to cut.
    """

    energised: bool
    since_ms: int
    proved: bool = False
    failed: bool = False
    proved_ms: int | None = None
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class InterlockVolatile:
    """Read-backs of coils, the newest table of levels, and what is known about each of them."""

    read_backs: Mapping[str, ReadBack] = field(default_factory=dict)
    table: Mapping[str, bool] = field(default_factory=dict)
    wants: Mapping[str, Want] = field(default_factory=dict)


def demand(
    draft: "Draft", kind: str, about: str, points: Iterable[str], outputs: Iterable[str]
) -> None:
    """Latch the cause `kind:about` over `outputs`, or extend the one that is latched.

    A demand also voids a granted release of any of these outputs: trip wins.
    """
    wanted = tuple(sorted(set(outputs)))
    if not wanted:
        return
    cause_id = f"{kind}:{about}" if about else kind
    causes = draft.durable.interlock.causes
    known = causes.get(cause_id)
    places = tuple(sorted({*points, *(known.points if known else ())}))
    wanted = tuple(sorted({*wanted, *(known.outputs if known else ())}))
    void(draft, wanted, f"demand:{cause_id}")
    if known is not None and (places, wanted) == (known.points, known.outputs):
        return
    held = draft.durable.interlock.held
    draft.emit(
        "cause_latched",
        cause=cause_id,
        cause_kind=kind,
        first_out=known.first_out if known else not any(each in held for each in wanted),
        outputs=list(wanted),
        points=list(places),
    )


def void(draft: "Draft", outputs: Iterable[str], *reasons: str) -> None:
    """Void every granted release that touches these outputs and has not acted yet."""
    pending = draft.durable.interlock.pending
    if not pending:
        return
    touched = set(outputs)
    for release_id in sorted(pending):
        release = pending[release_id]
        if not touched.isdisjoint(release.outputs):
            draft.emit(
                "release_voided",
                outputs=list(release.outputs),
                reasons=list(reasons),
                release=release_id,
            )


def with_parts(durable: "Durable", **parts: Any) -> "Durable":
    """Return `durable` with other parts of its interlock: a fold's last word."""
    return replace(durable, interlock=replace(durable.interlock, **parts))


def _latched(durable: "Durable", event: Event) -> "Durable":
    interlock, data = durable.interlock, event.data
    known = interlock.causes.get(data["cause"])
    cause = Cause(
        id=data["cause"],
        kind=data["cause_kind"],
        points=tuple(data["points"]),
        outputs=tuple(data["outputs"]),
        since_ms=known.since_ms if known else event.now_ms,
        since_wall_ms=known.since_wall_ms if known else event.wall_ms,
        index=known.index if known else durable.index,
        first_out=data["first_out"],
    )
    causes = with_entry(interlock.causes, cause.id, cause)
    return with_parts(durable, causes=causes, held=_held(causes))


def _held(causes: Mapping[str, Cause]) -> dict[str, tuple[str, ...]]:
    held: dict[str, tuple[str, ...]] = {}
    for cause in sorted(causes.values(), key=lambda each: (each.index, each.id)):
        for output in cause.outputs:
            held[output] = (*held.get(output, ()), cause.id)
    return held


def _voided(durable: "Durable", event: Event) -> "Durable":
    pending = without(durable.interlock.pending, event.data["release"])
    return with_parts(durable, pending=pending)


def _released(durable: "Durable", event: Event) -> "Durable":
    interlock = durable.interlock
    causes = without(interlock.causes, *event.data["causes"])
    pending = without(interlock.pending, event.data["release"])
    over = without(durable.points.over, *event.data["over"])
    return replace(
        durable,
        points=replace(durable.points, over=over),
        interlock=replace(interlock, causes=causes, held=_held(causes), pending=pending),
    )


def _rebased(durable: "Durable", event: Event) -> "Durable":
    """Carry deadlines over a restart or clock step; a granted release does not outlive a run."""
    interlock, last_ms = durable.interlock, durable.now_ms
    shift_ms = min(0, event.now_ms - last_ms)
    return with_parts(
        durable,
        pending={} if event.kind == "controller_started" else interlock.pending,
        causes={
            key: replace(each, since_ms=each.since_ms + shift_ms)
            for key, each in interlock.causes.items()
        },
        hand_values=rebased_each(interlock.hand_values, event, last_ms),
        covers={
            key: replace(each, next=each.next.rebased(event, last_ms))
            for key, each in rebased_each(interlock.covers, event, last_ms).items()
        },
        bypasses=rebased_each(interlock.bypasses, event, last_ms),
    )


FOLDS: dict[str, Fold] = {
    "cause_latched": _latched,
    "release_voided": _voided,
    "released": _released,
    "cut_ordered": keep,
    "upstream_exhausted": keep,
    "fan_changed_over": keep,
    "controller_started": _rebased,
    "clock_stepped": _rebased,
}


def _not_a_power_cut(draft: "Draft", command: Command) -> Reasons:
    output = draft.plan.driven.get(command.arguments["output"])
    if output is None or output.role is not OutputRole.POWER_CUT:
        return (f"not_a_power_cut:{command.arguments['output']}",)
    return ()


def _cut(draft: "Draft", given: Given) -> None:
    """Cut an area by hand (practice 5)."""
    output = given.command.arguments["output"]
    draft.emit(
        "cut_ordered",
        given.command.text,
        by=given.command.by,
        command=given.answer,
        output=output,
        second=given.second,
    )
    demand(draft, "cut", output, (), (output,))


COMMANDS: dict[str, Act] = {
    "cut": Act(
        do=_cut,
        arguments={"output": is_id},
        roles=frozenset({Role.DISPATCHER}),
        second=frozenset(Role),
        check=_not_a_power_cut,
    )
}
