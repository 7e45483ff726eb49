"""What is shipped as YAML, as a real API server reads it: the chart, the examples, the manifests for kind."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests import openapi_schemas
from tests.packaging.chart import CHART, REPOSITORY, VALUES, with_image

from controlplane import programs
from devstack.stack import Stack

EXAMPLES = sorted((REPOSITORY / "examples").glob("m*.yaml"))
MANIFESTS = sorted((REPOSITORY / "hack" / "kind" / "manifests").glob("*.yaml"))
# Other people's kinds, which the stack's API server does not serve.
FOREIGN = "PodMonitor,ServiceMonitor,PrometheusRule"


@pytest.fixture(scope="module")
def schemas(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    assert openapi_schemas.write(stack.admin, folder) > 50
    assert (folder / "modelroute-modelroute-v1alpha1.json").is_file()
    return folder


def conforms(schemas: Path, manifests: str) -> subprocess.CompletedProcess[str]:
    kubeconform = programs.locate("kubeconform").path
    return subprocess.run(
        [kubeconform, "-strict", "-summary", "-skip", FOREIGN, "-schema-location", schemas / openapi_schemas.LOCATION],
        input=manifests, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("case", ["default", "namespaced", "everything"])
def test_what_the_chart_makes_conforms_strictly(schemas: Path, case: str) -> None:
    helm = programs.locate("helm").path
    rendered = subprocess.run(
        [helm, "template", "rel", CHART, "--namespace=modelroute-system", "--values=-"],
        input=yaml.safe_dump(with_image(yaml.safe_load((VALUES / f"{case}.yaml").read_text()))),
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    done = conforms(schemas, rendered.stdout)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Invalid: 0, Errors: 0" in done.stdout


@pytest.mark.parametrize("place", [*EXAMPLES, *MANIFESTS], ids=lambda place: place.name)
def test_the_examples_and_kinds_manifests_conform_strictly(schemas: Path, place: Path) -> None:
    done = conforms(schemas, place.read_text())

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_misspelled_field_does_not_conform(schemas: Path) -> None:
    wrong = yaml.safe_load((REPOSITORY / "examples" / "minimal.yaml").read_text())
    wrong["spec"]["models"][0]["wieght"] = 1

    done = conforms(schemas, yaml.safe_dump(wrong))

    assert done.returncode == 1
    assert "wieght" in done.stdout


@pytest.fixture(scope="module")
def namespaces(stack: Stack) -> Iterator[None]:
    """The namespaces that kind's manifests make, because a dry run makes none for the objects after them."""
    there = set(stack.kubectl("get", "namespaces", "-o", "name").split())
    made = [name for name in ("chat", "monitoring", "traefik") if f"namespace/{name}" not in there]
    for name in made:
        stack.create_namespace(name)
    yield
    for name in made:
        stack.kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("place", MANIFESTS, ids=lambda place: place.name)
def test_the_api_server_takes_kinds_manifests(stack: Stack, place: Path) -> None:
    dry = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", str(place))

    assert "serverside-applied" in stack.kubectl(*dry)
