"""The workflows do nothing of their own: they call make's targets, and every action is pinned to a commit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.packaging.chart import REPOSITORY, Json

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yaml"))


def steps(workflow: Path) -> Iterator[Json]:
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        for target in job.get("strategy", {}).get("matrix", {}).get("target", [""]):
            for step in job["steps"]:
                yield {**step, "run": step.get("run", "").replace("${{ matrix.target }}", target)}


def targets() -> set[str]:
    files = [REPOSITORY / "Makefile", *sorted((REPOSITORY / "hack").glob("*.mk"))]
    return {name for file in files for name in re.findall(r"^([a-z][a-z0-9-]*):", file.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_every_target_that_is_called_is_there(workflow: Path) -> None:
    called = {step["run"].split()[1] for step in steps(workflow) if step["run"].startswith("make ")}

    assert called
    assert called - targets() == set()


def test_a_change_is_tested_by_all_that_make_test_runs_and_by_the_packages_tests() -> None:
    (tested,) = re.findall(r"^test: ([a-z0-9 -]+)", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    called = {step["run"].removeprefix("make ") for step in steps(REPOSITORY / ".github" / "workflows" / "ci.yaml")}

    assert {*tested.split(), "packaging"} <= called


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_every_action_is_a_commit_and_no_job_may_write(workflow: Path) -> None:
    content = yaml.safe_load(workflow.read_text())

    assert content["permissions"] == {"contents": "read"}
    for step in steps(workflow):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step.get("uses", f"a/b@{'0' * 40}"))
        # What an event says may hold anything: it reaches a shell through the environment only.
        assert "${{" not in step["run"]
