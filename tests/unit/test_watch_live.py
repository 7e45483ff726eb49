"""The live screen of `modelroute watch` on a terminal: what it draws, and how it leaves the terminal behind."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import pytest
from rich.console import Console
from tests.fake_cluster import Person
from tests.unit.test_tick import progressing

from modelroute.cli.complete import answer
from modelroute.cli.main import plugin
from modelroute.cli.view import read_view
from modelroute.cli.watch_live import Latest, Looking, frame
from modelroute.errors import Unavailable

ROOT = Path(__file__).parents[2]
ON, OFF = b"\x1b[?1049h", b"\x1b[?1049l"
HIDDEN, SHOWN = b"\x1b[?25l", b"\x1b[?25h"

WATCHING = """
import asyncio, sys
from tests.fake_cluster import Person
from tests.unit.test_tick import progressing
from modelroute.cli.watch_live import watch_live
someone = Person.at(*asyncio.run(progressing()))
watch_live(someone.session(), "support", interval_s=0.2, until_done=False, program="modelroute")
"""


def drawn(latest: Latest, *, width: int, height: int, now: float) -> list[str]:
    console = Console(width=width, height=height, color_system=None, highlight=False, force_terminal=True)
    with console.capture() as captured:
        console.print(frame(latest, console, now, "modelroute"))
    return captured.get().splitlines()


@pytest.fixture
def someone() -> Person:
    return Person.at(*asyncio.run(progressing()))


def test_on_a_low_terminal_older_events_give_way_first(someone: Person) -> None:
    latest = Latest(read_view(someone.session(), "support"))

    tall = drawn(latest, width=120, height=60, now=someone.world.now)
    low = drawn(latest, width=120, height=len(tall) - 1, now=someone.world.now)

    assert len(low) <= len(tall) - 1
    assert sum("RolloutStarted" in line for line in tall) == 1
    assert any("token" in line for line in low)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 24), (60, 15), (80, 12), (40, 12)])
def test_what_is_left_out_is_counted_and_what_can_be_done_stays(someone: Person, width: int, height: int) -> None:
    lines = drawn(
        Latest(read_view(someone.session(), "support")), width=width, height=height, now=someone.world.now + 70
    )

    assert len(lines) <= height
    assert "promote|pause|abort" in " ".join(lines[-3:])
    assert any("Nothing was written" in line for line in lines), "the warning is on top"
    cut = [line for line in lines if line.startswith("… ") and line.endswith(" lines more")]
    assert cut or any("errors of small no harm shown  harm 0.383" in line for line in lines)


@pytest.mark.parametrize("width", [50, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(someone: Person, width: int) -> None:
    lines = drawn(Latest(read_view(someone.session(), "support")), width=width, height=50, now=someone.world.now)

    assert max(len(line) for line in lines) <= width


def test_an_api_server_that_is_away_is_said_above_what_was_seen_last(someone: Person) -> None:
    looking = Looking(someone.session(), "support", 1.0)
    looking.latest = looking._look()
    someone.cluster.problem = Unavailable("the API server did not answer")
    someone.world.now += 5
    looking.latest = looking._look()
    someone.world.now += 7
    looking.latest = looking._look()

    lines = drawn(looking.latest, width=120, height=50, now=someone.world.now)

    assert lines[0] == "for 7s: the API server did not answer"
    assert any("support  in chat" in line for line in lines)


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM"])
def test_however_it_ends_the_terminal_is_as_it_was_with_the_last_screen_on_it(how: str) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        # Whoever runs the tests in the background of a shell has it ignored.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        path = os.pathsep.join(str(ROOT / part) for part in ("operator", "hack", "."))
        os.execve(sys.executable, [sys.executable, "-c", WATCHING], {"PYTHONPATH": path, "TERM": "xterm-256color"})
    resize(terminal, rows=40, columns=110)
    written = read_until(terminal, ON)
    written += read_for(terminal, 0.6)
    resize(terminal, rows=20, columns=60)
    written += read_for(terminal, 0.6)
    if how == "Ctrl-C":
        os.write(terminal, b"\x03")
    else:
        os.kill(pid, signal.SIGTERM)
    written += read_for(terminal, 10.0)
    ended, end = (0, 0), time.monotonic() + 10
    while not ended[0] and time.monotonic() < end:
        ended = os.waitpid(pid, os.WNOHANG)
        time.sleep(0.05)  # another process ends, by no clock of ours
    os.close(terminal)
    if not ended[0]:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    assert ended[0], "it goes on"
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    assert written.count(ON) == written.count(OFF) == 1
    assert written.rfind(SHOWN) > written.rfind(HIDDEN)
    assert b"\x1b[2J" not in written, "the screen was erased, which flickers"
    assert b"Traceback" not in written
    left = written[written.rfind(OFF) :].decode()
    assert "Progressing" in left


def resize(terminal: int, *, rows: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def read_until(terminal: int, mark: bytes, *, within_s: float = 30.0) -> bytes:
    end, found = time.monotonic() + within_s, b""
    while mark not in found:
        assert time.monotonic() < end, found
        found += read_for(terminal, 0.1)
    return found


def read_for(terminal: int, seconds: float) -> bytes:
    """What is written within `seconds`, or until the other side is gone."""
    end, found = time.monotonic() + seconds, b""
    while (left := end - time.monotonic()) > 0:
        if not select.select([terminal], [], [], left)[0]:
            continue
        try:
            new = os.read(terminal, 65_536)
        except OSError:
            return found
        if not new:
            return found
        found += new
    return found


# Completion by the shell, as kubectl asks for it.


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["app"], ["approve\tLet the step that waits for a person be left.", ":4"]),
        (["wait", "support", "--for", "st"], ["stable", ":4"]),
        (["lint", "-f", ""], [":0"]),
        (["promote", "--f"], ["--full\tEnd the waiting of all steps to come as well.", ":4"]),
    ],
)
def test_completion_answers_as_kubectl_reads_it(words: list[str], lines: list[str]) -> None:
    assert answer(plugin, words) == lines


def test_a_shell_gets_no_errors_where_there_is_no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    assert answer(plugin, ["status", ""]) == [":4"]
