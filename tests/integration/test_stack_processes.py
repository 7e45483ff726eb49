"""No process outlives the stack that started it, however the stack ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devstack.errors import StackError
from devstack.ground import Ground
from devstack.process import alive, wait_for_exit
from devstack.stack import REPOSITORY
from devstack.waiting import wait_until

_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY / "hack"), "MODELROUTE_UNDER_MAKE": ""}

# A program that holds a process which ignores SIGTERM and has a child of its own.
_HOLDS_A_STUBBORN_PROCESS = """
import sys, threading
from pathlib import Path
from devstack.ground import Ground
ground = Ground(Path(sys.argv[1]), report=print)
process = ground.process("stubborn", ["/bin/sh", "-c", "trap '' TERM; sleep 600 & echo $!; wait; wait"])
process.start()
print(process.pid, flush=True)
threading.Event().wait()
"""

_HOLDS_A_STACK = """
import json, sys
from pathlib import Path
from devstack.process import end_in_order, end_with_make, wait_for_the_end
from devstack.stack import Stack
end_in_order()
end_with_make()
with Stack.start(Path(sys.argv[1])) as stack:
    parts = [stack.etcd, stack.apiserver, stack.controller_manager, stack.traefik, stack.prometheus]
    print(json.dumps([part.pid for part in parts]), flush=True)
    wait_for_the_end()
"""


@contextmanager
def _program(code: str, folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    program = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        env=_ENVIRONMENT | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        try:
            yield program
        finally:
            program.kill()


def _line(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    return program.stdout.readline()


def test_a_process_and_its_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "stack"
    with _program(_HOLDS_A_STUBBORN_PROCESS, folder) as parent:
        child = int(_line(parent))
        grandchild = int(wait_until((folder / "logs" / "stubborn.log").read_text, what="the child has a child"))
        assert alive(child)
        assert alive(grandchild)

        parent.kill()

    wait_for_exit(child)
    wait_for_exit(grandchild)
    wait_until(lambda: not (folder / "data").exists(), what="the data is removed")
    assert (folder / "logs").exists()


def test_a_whole_stack_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    with _program(_HOLDS_A_STACK, tmp_path / "stack") as parent:
        pids: list[int] = json.loads(_line(parent))
        assert all(alive(pid) for pid in pids)

        parent.kill()

    for pid in pids:
        wait_for_exit(pid)


def test_a_whole_stack_goes_away_when_its_parent_is_terminated(tmp_path: Path) -> None:
    with _program(_HOLDS_A_STACK, tmp_path / "stack") as parent:
        pids: list[int] = json.loads(_line(parent))

        parent.terminate()
        parent.wait(timeout=30)

    assert not any(alive(pid) for pid in pids)
    assert not (tmp_path / "stack").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_under_make_a_program_ends_with_make(tmp_path: Path) -> None:
    # Stands for make: it starts the program and tells its pid.
    make = (
        "import subprocess, sys; "
        "program = subprocess.Popen([sys.executable, *sys.argv[1:]]); print(program.pid, flush=True); program.wait()"
    )
    arguments = ["-c", _HOLDS_A_STACK, str(tmp_path / "stack")]
    with subprocess.Popen(
        [sys.executable, "-c", make, *arguments],
        env=_ENVIRONMENT | {"MODELROUTE_UNDER_MAKE": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as standing_for_make:
        program = int(_line(standing_for_make))
        pids: list[int] = json.loads(_line(standing_for_make))

        standing_for_make.kill()

    wait_for_exit(program, timeout_s=30)
    assert not any(alive(pid) for pid in pids)


def test_a_process_can_be_stopped_started_killed_and_paused(tmp_path: Path) -> None:
    ground = Ground(tmp_path / "stack", report=lambda _line: None)
    process = ground.process("sleeper", ["sleep", "600"])
    try:
        process.start()
        with pytest.raises(StackError, match="sleeper runs already"):
            process.start()
        process.pause()
        process.stop()
        assert process.returncode == -signal.SIGTERM

        process.start()
        process.kill()
        assert process.returncode == -signal.SIGKILL
        assert not process.running
    finally:
        ground.close()


def test_a_program_that_does_not_exist_is_one_sentence(tmp_path: Path) -> None:
    ground = Ground(tmp_path / "stack", report=lambda _line: None)
    try:
        with pytest.raises(StackError, match="x cannot be started: there is no program /nowhere/x"):
            ground.process("x", ["/nowhere/x"]).start()
    finally:
        ground.close()


def _make_like(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "devstack", command],
        env=_ENVIRONMENT | {"MODELROUTE_STACK": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_stack_in_the_background_is_brought_up_once_and_taken_down(tmp_path: Path) -> None:
    folder = tmp_path / ".stack"
    try:
        first = _make_like("up", folder)
        assert first.returncode == 0, first.stderr
        assert f"export KUBECONFIG={folder}/kubeconfig" in first.stdout

        second = _make_like("up", folder)
        assert second.returncode == 0
        assert second.stdout.startswith("The stack is up already.")
        assert f"export KUBECONFIG={folder}/kubeconfig" in second.stdout
    finally:
        down = _make_like("down", folder)

    assert down.stdout == "The stack is down.\n"
    assert not folder.exists()
    assert _make_like("down", folder).stdout == "The stack is not up.\n"
    assert _make_like("status", folder).returncode == 1
