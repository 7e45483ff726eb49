"""The image: what it is made of, who runs it, and that the chart starts it as it wants to be started."""

from __future__ import annotations

import fnmatch
import re
import shlex
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from tests.packaging.chart import REPOSITORY, Render, only

from devstack import pod

DOCKERFILE = REPOSITORY / "Dockerfile"
LOCK = REPOSITORY / "hack" / "image" / "requirements.txt"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def instructions(name: str) -> list[str]:
    """The arguments of every instruction of that name, in order."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    return re.findall(rf"^{name} (.+)$", text, re.MULTILINE)


def pins(path: Path) -> set[tuple[str, str]]:
    """Packages with the versions that a lock has of them: more than one where it has different ones for Pythons."""
    return set(PIN.findall(path.read_text()))


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout


def test_the_image_has_the_packages_that_the_tests_ran_with() -> None:
    assert pins(LOCK) - pins(REPOSITORY / "hack" / "requirements" / "dev.txt") == set()


def test_the_image_has_every_dependency_and_no_tool_of_ours() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[^A-Za-z0-9._-]", each)[0].lower() for each in requirements}

    shipped = {name for name, _ in pins(LOCK)}
    assert names(project["dependencies"]) <= shipped
    assert shipped & {"pytest", "mypy", "ruff", "hypothesis", "setuptools"} == set()


def test_every_package_is_checked_by_its_hash() -> None:
    assert all("--require-hashes" in step for step in instructions("RUN") if "pip " in step)
    assert all("--hash=sha256:" in block for block in re.split(r"\n(?=\S)", LOCK.read_text()) if "==" in block)


def test_both_stages_stand_on_one_python_whose_patch_is_named() -> None:
    assert [each.split()[0] for each in instructions("FROM")] == ["python:${PYTHON}"] * 2
    assert re.fullmatch(r"PYTHON=3\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", instructions("ARG")[0])


def test_the_image_runs_as_the_user_that_the_chart_asks_for(render: Render) -> None:
    security = only(render(), "Deployment")["spec"]["template"]["spec"]["securityContext"]

    assert instructions("USER") == [f"{security['runAsUser']}:{security['runAsGroup']}"]
    assert security["runAsUser"] > 0


def test_the_stack_runs_the_operator_in_the_images_environment() -> None:
    told = dict(each.split("=", 1) for line in instructions("ENV") for each in line.split())

    assert told.items() >= pod.OF_THE_IMAGE.items()


def test_the_image_says_which_ports_the_chart_asks_for(render: Render) -> None:
    (container,) = only(render(), "Deployment")["spec"]["template"]["spec"]["containers"]

    assert [str(port["containerPort"]) for port in container["ports"]] == instructions("EXPOSE")[0].split()


def test_the_image_has_the_command_that_pip_would_make(tmp_path: Path) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    (making,) = (step for step in instructions("RUN") if "/bin/modelroute" in step)
    _, _, shebang, *script = shlex.split(making.partition(">")[0])
    module, function = project["scripts"]["modelroute"].split(":")
    (tmp_path / "modelroute").write_text("\n".join(script))
    done = subprocess.run(
        [sys.executable, tmp_path / "modelroute", "--version"], capture_output=True, text=True, check=False
    )

    assert shebang == "#!/opt/modelroute/bin/python"
    assert f"from {module} import {function}" in script
    assert instructions("ENTRYPOINT") == ['["modelroute"]']
    assert (done.returncode, done.stdout.split()[0]) == (0, "modelroute,"), done.stderr


@pytest.mark.parametrize("source", [each.split()[0] for each in instructions("COPY") if "--from" not in each])
def test_what_is_copied_is_there_and_reaches_the_build(source: str) -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    let_in = [line[1:] for line in lines if line.startswith("!")]

    assert (REPOSITORY / source).exists()
    assert any(fnmatch.fnmatch(source, pattern) for pattern in let_in)
    assert "*" in lines
