"""Version numbers as programs print them, and which of them the local stack was tried with."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from controlplane.errors import SetupError

GO_MODULES = Path(__file__).resolve().parent.parent / "go"
MINIMUM_GO = (1, 26, 0)


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version; `suffix` is what follows the numbers ("rc.1", "dispatcher"), empty for a release."""

    major: int
    minor: int
    patch: int = 0
    suffix: str = ""

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}" + (f"-{self.suffix}" if self.suffix else "")

    @property
    def numbers(self) -> tuple[int, int, int]:
        return self.major, self.minor, self.patch


_NUMBERS = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?:[-+~]?([A-Za-z][\w.]*))?")


def parse(text: str) -> Version | None:
    """The first version in `text`, or None.

    >>> parse("Client Version: v1.32.4-dispatcher")
    Version(major=1, minor=32, patch=4, suffix='dispatcher')
    """
    found = _NUMBERS.search(text)
    if found is None:
        return None
    major, minor, patch, suffix = found.groups()
    return Version(int(major), int(minor), int(patch or 0), suffix or "")


@cache
def required(module: str, path: str) -> str:
    """The version of module `path` that hack/go/`module`/go.mod names: the one place where it is written."""
    text = (GO_MODULES / module / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(path)} v(\S+)", text, re.MULTILINE)
    if found is None:
        raise SetupError(f"hack/go/{module}/go.mod does not require {path}.")
    return found[1]


def kubernetes() -> Version:
    return known(required("kubernetes", "k8s.io/kubernetes"))


def prometheus() -> Version:
    """Prometheus 3.15.1 is the Go module's v0.315.1."""
    module = known(required("prometheus", "github.com/prometheus/prometheus"))
    return Version(module.minor // 100, module.minor % 100, module.patch)


def gateway_api() -> Version:
    return known(required("gateway-api", "sigs.k8s.io/gateway-api"))


def helm() -> Version:
    return known(required("helm", "helm.sh/helm/v3"))


def kubeconform() -> Version:
    return known(required("kubeconform", "github.com/yannh/kubeconform"))


def actionlint() -> Version:
    return known(required("actionlint", "github.com/rhysd/actionlint"))


def known(text: str) -> Version:
    """The version that a go.mod names. Raises SetupError where it is none."""
    version = parse(text)
    if version is None:
        raise SetupError(f"{text!r} in a go.mod under hack/go is not a version.")
    return version


@dataclass(frozen=True, slots=True)
class Accepted:
    """Which versions of a program on PATH will do: a rule, and the same rule in words."""

    words: str
    holds: Callable[[Version], bool]

    def accepts(self, version: Version) -> bool:
        return not version.suffix and self.holds(version)


def accepted(name: str) -> Accepted:
    """What hack/README.md lists under "Versions"."""
    server = kubernetes()
    lowest, highest = server.minor - 1, server.minor + 1
    match name:
        case "kube-apiserver" | "kube-controller-manager" | "kubelet" | "kube-scheduler":
            return Accepted(f"{server.major}.{server.minor}", lambda v: v.numbers[:2] == server.numbers[:2])
        case "kubectl":
            return Accepted(
                f"a release of {server.major}.{lowest} to {server.major}.{highest}",
                lambda v: v.major == server.major and lowest <= v.minor <= highest,
            )
        case "etcd":
            return Accepted("3.5 or 3.6", lambda v: v.major == 3 and v.minor in (5, 6))
        case "traefik":
            return Accepted("3.7, from 3.7.6 on", lambda v: v.numbers[:2] == (3, 7) and v.patch >= 6)
        case "prometheus" | "promtool":
            return Accepted("3.5 or a later 3", lambda v: v.major == 3 and v.minor >= 5)
        case "helm":
            return Accepted("3.19 or a later 3", lambda v: v.major == 3 and v.minor >= 19)
        case "helm-unittest":
            return Accepted("1.1 or a later 1", lambda v: v.major == 1 and v.minor >= 1)
        case "kubeconform":
            return Accepted("0.6.7 or a later 0", lambda v: v.major == 0 and v.numbers >= (0, 6, 7))
        case "actionlint":
            return Accepted("1.7 or a later 1", lambda v: v.major == 1 and v.minor >= 7)
        case "go":
            return Accepted("1.26.0 or later", lambda v: v.numbers >= MINIMUM_GO)
        case _:
            raise SetupError(f"The local stack knows no program called {name}.")
