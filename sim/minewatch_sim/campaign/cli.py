"""The command line of the campaign: run seeds, replay one, write what was proven into the docs."""

import argparse
import logging
import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from minewatch_sim.campaign.court import Violation
from minewatch_sim.campaign.reached import MUST
from minewatch_sim.campaign.report import write_docs
from minewatch_sim.campaign.run import Result, run
from minewatch_sim.campaign.schedule import Mode
from minewatch_sim.campaign.tally import Tally, modes_of

REPLAY = "python -m minewatch_sim.campaign --seed {seed} --mode {mode} --trace"

Job = tuple[int, Mode]


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="minewatch_sim.campaign", description=__doc__)
    parser.add_argument("--seeds", default="0..1000", help="A..B, B not included")
    parser.add_argument("--seed", type=int, help="one seed")
    parser.add_argument("--mode", choices=[each.value for each in Mode], help="of the one seed")
    parser.add_argument("--trace", action="store_true", help="say every act and every event")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--report", type=Path, help="a JSON file for the counts")
    parser.add_argument("--docs", type=Path, help="write the tables of this document, run nothing")
    parser.add_argument("--commit", default="", help="of the run that the report tells of")
    parser.add_argument("--caught", type=Path, default=Path("tests/simulation/mutations.toml"))
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)  # refused configurations are meant here
    if arguments.docs is not None:
        write_docs(arguments.docs, arguments.report, arguments.commit, arguments.caught)
        return
    if arguments.seed is not None:
        sys.exit(_one(arguments.seed, Mode(arguments.mode or "safety"), trace=arguments.trace))
    first, _, last = arguments.seeds.partition("..")
    sys.exit(_many(range(int(first), int(last)), arguments.jobs, arguments.report))


def _one(seed: int, mode: Mode, *, trace: bool) -> int:
    result = run(seed, mode, print if trace else None)
    for violation in result.violations:
        print(told(result, violation))
    print(f"seed {seed} {mode}: {len(result.violations)} violations, digest {result.digest}")
    return 1 if result.violations else 0


def _many(seeds: range, jobs: int, report: Path | None) -> int:
    """Run a range of seeds with a bar; say what was broken and what was never reached."""
    tally = Tally()
    work: list[Job] = [(seed, mode) for seed in seeds for mode in modes_of(seed)]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("schedules", total=len(work))
        for result in _results(work, jobs):
            tally.take(result)
            progress.advance(task)
            for violation in result.violations:
                progress.console.print(told(result, violation), markup=False)
    for line in tally.lines():
        print(line)
    if report is not None:
        report.write_text(tally.to_json(seeds), encoding="utf-8")
    missing = [each for each in MUST if not tally.reached[each]]
    if missing and len(work) >= 1_000:
        print(f"never reached: {missing}")
    return 1 if tally.violations or (missing and len(work) >= 1_000) else 0


def _results(work: list[Job], jobs: int) -> Iterator[Result]:
    if jobs <= 1:
        yield from map(_job, work)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(_job, work, chunksize=4)


def _job(job: Job) -> Result:
    logging.disable(logging.ERROR)
    return run(*job)


def told(result: Result, violation: Violation) -> str:
    """Return a violation as a person needs it: what, when, the newest events, how to see it."""
    replay = REPLAY.format(seed=result.seed, mode=result.mode)
    head = f"{violation.code} at {violation.at_ms} ms: {violation.says}"
    return "\n".join([head, *(f"    {each}" for each in violation.events), f"  replay: {replay}"])
