"""What `python -m devstack status` and `up` say and do about an operator that somebody killed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from devstack import __main__ as devstack
from devstack.process import Process

USAGE = f"  {devstack._RUNS} with its ServiceAccount's rights"


@dataclass
class Operator:
    running: bool = True
    log: Path = Path("operator.log")

    def start(self) -> None:
        self.running = True


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    monkeypatch.setattr(devstack, "FOLDER", tmp_path)
    monkeypatch.setattr(devstack, "_holder", os.getpid)
    return Operator()


def test_a_killed_operator_is_said_to_be_dead(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    keeping = devstack.Keeping(cast(Process, operator), USAGE)

    keeping.look()
    devstack.status()
    alive = capsys.readouterr().out
    operator.running = False
    keeping.look()
    devstack.status()
    dead = capsys.readouterr().out

    assert "operator     runs, with" in alive
    assert "operator     DEAD: `make up` starts it again" in dead


def test_up_starts_a_killed_operator_again_and_leaves_one_that_lives(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keeping = devstack.Keeping(cast(Process, operator), USAGE)
    asked: list[Any] = []

    def kill(*signalled: Any) -> None:
        asked.append(signalled)
        keeping.ask()
        keeping.look()

    monkeypatch.setattr(os, "kill", kill)
    keeping.look()
    assert devstack.up() == 0
    assert asked == []
    operator.running = False
    keeping.look()

    assert devstack.up() == 0
    assert len(asked) == 1
    assert operator.running
    told = capsys.readouterr().out
    assert "The operator was dead, and runs again." in told
    assert "DEAD" not in told
