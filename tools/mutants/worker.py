"""One worker: collects the tests once, learns which lines each passes, then forks per mutant.

Started by `run.py`; writes one line of JSON per mutant. What stands here runs inside pytest.
"""

import ast
import contextlib
import json
import mmap
import os
import re
import resource
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import coverage
import pytest
from hypothesis import Phase, settings

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from plant import mutant, plant_before_import, plant_in_function  # noqa: E402
from sites import Site  # noqa: E402

PLAIN = ["-q", "-m", "not nightly", "-p", "no:xdist", "-p", "no:cacheprovider", "--timeout=0"]
TESTS = ["tests/core", *PLAIN, "--ignore=tests/core/test_exhaustive.py"]
"""The exhaustive search passes every line for half a minute: too slow to be asked each time."""

MEMORY_BYTES = 3 * 2**30
KILLED, SURVIVED, LATE = 1, 0, 3


class Session:
    """The pytest plugin that takes over the running of the tests."""

    def __init__(self, folder: Path, part: int, parts: int) -> None:
        self.folder, self.part, self.parts = folder, part, parts
        asked = json.loads((folder / "asked.json").read_text())
        self.budget_s: float = asked["budget"]
        self.chosen: list[tuple[str, int]] = [tuple(each) for each in asked["chosen"]]
        self.failed = False
        self.items: list[pytest.Item] = []
        self.tests: dict[tuple[str, int], list[int]] = {}
        self.mentions: dict[str, set[int]] = {}
        self.cost_s: list[float] = []
        self.killers: dict[str, dict[int, None]] = defaultdict(dict)
        self.killer = mmap.mmap(-1, 4)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure, wherever it happens."""
        self.failed = self.failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Do the worker's share instead of running the tests."""
        self.items = session.items
        self._learn()
        out = self.folder / f"{self.part}.jsonl"
        done = {
            (each["file"], each["number"])
            for file in self.folder.glob("*.jsonl")
            for each in map(json.loads, file.open())
        }
        with out.open("a") as file:
            for at, (path, number) in enumerate(self.chosen):
                if at % self.parts == self.part and (path, number) not in done:
                    file.write(json.dumps(self._try(path, number)) + "\n")
                    file.flush()
        return True

    def _learn(self) -> None:
        """Learn in a fork which test passes which line, and what each test costs."""
        known = self.folder / f"map{self.part}.json"
        pid = os.fork()
        if pid == 0:
            known.write_text(json.dumps(self._traced()))
            os._exit(0)
        if os.waitpid(pid, 0)[1]:
            raise SystemExit("the tests do not pass without a mutant")
        learned = json.loads(known.read_text())
        self.cost_s = learned["cost_s"]
        for file, lines in learned["tests"].items():
            for line, tests in lines.items():
                self.tests[file, int(line)] = tests
        self._look_up_mentions()

    def _traced(self) -> dict[str, Any]:
        tracer = coverage.Coverage(
            data_file=None, include=[str(ROOT / "minewatch/core/*")], branch=False
        )
        cost_s: list[float] = []
        tracer.start()
        for at, item in enumerate(self.items):
            tracer.switch_context(str(at))
            began = time.process_time()
            self._run(item)
            cost_s.append(time.process_time() - began)
        tracer.stop()
        if self.failed:
            os._exit(1)
        data, tests = tracer.get_data(), {}
        for file in data.measured_files():
            lines = data.contexts_by_lineno(file)
            tests[str(Path(file).relative_to(ROOT))] = {
                line: [int(each) for each in names if each] for line, names in lines.items()
            }
        return {"cost_s": cost_s, "tests": tests}

    def _look_up_mentions(self) -> None:
        """Find the tests that pass a function in which a name of a module's level is mentioned."""
        found: dict[str, set[int]] = defaultdict(set)
        for path in (ROOT / "minewatch/core").rglob("*.py"):
            file = str(path.relative_to(ROOT))
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = getattr(node, "id", None) or getattr(node, "attr", None)
                if isinstance(name, str) and hasattr(node, "lineno"):
                    found[name].update(self.tests.get((file, node.lineno), ()))
        self.mentions = found

    def _run(self, item: pytest.Item) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)

    def _try(self, path: str, number: int) -> dict[str, Any]:
        _, site, after = mutant(ROOT / path, number)
        tests = self._tests_for(path, number)
        began = time.monotonic()
        limit_s = 20 + 6 * min(self.budget_s, sum(self.cost_s[each] for each in tests))
        if not tests:
            verdict = "survived"
        elif site.inside:
            verdict = self._forked(path, number, tests, limit_s)
        else:
            verdict = self._afresh(path, number, tests, limit_s)
        return {
            "file": path,
            "number": number,
            "line": site.line,
            "scope": site.scope,
            "before": " ".join(site.before.split()),
            "after": " ".join(after.split()),
            "verdict": verdict,
            "tests": len(tests),
            "took_s": round(time.monotonic() - began, 2),
        }

    def _tests_for(self, path: str, number: int) -> list[int]:
        """Return the tests that may notice, the likeliest first, as many as the budget lets run.

        Likely are those that killed a mutant of this file before, and those of its module's file.
        """
        _, site, _ = mutant(ROOT / path, number)
        if site.inside:
            first, last = site.lines
            lines = range(first, last + 1)
            found = set().union(*(self.tests.get((path, each), ()) for each in lines))
            near: set[int] = set()
        else:
            found = set().union(*(self.mentions.get(each, ()) for each in site.names))
            found |= set() if found else set(range(len(self.items)))
            near = self._near(path, site)
        room, stem = Path(path).parent.name, Path(path).stem
        own = {n for n in found | near if self._is_own(n, room, stem)}
        killers = {test: -at for at, test in enumerate(self.killers[path])}

        def rank(test: int) -> tuple[int, bool, bool, float]:
            return killers.get(test, 1), test not in near, test not in own, self.cost_s[test]

        chosen: list[int] = []
        spent_s = 0.0
        for each in sorted(found | near, key=rank):
            spent_s += self.cost_s[each]
            if chosen and spent_s > self.budget_s:
                break
            chosen.append(each)
        return chosen

    def _is_own(self, test: int, room: str, stem: str) -> bool:
        """Say whether a test stands in a file that is named after the module or its room."""
        folder, _, file = self.items[test].nodeid.partition("::")[0].rpartition("/")
        return stem in file or folder.endswith(f"/{room}")

    def _near(self, path: str, site: Site) -> set[int]:
        """Return the tests that pass a function of the file named in the mutant's own line."""
        text = (ROOT / path).read_text(encoding="utf-8")
        line = text.splitlines()[site.line - 1]
        found: set[int] = set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and re.search(rf"\b{node.name}\b", line):
                body = range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)
                found.update(*(self.tests.get((path, each), ()) for each in body))
        return found

    def _forked(self, path: str, number: int, tests: list[int], limit_s: float) -> str:
        pid = os.fork()
        if pid == 0:
            _hush(limit_s)
            code = KILLED
            with contextlib.suppress(BaseException):  # whatever a mutant throws, it was noticed
                if not plant_in_function(ROOT / path, number):
                    os._exit(LATE)
                code = self._first_failure(tests)
            os._exit(code)
        verdict = _verdict(_waited(pid, limit_s))
        if verdict != "survived":
            killer = int.from_bytes(self.killer[:], "big")
            self.killers[path].pop(killer, None)
            self.killers[path][killer] = None
        return verdict

    def _first_failure(self, tests: list[int]) -> int:
        for each in tests:
            self.killer[:] = each.to_bytes(4, "big")
            self._run(self.items[each])
            if self.failed:
                return KILLED
        return SURVIVED

    def _afresh(self, path: str, number: int, tests: list[int], limit_s: float) -> str:
        pid = os.fork()
        if pid == 0:
            _hush(limit_s + 20)
            names = self.folder / f"names{self.part}.json"
            names.write_text(json.dumps([self.items[each].nodeid for each in tests]))
            this = [sys.executable, str(HERE / "worker.py"), "one", path, str(number), str(names)]
            os.execv(sys.executable, this)
        return _verdict(_waited(pid, limit_s + 20))


class InOrder:
    """Runs the named tests alone, in the order of their names' list."""

    def __init__(self, names: list[str]) -> None:
        self.names = {name: at for at, name in enumerate(names)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep and sort what was named."""
        items[:] = sorted(
            (each for each in items if each.nodeid in self.names),
            key=lambda each: self.names[each.nodeid],
        )


def _hush(limit_s: float) -> None:
    """Silence a child and bound what a mutant may eat."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit_s) + 1, int(limit_s) + 2))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.setpgid(0, 0)


def _waited(pid: int, limit_s: float) -> int | None:
    """Return the child's exit code; None where it had to be ended."""
    until = time.monotonic() + 4 * limit_s
    pause_s = 0.002
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause_s)
        pause_s = min(0.05, pause_s * 1.3)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _verdict(code: int | None) -> str:
    if code is None or code < 0:
        return "killed by time"
    return {SURVIVED: "survived", LATE: "survived"}.get(code, "killed")


def _settle_hypothesis() -> None:
    """Let a failing example fail at once: nobody reads it, so nothing is shrunk or kept."""
    settings.register_profile(
        "mutants",
        phases=[Phase.explicit, Phase.generate],
        database=None,
        deadline=None,
        derandomize=True,
    )
    settings.load_profile("mutants")


def _one(path: str, number: str, names: str) -> int:
    """Run the named tests with one mutant planted before the first import."""
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    plant_before_import(module, ROOT / path, int(number))
    wanted = json.loads(Path(names).read_text())
    files = list(dict.fromkeys(each.partition("::")[0] for each in wanted))
    return int(pytest.main([*files, *PLAIN, "-x"], plugins=[InOrder(wanted)]))


def main() -> int:
    """Take the worker's role from the command line."""
    sys.path[:0] = [str(ROOT), str(ROOT / "drivers"), str(ROOT / "sim")]
    _settle_hypothesis()
    if sys.argv[1] == "one":
        return _one(*sys.argv[2:])
    folder, part, parts = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    return int(pytest.main(TESTS, plugins=[Session(folder, part, parts)]))


if __name__ == "__main__":
    sys.exit(main())
