"""What tests share: one local stack per run of pytest, started by the first test that asks for it."""

import asyncio
import os
import re
import secrets
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from devstack.process import end_with_make
from devstack.stack import Stack

_failed = False
_skipped: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a test that skips fails the run: all it needs is there")


# On Python 3.11 pytest-asyncio 1.5 asks for a current event loop before the first async test of a run. If a plain
# test ran before it, that makes a loop which nobody closes, and the warning fails the run (pytest-asyncio#724).
# Said outright that there is none, it makes none.
asyncio.set_event_loop(None)

# Pages are compared with what commands print into a pipe of no known width. Workers of pytest-xdist inherit the width
# of the terminal, where readline left it in the environment.
os.environ.pop("COLUMNS", None)

# The same examples in every run, so that what is green stays green; HYPOTHESIS_PROFILE=exploring looks for new ones.
settings.register_profile("seeded", derandomize=True)
settings.register_profile("exploring", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "seeded"))


def pytest_configure() -> None:
    """A run that is ended from outside takes its stack down."""
    signal.signal(signal.SIGTERM, lambda number, _frame: pytest.exit("ended from outside", returncode=128 + number))
    end_with_make()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    global _failed  # noqa: PLW0603  # pytest hands no state from this hook to fixtures
    _failed = _failed or report.failed
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped and session.config.getoption("--no-skips") and not hasattr(session.config, "workerinput"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _skipped and config.getoption("--no-skips"):
        terminalreporter.write_line(f"--no-skips: {len(_skipped)} skipped, which fails this run", red=True)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A running stack. Its logs are kept, and named, if a test of the run fails."""
    with Stack.start() as running:
        yield running
        if _failed:
            running.keep_logs("a test failed")


@pytest.fixture
def namespace(stack: Stack, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, named after it; it is deleted afterwards, and that is not waited for."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-")
    name = stack.create_namespace(f"{words}-{secrets.token_hex(3)}")
    yield name
    stack.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
