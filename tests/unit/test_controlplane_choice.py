"""Which program is taken: from PATH, from PyPI, or built; and which version of it will do."""

import stat
from pathlib import Path

import pytest

from controlplane import build, programs, versions
from controlplane.errors import SetupError
from controlplane.programs import Origin, locate
from controlplane.versions import Version, accepted, parse


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of PATH; what PyPI installed is hidden, too, and nothing is built."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    monkeypatch.setattr("controlplane.programs.sysconfig.get_path", lambda _name: str(tmp_path / "none"))
    monkeypatch.setattr(build, "program", lambda name: tmp_path / "built" / name)
    return folder


def _install(folder: Path, name: str, says: str) -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def test_a_program_on_path_of_a_suitable_version_is_taken(path: Path) -> None:
    program = _install(path, "kube-apiserver", "Kubernetes v1.36.9")

    found = locate("kube-apiserver")

    assert found == programs.Program("kube-apiserver", program, Origin.PATH)


def test_an_unsuitable_version_on_path_is_passed_over_in_one_line(path: Path) -> None:
    _install(path, "kube-apiserver", "Kubernetes v1.31.0")
    said: list[str] = []

    found = locate("kube-apiserver", say=said.append)

    assert found.origin is Origin.BUILT
    assert said == ["kube-apiserver on PATH is 1.31.0 and not used: it must be 1.36"]


def test_a_wrapper_that_is_no_release_is_passed_over(path: Path) -> None:
    _install(path, "kubectl", "Client Version: v1.36.4-dispatcher")
    said: list[str] = []

    with pytest.raises(SetupError):
        locate("kubectl", say=said.append)

    assert said == ["kubectl on PATH is 1.36.4-dispatcher and not used: it must be a release of 1.35 to 1.37"]


def test_a_program_that_does_not_tell_its_version_is_passed_over(path: Path) -> None:
    _install(path, "prometheus", "hello")
    said: list[str] = []

    assert locate("prometheus", say=said.append).origin is Origin.BUILT
    assert said == ["prometheus on PATH is unreadable and not used: it must be 3.5 or a later 3"]


@pytest.mark.usefixtures("path")
def test_what_pypi_installed_comes_before_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    program = _install(scripts, "traefik", "Version: 3.7.15")
    monkeypatch.setattr("controlplane.programs.sysconfig.get_path", lambda _name: str(scripts))

    assert locate("traefik") == programs.Program("traefik", program, Origin.PYPI)


@pytest.mark.usefixtures("path")
def test_a_program_that_is_nowhere_is_one_sentence() -> None:
    with pytest.raises(SetupError) as caught:
        locate("traefik")

    assert str(caught.value) == (
        "traefik is missing: PyPI has no traefik for this machine, and there is none on PATH"
        " (3.7, from 3.7.6 on would do)."
    )


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Kubernetes v1.36.3", Version(1, 36, 3)),
        ("Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0", Version(1, 32, 4, "dispatcher")),
        ("go version go1.26.8 linux/amd64", Version(1, 26, 8)),
        ("go version go1.27rc1 linux/amd64", Version(1, 27, 0, "rc1")),
        ("prometheus, version 3.15.1 (branch: , revision: unknown)", Version(3, 15, 1)),
        ("prometheus, version 2.42.0+ds (branch: debian/sid)", Version(2, 42, 0, "ds")),
        ("etcd Version: 3.5.1\nGit SHA: e8732fb5f", Version(3, 5, 1)),
        ("Version:      3.7.15\nCodename:     langres", Version(3, 7, 15)),
        ("v3.21.4", Version(3, 21, 4)),
        ("command not found", None),
    ],
)
def test_a_version_is_read_from_what_programs_print(text: str, version: Version | None) -> None:
    assert parse(text) == version


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("kube-controller-manager", ["1.36.0", "1.36.12"], ["1.35.9", "1.37.0", "1.36.3-rc.0"]),
        ("kubectl", ["1.35.0", "1.37.1"], ["1.34.9", "1.38.0", "2.36.0"]),
        ("etcd", ["3.5.1", "3.6.8"], ["3.4.30", "3.7.0"]),
        ("traefik", ["3.7.6", "3.7.15"], ["3.7.5", "3.8.0", "2.11.0"]),
        ("prometheus", ["3.5.0", "3.15.1"], ["2.53.0", "3.4.2", "4.0.0"]),
        ("promtool", ["3.5.0", "3.15.1"], ["2.53.0"]),
        ("helm", ["3.19.0", "3.22.1"], ["3.18.6", "4.0.0", "3.20.0-rc.1"]),
        ("kubeconform", ["0.6.7", "0.8.0"], ["0.6.6", "1.0.0"]),
        ("actionlint", ["1.7.0", "1.8.1"], ["1.6.27", "2.0.0"]),
        ("go", ["1.26.0", "1.27.1", "2.0.0"], ["1.25.9", "1.26rc1"]),
    ],
)
def test_the_accepted_versions_are_those_of_the_readme(name: str, good: list[str], bad: list[str]) -> None:
    rule = accepted(name)

    assert [text for text in good if not rule.accepts(_version(text))] == []
    assert [text for text in bad if rule.accepts(_version(text))] == []


def test_promtool_comes_with_prometheus_in_one_build() -> None:
    assert build.recipe("promtool") == build.recipe("prometheus")


def test_prometheus_is_named_by_its_own_version_and_not_its_modules() -> None:
    module = versions.required("prometheus", "github.com/prometheus/prometheus")

    assert module == f"0.{versions.prometheus().major}{versions.prometheus().minor:02}.{versions.prometheus().patch}"


def _version(text: str) -> Version:
    version = parse(text)
    assert version is not None
    return version
