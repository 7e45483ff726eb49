"""What a shell suggests: through kubectl, and through the shell's own functions for `modelroute`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from tests.fake_cluster import Person
from tests.unit.test_cli_cluster import person

from modelroute.cli.complete import answer
from modelroute.cli.main import PLUGIN_COMMANDS, plugin
from modelroute.errors import Unavailable

ROOT = Path(__file__).parents[2]
NAMED = sorted(
    command.name
    for command in PLUGIN_COMMANDS
    if command.name is not None and any(each.name in {"name", "names"} for each in command.params)
)


@pytest.fixture(scope="module")
def someone() -> Person:
    return person("rolled back")


@pytest.fixture
def suggests(someone: Person) -> Callable[..., list[str]]:
    """The suggestions for the words after `kubectl modelroute`, the last one being written."""

    def suggest(*words: str) -> list[str]:
        complete = ShellComplete(plugin, {"obj": someone.session()}, "kubectl modelroute", "")
        return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]

    return suggest


def test_each_command_that_takes_a_route_is_asked_below() -> None:
    verbs = ["abort", "approve", "pause", "promote", "resume", "retry"]
    assert sorted([*verbs, "explain", "get", "history", "report", "status", "wait", "watch"]) == NAMED


@pytest.mark.parametrize("command", NAMED)
def test_each_command_that_takes_a_route_suggests_the_routes_of_the_namespace(
    suggests: Callable[..., list[str]], command: str
) -> None:
    assert "support" in suggests(command, "")
    assert "support" in suggests(command, "-n", "chat", "supp")
    assert "support" in suggests(command, "--namespace=chat", "")
    assert suggests(command, "-n", "elsewhere", "") == []
    assert suggests(command, "other") == []


@pytest.mark.parametrize(
    ("words", "suggestions"),
    [
        (("explain", ""), ["support", "support-1"]),
        (("explain", "support-"), ["support-1"]),
        (("explain", "support", "--attempt", ""), ["1"]),
        (("explain", "-n", "chat", "support", "--attempt", ""), ["1"]),
        (("report", "support", "--attempt="), ["1"]),
        (("report", "support", "--attempt", "2"), []),
        (("report", "other", "--attempt", ""), []),
        (("report", "--attempt", ""), []),
        (("status", "-n", ""), ["chat"]),
        (("status", "-n", "kube"), []),
        (("get", "support", ""), []),
        (("status", "support", ""), []),
        (("wait", "--for", ""), ["promoted", "stable"]),
        (("explain", "-o", ""), ["table", "json"]),
        (("wait", "support", "--ti"), ["--timeout"]),
        (("pa",), ["pause"]),
    ],
    ids=" ".join,
)
def test_what_is_suggested(suggests: Callable[..., list[str]], words: tuple[str, ...], suggestions: list[str]) -> None:
    assert suggests(*words) == suggestions


def test_a_route_comes_with_its_phase(someone: Person) -> None:
    (found,) = ShellComplete(plugin, {"obj": someone.session()}, "", "").get_completions(["retry"], "")

    assert (found.value, found.help) == ("support", "RolledBack")


def test_where_the_cluster_does_not_answer_nothing_is_suggested() -> None:
    alone = person("stable")
    alone.cluster.problem = Unavailable("the API server did not answer GET /apis: MaxRetryError")
    complete = ShellComplete(plugin, {"obj": alone.session()}, "", "")

    for words in (["status"], ["explain"], ["report", "support", "--attempt"], ["status", "-n"]):
        assert complete.get_completions(words, "") == []


def test_a_kubeconfig_is_opened_once_and_a_cluster_that_is_silent_asked_once(
    someone: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, asked = [], []

    class SilentBut:
        namespace = someone.cluster.namespace

        def __init__(self, *answered: str) -> None:
            self._answered = answered

        def __getattr__(self, method: str) -> Any:
            asked.append(method)
            if method in self._answered:
                return getattr(someone.cluster, method)
            raise Unavailable("the API server did not answer")

    def opens(cluster: Any) -> list[str]:
        def open_reader(*_: Any, **how: Any) -> Any:
            opened.append(how)
            return cluster

        monkeypatch.setattr("modelroute.cluster.reader.open_reader", open_reader)
        complete = ShellComplete(plugin, {}, "kubectl modelroute", "")
        return [item.value for item in complete.get_completions(["explain"], "")]

    assert opens(someone.cluster) == ["support", "support-1"]
    assert opened == [{"timeout_s": 3.0}]
    assert opens(SilentBut()) == []
    assert asked == ["table"]
    assert opens(SilentBut("table")) == ["support"]
    assert len(opened) == 3


def test_contexts_are_those_of_the_kubeconfig_that_is_named(
    suggests: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kubeconfig"
    contexts = [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("east", "west")]
    whole = {"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": contexts}
    file.write_text(json.dumps({**whole, "current-context": "east"}), encoding="utf-8")

    assert suggests("status", "--kubeconfig", str(file), "--context", "") == ["east", "west"]
    assert suggests("status", "--kubeconfig", str(file), "--context=w") == ["west"]
    file.write_text("contexts: 7", encoding="utf-8")
    assert suggests("status", "--kubeconfig", str(file), "--context", "") == []


def test_a_kubeconfig_that_is_not_there_suggests_nothing_from_another_cluster(
    suggests: Callable[..., list[str]], tmp_path: Path
) -> None:
    gone = str(tmp_path / "gone")

    assert suggests("status", "--kubeconfig", gone, "") == []
    assert suggests("explain", f"--kubeconfig={gone}", "") == []
    assert suggests("status", "--kubeconfig", gone, "--context", "") == []


@pytest.mark.parametrize(
    ("words", "last"),
    [(["lint", "-f", ""], ":0"), (["explain", "-f", ""], ":0"), (["status", "--kubeconfig", ""], ":0"), ([], ":4")],
)
def test_kubectl_is_told_where_files_are_meant(words: list[str], last: str) -> None:
    assert answer(plugin, words)[-1] == last


def test_bash_itself_completes_modelroute(tmp_path: Path) -> None:
    program = tmp_path / "modelroute"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m modelroute.cli.main "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    script = (
        'eval "$(_MODELROUTE_COMPLETE=bash_source modelroute)"; COMP_WORDS=(modelroute wait chat --for "");'
        'COMP_CWORD=4; _modelroute_completion modelroute; echo "${COMPREPLY[@]}"'
    )

    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "operator")}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=True)

    assert done.stdout == "promoted stable\n"
