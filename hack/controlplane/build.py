"""Building what PyPI does not carry from its Go modules, each checked against the go.sum beside it."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from controlplane import cache, golang, progress, versions
from controlplane.errors import SetupError

# The Go module cache and the build cache grow by about this much in the first build.
_NEEDED_BYTES = 9 * 10**9


@dataclass(frozen=True, slots=True)
class Recipe:
    """One folder of hack/go: what is built in it, and how."""

    module: str
    version: str
    packages: tuple[str, ...]
    flags: tuple[str, ...]
    minutes: int  # the first time, on 2 cores

    @property
    def place(self) -> Path:
        return cache.entry(self.module, self.version, module_key(self.module, *(flag.encode() for flag in self.flags)))


def module_key(module: str, *more: bytes) -> str:
    folder = versions.GO_MODULES / module
    return cache.key((folder / "go.mod").read_bytes(), (folder / "go.sum").read_bytes(), *more)


def recipe(program: str) -> Recipe:
    match program:
        case "kube-apiserver" | "kube-controller-manager" | "kubelet" | "kube-scheduler":
            version = versions.kubernetes()
            about = "k8s.io/component-base/version"
            stamp = (
                f"-X {about}.gitVersion=v{version} -X {about}.gitMajor={version.major}"
                f" -X {about}.gitMinor={version.minor}"
            )
            of_a_node = program in ("kubelet", "kube-scheduler")
            names = ("kubelet", "kube-scheduler") if of_a_node else ("kube-apiserver", "kube-controller-manager")
            return Recipe(
                "node" if of_a_node else "kubernetes",
                str(version),
                tuple(f"k8s.io/kubernetes/cmd/{name}" for name in names),
                ("-ldflags", f"-s -w {stamp}"),
                minutes=2 if of_a_node else 10,
            )
        case "prometheus" | "promtool":
            version = versions.prometheus()
            stamp = f"-X github.com/prometheus/common/version.Version={version}"
            return Recipe(
                "prometheus",
                str(version),
                tuple(f"github.com/prometheus/prometheus/cmd/{name}" for name in ("prometheus", "promtool")),
                # Without the cloud providers' service discoveries it is half the size and builds in half the time.
                ("-tags", "remove_all_sd", "-ldflags", f"-s -w {stamp}"),
                minutes=4,
            )
        case "helm" | "helm-unittest":
            version = versions.helm()
            kubernetes = versions.known(versions.required("helm", "k8s.io/client-go"))
            # Helm believes that it speaks to the Kubernetes that it was built with: v0.36.3 of the libraries is 1.36.
            stamp = f"-X helm.sh/helm/v3/internal/version.version=v{version}" + "".join(
                f" -X helm.sh/helm/v3/{package}.k8sVersionMajor=1"
                f" -X helm.sh/helm/v3/{package}.k8sVersionMinor={kubernetes.minor}"
                for package in ("pkg/chartutil", "pkg/lint/rules")
            )
            packages = (
                "helm.sh/helm/v3/cmd/helm",
                "github.com/helm-unittest/helm-unittest/cmd/helm-unittest",
            )
            return Recipe("helm", str(version), packages, ("-ldflags", f"-s -w {stamp}"), minutes=6)
        case "kubeconform":
            version = versions.kubeconform()
            return Recipe(
                "kubeconform",
                str(version),
                ("github.com/yannh/kubeconform/cmd/kubeconform",),
                ("-ldflags", f"-s -w -X main.version=v{version}"),
                minutes=1,
            )
        case "actionlint":
            version = versions.actionlint()
            return Recipe(
                "actionlint",
                str(version),
                ("github.com/rhysd/actionlint/cmd/actionlint",),
                ("-ldflags", f"-s -w -X github.com/rhysd/actionlint.version={version}"),
                minutes=1,
            )
        case _:
            raise SetupError(f"There is no recipe for building {program}.")


def program(name: str) -> Path:
    """The path of `name`, built now if it is not in the cache."""
    how = recipe(name)
    return cache.fill(how.place, lambda folder: _go_build(how, folder), say=progress.say) / name


def gateway_api_crds() -> Path:
    """The folder with the Gateway API's CustomResourceDefinitions (standard channel)."""
    place = cache.entry("gateway-api", str(versions.gateway_api()), module_key("gateway-api"))
    return cache.fill(place, _fetch_gateway_api, say=progress.say)


def _go_build(how: Recipe, folder: Path) -> None:
    _check_space()
    go = golang.find()
    progress.say(
        f"{how.module} {how.version} is built from source, once:"
        f" about {how.minutes} minutes on 2 cores, then kept in {cache.root()}"
    )
    packages = [package.rsplit("/", 1)[1] for package in how.packages]
    progress.run(
        [go, "build", "-v", "-trimpath", *how.flags, "-o", f"{folder}/", *how.packages],
        doing=f"building {' and '.join(packages)} {how.version}",
        log=cache.log_file(f"{how.module}-{how.version}"),
        cwd=versions.GO_MODULES / how.module,
        env=golang.environment(go),
    )
    missing = [name for name in packages if not (folder / name).is_file()]
    if missing:
        raise SetupError(f"The build of {how.module} ended well but made no {' and no '.join(missing)}.")


def _fetch_gateway_api(folder: Path) -> None:
    go = golang.find()
    path, log = "sigs.k8s.io/gateway-api", cache.log_file("gateway-api")
    progress.run(
        [go, "mod", "download", "-json", path],
        doing=f"fetching the Gateway API {versions.gateway_api()}",
        log=log,
        cwd=versions.GO_MODULES / "gateway-api",
        env=golang.environment(go),
    )
    source = Path(json.loads(_json_part(log))["Dir"]) / "config" / "crd" / "standard"
    manifests = sorted(source.glob("gateway.networking.k8s.io_*.yaml"))
    if not manifests:
        raise SetupError(f"The module {path} has no manifests in config/crd/standard.")
    for manifest in manifests:
        shutil.copyfile(manifest, folder / manifest.name)


def _json_part(log: Path) -> str:
    text = log.read_text(encoding="utf-8")
    return text[text.index("{") : text.rindex("}") + 1]


def _check_space() -> None:
    free = shutil.disk_usage(cache.root()).free
    if free < _NEEDED_BYTES:
        raise SetupError(
            f"The disk that holds {cache.root()} has {free / 1e9:.1f} GB free;"
            f" building needs about {_NEEDED_BYTES / 1e9:.0f} GB the first time."
        )
