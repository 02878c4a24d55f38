#!/usr/bin/env python3
"""Mutants of the core: change one thing, run the tests that pass there, see whether one notices.

    python tools/mutants/run.py [--only minewatch/core/desk] [--jobs 2] [--budget 20] [--out FILE]

Needed beside mutmut because limits, durations and tables stand at the module's level here, and
mutmut changes bodies of functions only; because tests are chosen by the line that they pass (a
whole run costs a minute, a chosen one a fraction of a second); and because a mutant within a
function costs a fork and no import. A mutant is named by file, function, text before and after,
so that an explained survivor (docs/mutants.md) stays explained when lines move. A small budget
first, then `--again` with a large one, is quickest: most mutants die by the first tests.

Exit code 1: fewer than `--least` percent were killed, or a survivor is not explained.
"""

import argparse
import ast
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from sites import sites  # noqa: E402

EXPLAINED = ROOT / "docs" / "mutants.md"


def main() -> int:
    """Run what was asked for and report."""
    asked = _arguments()
    chosen = _chosen(asked.only, asked.every)
    out = Path(asked.out or tempfile.mkdtemp())
    out.mkdir(parents=True, exist_ok=True)
    (out / "asked.json").write_text(json.dumps({"budget": asked.budget, "chosen": chosen}))
    if asked.again:
        _forget_survivors(out)
    began = time.monotonic()
    workers = [
        subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), str(out), str(n), str(asked.jobs)], cwd=ROOT
        )
        for n in range(asked.jobs)
    ]
    codes = [worker.wait() for worker in workers]
    if any(codes):
        sys.stdout.write(f"a worker failed: {codes}\n")
        return 2
    verdicts = [json.loads(line) for file in out.glob("*.jsonl") for line in file.open()]
    return _report(verdicts, len(chosen), asked.least, time.monotonic() - began)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="mutants of minewatch/core")
    parser.add_argument("--only", nargs="*", default=["minewatch/core"], help="files or folders")
    parser.add_argument("--every", type=int, default=1, help="take each n-th mutant alone")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--budget", type=float, default=8.0, help="seconds of tests per mutant")
    parser.add_argument("--least", type=float, default=95.0, help="percent that must be killed")
    parser.add_argument("--out", help="folder for verdicts; a run goes on where it ended")
    parser.add_argument("--again", action="store_true", help="try the survivors in --out again")
    return parser.parse_args()


def _chosen(only: list[str], every: int) -> list[list[object]]:
    """Return [file, number] of each mutant."""
    files: set[Path] = set()
    for each in only:
        path = ROOT / each
        files |= set(path.rglob("*.py")) if path.is_dir() else {path}
    found: list[list[object]] = []
    for file in sorted(files):
        count = len(sites(ast.parse(file.read_text(encoding="utf-8"))))
        found += [[str(file.relative_to(ROOT)), n] for n in range(count)]
    return found[::every]


def _forget_survivors(out: Path) -> None:
    """Forget the verdicts on survivors, so that a larger budget may find who notices them."""
    for file in out.glob("*.jsonl"):
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["verdict"] != "survived"]
        file.write_text("".join(kept), encoding="utf-8")


def _report(verdicts: list[dict[str, object]], wanted: int, least: float, took_s: float) -> int:
    explained = EXPLAINED.read_text(encoding="utf-8") if EXPLAINED.exists() else ""
    by_file: dict[str, list[dict[str, object]]] = {}
    for each in verdicts:
        by_file.setdefault(str(each["file"]), []).append(each)
    alive, open_ = 0, 0
    for file, group in sorted(by_file.items()):
        left = [each for each in group if each["verdict"] == "survived"]
        alive += len(left)
        sys.stdout.write(f"{file}: {len(group) - len(left)} of {len(group)} killed\n")
        for each in sorted(left, key=lambda one: int(str(one["line"]))):
            known = _name(each) in explained
            open_ += not known
            sys.stdout.write(f"  {'explained' if known else 'SURVIVED '} {_name(each)}\n")
    killed = 100 * (len(verdicts) - alive) / max(1, len(verdicts))
    sys.stdout.write(
        f"{len(verdicts)} of {wanted} mutants, {killed:.2f} % killed, {alive} survived, "
        f"{open_} of them not explained, {took_s:.0f} s\n"
    )
    return int(killed < least or open_ > 0 or len(verdicts) < wanted)


def _name(verdict: dict[str, object]) -> str:
    """Return the name by which a survivor is explained."""
    file = str(verdict["file"]).removeprefix("minewatch/core/")
    return f"`{file}` `{verdict['scope']}`: `{verdict['before']}` → `{verdict['after']}`"


if __name__ == "__main__":
    sys.exit(main())
