"""Which tests run a line, told by coverage, and how much processor time each takes."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Collection, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest

PACKAGE = "modelroute.analysis"
OPTIONS = (
    "-x", "-s", "--assert=plain", "-p", "no:terminal", "-p", "no:logging", "-p", "no:cacheprovider",
    "-o", "addopts=--import-mode=importlib", "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
"""Without the marks of progress, and without the words of a failed assertion, whose making takes longer than most
tests: that one fails is enough. The warning is that plugins were loaded before pytest was."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`seconds` by test; `lines`: by module and line the tests that run it; `sources`: by path the digests of the
    files that this was measured on.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]
    sources: dict[str, str]

    def tests(self, module: str, lines: range, budget_s: float, first: Collection[str] = ()) -> list[str]:
        """Those that run one of `lines`, quickest first, as many as fit in `budget_s`.

        Where there are no lines, those that run any of the module, and after them the others. Before all come those of
        the module's own file, and those with one of the words `first` in their name.
        """
        words = (f"/test_{module}.py", *first)

        def key(test: str) -> tuple[bool, float]:
            return not any(word in test for word in words), self._cost(test)

        known = self.lines.get(module, {})
        found = {test for line in lines or known for test in known.get(line, ())}
        chosen = sorted(found, key=key)
        if not lines:
            chosen += sorted(set(self.seconds) - found, key=key)
        kept: list[str] = []
        for test in chosen:
            budget_s -= self._cost(test)
            if budget_s < 0 and kept:
                break
            kept.append(test)
        return kept

    def joined(self, other: Choice) -> Choice:
        """What both know."""
        lines = {module: dict(known) for module, known in self.lines.items()}
        for module, known in other.lines.items():
            for line, tests in known.items():
                lines.setdefault(module, {})[line] = [*lines.get(module, {}).get(line, []), *tests]
        return Choice(self.seconds | other.seconds, lines, self.sources)

    def still_true(self, now: dict[str, str]) -> tuple[Choice, list[str]]:
        """What of this holds for the files as they are `now`, and the files that changed since it was measured.

        A file of tests that changed takes its own tests along. Anything else does so with all: lines have moved, or
        other lines are run, and a change would be tried with tests that do not run it.
        """
        changed = sorted(name for name in self.sources.keys() | now.keys() if self.sources.get(name) != now.get(name))
        if not all(_holds_tests(name) for name in changed):
            return Choice({}, {}, now), changed
        kept = self.only({test for test in self.seconds if test.partition("::")[0] not in changed})
        return Choice(kept.seconds, kept.lines, now), changed

    def only(self, tests: Collection[str]) -> Choice:
        """Of `tests` alone: the others are not there any more."""
        kept = {test: seconds for test, seconds in self.seconds.items() if test in tests}
        lines = {
            module: {line: [test for test in known_by if test in kept] for line, known_by in known.items()}
            for module, known in self.lines.items()
        }
        return Choice(kept, lines, self.sources)

    def _cost(self, test: str) -> float:
        return self.seconds.get(test, 0.0)

    def write(self, file: Path) -> None:
        file.write_text(json.dumps({"seconds": self.seconds, "lines": self.lines, "sources": self.sources}), "utf-8")

    @classmethod
    def read(cls, file: Path) -> Choice:
        content = json.loads(file.read_text("utf-8"))
        lines = {
            module: {int(line): tests for line, tests in known.items()} for module, known in content["lines"].items()
        }
        return cls(content["seconds"], lines, content["sources"])


def _holds_tests(name: str) -> bool:
    return Path(name).name.startswith("test_")


def digests(root: Path, parts: Iterable[str], tests: Iterable[str]) -> dict[str, str]:
    """By path below `root`: of every Python file in `parts`, where of the files of tests only `tests` count."""
    own = set(tests)
    files = (file for part in parts for file in sorted((root / part).rglob("*.py")))
    names = {str(file.relative_to(root)): file for file in files}
    return {
        name: hashlib.sha256(file.read_bytes()).hexdigest()
        for name, file in names.items()
        if name in own or not _holds_tests(name)
    }


def forget_cached() -> None:
    """What an earlier test left in a cache would hide the lines that made it."""
    for module in [each for name, each in sys.modules.items() if name.startswith(PACKAGE)]:
        for value in list(vars(module).values()):
            if hasattr(value, "cache_clear"):
                value.cache_clear()


class Recorder:
    """Notes of each test which lines of `folder` it runs, and how long it takes."""

    def __init__(self, folder: Path) -> None:
        self.measuring = coverage.Coverage(data_file=None, source=[str(folder)], config_file=False)
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        forget_cached()
        self.measuring.switch_context(item.nodeid)
        began = time.process_time()
        result = yield
        self.seconds[item.nodeid] = time.process_time() - began
        return result

    def choice(self) -> Choice:
        data, lines = self.measuring.get_data(), {}
        for name in data.measured_files():
            known = {line: sorted(filter(None, tests)) for line, tests in data.contexts_by_lineno(name).items()}
            lines[Path(name).stem] = known
        return Choice(self.seconds, lines, {})
