"""Change the statistics a little, one place at a time, and see which changes no test notices.

    python -m mutating                         # every module of operator/modelroute/analysis
    python -m mutating two_arm mixture         # these
    python -m mutating --every 3 one_arm       # every third change, when time is short
    python -m mutating --lines 40-60 bounds    # those of some lines, after a new test
    python -m mutating --again run.log         # what survived in an earlier run, by what that printed
    python -m mutating --control               # changes of which it is known whether they are noticed

It works on a copy. What survives is printed as it is found, and docs/mutants.md says of each why.
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, Phase, settings

from mutating.changes import mutants
from mutating.choosing import OPTIONS, Choice, Recorder, digests
from mutating.killing import in_child, run_items, status_with

ROOT = Path(__file__).parents[2]
FOLDER = Path("operator/modelroute/analysis")
TESTS = tuple(
    f"tests/{each}.py" for each in (
        "unit/test_analyze", "unit/test_assessment", "unit/test_blocks", "unit/test_detector", "unit/test_engine",
        "unit/test_engine_limits", "unit/test_engine_safety", "unit/test_engine_split", "unit/test_interval",
        "unit/test_layout", "unit/test_one_arm", "unit/test_oracle_enumerated", "unit/test_oracle_processes",
        "unit/test_oracle_several", "unit/test_oracle_whole", "unit/test_replay", "unit/test_shares",
        "unit/test_slow_arms", "unit/test_two_arm", "property/test_bounds", "property/test_engine_whole",
        "property/test_evidence",
    )
)  # fmt: skip
"""What is said of the statistics themselves; tests of what uses them would notice more."""

MEASURED_ON = ("operator/modelroute", "tests")
"""A change in there can move lines, or run others."""

CONTROLS = (
    ("two_arm", "bad * np.log(theta / null) + good", True, True),
    ("two_arm", "np.abs(after - b) > _CLOSE * after", True, False),
    ("mixture", "-0.35 → +0.35", False, True),
    ("two_arm", "80 → 81", False, False),
)
"""By module and how it is said: a change in a function, or outside; is it noticed? The two that are not change nothing
that could be: the step at which an entry stops, and after how many more it gives up."""

BY_NO_TEST = "  (run by no test)"
SLOWEST_S = 3_600


class Trying:
    """Takes the place of running the tests, once pytest has collected them."""

    def __init__(self, options: argparse.Namespace, modules: list[str], root: Path) -> None:
        self.options, self.modules, self.root = options, modules, root
        self.begun = False
        said = options.again.read_text("utf-8") if options.again else ""
        self.again = {line.removesuffix(BY_NO_TEST) for line in said.splitlines() if ".py:" in line}
        self.out = os.fdopen(os.dup(1), "w", buffering=1)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.begun = True
        choice = self._choice(session)
        if self.options.control:
            self._control(session, choice)
            return True
        for name in self.modules:
            self._try_all(session, name, choice)
        return True

    def _control(self, session: pytest.Session, choice: Choice) -> None:
        wrong = 0
        for name, said, inside, noticed in CONTROLS:
            file = self.root / FOLDER / f"{name}.py"
            (mutant,) = (
                each for each in mutants(file.read_text("utf-8"))
                if each.said.startswith(said) and bool(each.lines) is inside
            )  # fmt: skip
            tests = choice.tests(name, mutant.lines, self.options.seconds)
            survived = not status_with(session, file, mutant.source, inside=inside, tests=tests, choice=choice)
            wrong += survived is noticed
            told = "survives" if survived else "killed"
            print(f"{name}.py:{mutant.line}: {mutant.said}: {told}, as it should{' not' * (survived is noticed)}",
                  file=self.out)  # fmt: skip
        if wrong:
            self._give_up(f"{wrong} of {len(CONTROLS)} controls come out wrong")

    def _choice(self, session: pytest.Session) -> Choice:
        """Which test runs what; measured now of the tests that the file where it is kept does not know."""
        file: Path = self.options.choice or self.root / "choice.json"
        known = Choice.read(file) if file.exists() else Choice({}, {}, {})
        kept, changed = known.still_true(digests(self.root, MEASURED_ON, TESTS))
        new = [item.nodeid for item in session.items if item.nodeid not in kept.seconds]
        if known.seconds and changed:
            named = ", ".join(Path(name).name for name in changed[:5]) + (", …" if len(changed) > 5 else "")
            print(f"stale: {named} changed since it was measured which tests run a line", file=self.out)
        print(f"measuring which lines {len(new)} of {len(session.items)} tests run", file=self.out)

        def work() -> int:
            recorder = Recorder(self.root / FOLDER)
            session.config.pluginmanager.register(recorder)
            recorder.measuring.start()
            status = run_items(session, new, self._say_failed)
            recorder.measuring.stop()
            if not status:
                kept.joined(recorder.choice()).write(file)
            return status

        if new and (status := in_child(work, SLOWEST_S)):
            self._give_up(f"the tests fail before anything is changed (exit code {status}); run pytest to see why")
        return Choice.read(file).only({item.nodeid for item in session.items})

    def _say_failed(self, report: pytest.TestReport) -> None:
        print(f"{report.nodeid} fails: {report.longreprtext}", file=self.out)

    def _give_up(self, why: str) -> NoReturn:
        print(why, file=self.out)  # pytest's own terminal is off
        pytest.exit(why, 1)

    def _try_all(self, session: pytest.Session, name: str, choice: Choice) -> None:
        file = self.root / FOLDER / f"{name}.py"
        begin, _, end = self.options.lines.partition("-")
        lines = range(int(begin), int(end or begin) + 1) if begin else range(0)
        began, tried, left, endless = time.monotonic(), 0, 0, 0
        source = file.read_text("utf-8")
        # What changes nothing must survive: else the way a change is put in would kill everything.
        same = ast.unparse(ast.parse(source))
        for inside in {True, not self.options.inside}:
            tests = choice.tests(name, range(0), self.options.seconds)
            if status := status_with(
                session, file, same, inside=inside, tests=tests, choice=choice, told=self._say_failed
            ):
                self._give_up(f"{name}: the tests fail with nothing changed ({inside=}, exit code {status})")
        for number, mutant in enumerate(mutants(source)):
            if number % self.options.every or (lines and mutant.line not in lines):
                continue
            if self.again and f"{name}.py:{mutant.line}: {mutant.said}" not in self.again:
                continue
            if (self.options.inside and not mutant.lines) or (self.options.outside and mutant.lines):
                continue
            tried += 1
            tests = choice.tests(name, mutant.lines, self.options.seconds, self.options.first)
            inside = bool(mutant.lines)
            status = 0
            if tests:
                status = status_with(session, file, mutant.source, inside=inside, tests=tests, choice=choice)
            endless += status < 0
            if not status:
                left += 1
                print(f"{name}.py:{mutant.line}: {mutant.said}{'' if tests else BY_NO_TEST}", file=self.out)
        took = time.monotonic() - began
        killed = f"{tried - left} killed ({endless} by their time)"
        print(f"{name}: {tried} mutants, {killed}, {left} survived, {took:.0f} s", file=self.out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = sorted(each.stem for each in (ROOT / FOLDER).glob("*.py") if not each.stem.startswith("_"))
    parser.add_argument("modules", nargs="*", help=f"of {FOLDER}")
    parser.add_argument("--every", type=int, default=1, help="try only every so many-th change")
    parser.add_argument("--lines", default="", help="such as 40-60: only there")
    parser.add_argument("--again", type=Path, help="what an earlier run printed: only what survived there")
    parser.add_argument("--inside", action="store_true", help="only what is in a function: quicker")
    parser.add_argument("--outside", action="store_true", help="only what runs when a module is loaded: slower")
    parser.add_argument("--control", action="store_true", help="try changes of which it is known if they are noticed")
    parser.add_argument("--seconds", type=float, default=5.0, help="of tests for a change, the quickest first")
    parser.add_argument("--first", action="append", default=[], help="a word in the names of tests to begin with")
    parser.add_argument("--choice", type=Path, help="a file that keeps which test runs what, for the next time")
    options = parser.parse_args()
    options.choice = options.choice and options.choice.resolve()
    sys.dont_write_bytecode = True
    # A failing example is enough; the smallest one takes time to find. And a busy machine fails no test: that would
    # be taken for a change that was noticed.
    settings.register_profile(
        "mutants", derandomize=True, database=None, phases=(Phase.explicit, Phase.generate),
        deadline=None, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    os.environ["HYPOTHESIS_PROFILE"] = "mutants"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        shutil.copy(ROOT / "pyproject.toml", root)
        for part in ("operator", "hack", "tests", "docs"):
            shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("go", "packaging", "images"))
        os.chdir(root)
        sys.path[:0] = [str(root), str(root / "operator")]
        there = [each for each in TESTS if Path(each).exists()]
        trying = Trying(options, options.modules or every, root)
        status = int(pytest.main([*OPTIONS, *there], plugins=[trying]))
        if not trying.begun:
            raise SystemExit("the tests cannot be collected; run pytest to see why")
        return status


if __name__ == "__main__":
    sys.exit(main())
