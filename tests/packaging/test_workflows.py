"""The workflows, as far as that goes without the machines that run them."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
import yaml

from controlplane import programs

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
TARGET = re.compile(r"\bmake ([a-z0-9-]+)")


def test_actionlint_finds_nothing() -> None:
    """With shellcheck on PATH, actionlint looks at the scripts in them as well."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    actionlint = programs.locate("actionlint").path

    done = subprocess.run(
        [actionlint, "-no-color", *WORKFLOWS],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PATH": path},
    )

    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_actionlint_would_find_something(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(WORKFLOWS[0].read_text().replace("matrix.target", "matrix.tarket", 1))

    done = subprocess.run(
        [programs.locate("actionlint").path, "-no-color", broken],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 1
    assert "tarket" in done.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_target_that_a_workflow_makes_is_one_of_the_makefiles(workflow: Path) -> None:
    text = workflow.read_text()
    jobs = yaml.safe_load(text)["jobs"]
    wanted = set(TARGET.findall(text))
    for job in jobs.values():
        matrix = (job.get("strategy") or {}).get("matrix") or {}
        wanted |= {
            *matrix.get("target", []),
            *(each["target"] for each in matrix.get("include", []) if "target" in each),
        }
    makefiles = (ROOT / "Makefile").read_text() + (ROOT / "hack" / "packaging.mk").read_text()

    assert wanted
    assert sorted(wanted - set(re.findall(r"^([a-z0-9-]+):", makefiles, re.MULTILINE))) == []
