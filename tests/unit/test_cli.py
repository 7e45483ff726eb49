"""The command line as a person meets it: every mistake is one sentence, never a traceback."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelroute import __version__
from modelroute.cli.main import cli, kubectl_main, main, plugin

ROOT = Path(__file__).parents[2]
OPERATOR = ROOT / "operator"
Program = Callable[[], None]
GOOD = "prometheus: {default: {url: 'http://127.0.0.1:9'}}"


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str, program: Program = main
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["modelroute", *arguments])
    code: object = 0
    try:
        program()
    except SystemExit as end:
        code = end.code or 0
    printed = capsys.readouterr()
    assert isinstance(code, int)
    return code, printed.out, printed.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--help",), "Canary rollouts of language models"),
        (("-h",), "operator"),
        (("--version",), __version__),
        (("operator", "--help"), "--config"),
    ],
)
def test_help_is_on_standard_output_and_no_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    code, out, err = run(capsys, monkeypatch, *arguments)

    assert code == 0
    assert says in out
    assert err == ""


@pytest.mark.parametrize(
    ("config", "kubeconfig", "code", "says"),
    [
        ("prometheus: {default: {url: nowhere}}", "", 1, "operator.yaml: prometheus.default.url: "),
        ("analysis: {window: soon}", "", 1, "operator.yaml: analysis.window: 'soon' is not a duration"),
        ("{", "", 1, "operator.yaml cannot be read: "),
        (GOOD, "", 1, "no way to reach the API server is configured: "),
        (GOOD, "{", 1, "no way to reach the API server is configured: "),
        (GOOD, "- a list", 1, "no way to reach the API server is configured: "),
        (GOOD, "{apiVersion: v1, kind: Config, current-context: gone}", 1, "no way to reach the API server"),
        (None, "", 2, "'operator.yaml' does not exist"),
    ],
    ids=[
        "a bad field",
        "a bad duration",
        "broken YAML",
        "an empty kubeconfig",
        "a broken kubeconfig",
        "a kubeconfig that is something else",
        "a kubeconfig without its context",
        "no file",
    ],
)
def test_an_operator_that_cannot_start_says_why_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    config: str | None,
    kubeconfig: str,
    code: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if config is not None:
        Path("operator.yaml").write_text(config, encoding="utf-8")
    Path("kubeconfig").write_text(kubeconfig, encoding="utf-8")

    ended, out, err = run(capsys, monkeypatch, "operator", "--config", "operator.yaml", "--kubeconfig", "kubeconfig")

    (line,) = [line for line in err.splitlines() if "Error: " in line]
    assert ended == code
    assert says in line
    assert "Traceback" not in out + err


def test_the_module_runs_as_a_program(tmp_path: Path) -> None:
    config = tmp_path / "operator.yaml"
    config.write_text("prometheus: 1", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "modelroute.cli.main", "operator", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": str(OPERATOR), "PATH": ""},
    )

    assert done.returncode == 1
    assert done.stderr == f"Error: {config}: prometheus: Input should be a valid dictionary\n"


@pytest.mark.parametrize(
    ("program", "command"),
    [*((main, name) for name in sorted(cli.commands)), *((kubectl_main, name) for name in sorted(plugin.commands))],
)
def test_a_command_without_arguments_says_what_it_lacks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: Program, command: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    code, out, err = run(capsys, monkeypatch, command, program=program)

    assert code != 0
    assert len((out + err).strip().rpartition("Error:")[2].split()) > 2


def test_the_readme_names_each_command_where_it_is() -> None:
    rows = {}
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        if row := re.match(r"\| `(kubectl modelroute|modelroute)`", line):
            rows[row[1]] = set(re.findall(r"`(\w+)`", line[row.end() :]))

    assert rows["kubectl modelroute"] == set(plugin.commands)
    assert rows["modelroute"] <= set(cli.commands) - set(plugin.commands)
