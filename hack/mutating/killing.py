"""Do the tests notice a change? In a child of this process for each, and at the first test that fails.

pytest collects once. A change inside a function is put into the function itself, whoever has imported it, so that such
a mutant costs what its tests cost. What runs when a module is loaded needs a module, and its tests, loaded anew.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import resource
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest

from mutating.choosing import OPTIONS, PACKAGE, Choice, forget_cached

PATIENCE = 4.0
"""A change that makes a loop endless is noticed: so many times the processor time that the tests take, …"""

LEAST_S = {True: 10, False: 20}
"""… and this beside: more where modules and tests are loaded anew than inside a function."""


class _Changed(MetaPathFinder, Loader):
    """Gives `source` for the module of that name, instead of what is in its file."""

    def __init__(self, name: str, file: Path, source: str) -> None:
        self.name, self.file, self.source = name, file, source

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=str(self.file))

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.source, str(self.file), "exec"), module.__dict__)


class _Only:
    """Runs just `tests`, in their order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.place = {test: index for index, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        mine = [item for item in items if item.nodeid in self.place]
        items[:] = sorted(mine, key=lambda item: self.place[item.nodeid])


class _UntilFailed:
    def __init__(self, told: Callable[[pytest.TestReport], None]) -> None:
        self.failed, self.told = False, told

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = True
            self.told(report)


def in_child(work: Callable[[], int], cpu_s: float) -> int:
    """The exit code of `work` in a fork; negative where it ran out of `cpu_s` of processor time."""
    child = os.fork()
    if not child:
        status = 1
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s) + 1, int(cpu_s) + 2))
            status = work()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def run_items(
    session: pytest.Session, tests: Sequence[str], told: Callable[[pytest.TestReport], None] = lambda _: None
) -> int:
    """1 at the first of the collected `tests` that fails, 0 where none does. For a child: it leaves things open."""
    known = {item.nodeid: item for item in session.items}
    items, watching = [known[test] for test in tests], _UntilFailed(told)
    session.config.pluginmanager.register(watching)
    for item, after in zip(items, [*items[1:], None], strict=True):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        if watching.failed:
            return 1
    return 0


def status_with(
    session: pytest.Session, file: Path, source: str, *, inside: bool, tests: Sequence[str], choice: Choice,
    told: Callable[[pytest.TestReport], None] = lambda _: None,
) -> int:  # fmt: skip
    """0 where all `tests` pass with `source` in place of `file`, a module of the analysis; below 0 where their time ran
    out. `inside`: a function changed.
    """
    name = f"{PACKAGE}.{file.stem}"

    def changed_functions() -> int:
        changed = dict(_codes(compile(source, str(file), "exec")))
        # What only the command line imports, when it is called, is not there yet.
        for function in _functions(importlib.import_module(name)):
            function.__code__ = changed[function.__qualname__]
        forget_cached()
        return run_items(session, tests, told)

    def changed_module() -> int:
        for each in [each for each in sys.modules if each.partition(".")[0] in {"modelroute", "tests"}]:
            del sys.modules[each]
        sys.meta_path.insert(0, _Changed(name, file, source))
        # One file after another: loading all of them takes longer than what most changes live.
        files = Counter(test.partition("::")[0] for test in tests)
        ends = (int(pytest.main([*OPTIONS, name], plugins=[_Only(tests)])) for name, _ in files.most_common())
        return next(filter(None, ends), 0)

    seconds = LEAST_S[inside] + PATIENCE * sum(choice.seconds[test] for test in tests)
    return in_child(changed_functions if inside else changed_module, seconds)


def _codes(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    """What is compiled in `code`, by qualified name, but for what is local to a function."""
    for each in code.co_consts:
        if isinstance(each, CodeType) and "<" not in each.co_qualname:
            yield each.co_qualname, each
            yield from _codes(each)


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """The functions and methods that are written in `module`, without what is wrapped around them."""
    holders = [module, *(each for each in vars(module).values() if isinstance(each, type))]
    for holder in holders:
        for value in list(vars(holder).values()):
            inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            inner = getattr(inner, "__wrapped__", inner)
            # Methods that dataclass wrote are in no file.
            if isinstance(inner, FunctionType) and inner.__code__.co_filename == module.__file__:
                yield inner
