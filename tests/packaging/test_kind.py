"""The scripts for kind, as far as they can be tried without Docker, and the example of an operator's configuration.

tests/integration/test_chart_install.py sends the manifests to a real API server.
"""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.packaging.chart import REPOSITORY, Json, Render, only
from tests.packaging.test_image import pins

from controlplane import versions
from modelroute.controller.settings import Settings

KIND = REPOSITORY / "hack" / "kind"
SCRIPTS = sorted(KIND.glob("*.sh"))


def manifests(kind: str) -> list[Json]:
    """Every object of that kind below manifests/."""
    found: list[Any] = []
    for place in sorted((KIND / "manifests").glob("*.yaml")):
        found += [each for each in yaml.safe_load_all(place.read_text()) if each and each["kind"] == kind]
    return found


def tool(name: str) -> Path:
    return Path(sysconfig.get_path("scripts")) / name


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    done = subprocess.run([tool("shellcheck"), script], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout
    assert script.stat().st_mode & 0o111


def test_hadolint_finds_nothing_in_the_stand_in() -> None:
    done = subprocess.run([tool("hadolint"), KIND / "Dockerfile"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_the_stand_in_has_the_packages_that_the_tests_ran_with() -> None:
    assert pins(KIND / "requirements.txt") - pins(REPOSITORY / "hack" / "requirements" / "dev.txt") == set()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_without_its_programs_says_so_in_one_sentence(script: Path, tmp_path: Path) -> None:
    for program in ("dirname", "sed", "env", "bash"):
        (tmp_path / program).symlink_to(Path("/usr/bin") / program)
    done = subprocess.run(
        ["/usr/bin/bash", script], env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert re.fullmatch(rf"{script.name} needs \w+, which is not on PATH\.\n", done.stderr)


def test_the_chart_takes_the_values_and_the_operator_the_configuration(render: Render) -> None:
    objects = render(yaml.safe_load((KIND / "values.yaml").read_text()))
    (text,) = (each["data"]["operator.yaml"] for each in objects if "operator.yaml" in each.get("data", {}))
    settings = Settings.model_validate(yaml.safe_load(text))
    (service,) = (each for each in manifests("Service") if each["metadata"]["name"] == "prometheus")
    (port,) = service["spec"]["ports"]

    assert settings.prometheus["default"].url == f"http://prometheus.monitoring:{port['port']}"
    (scraped,) = (each for each in manifests("ConfigMap") if each["metadata"]["name"] == "prometheus")
    interval = yaml.safe_load(scraped["data"]["prometheus.yml"])["global"]["scrape_interval"]
    assert f"{settings.prometheus['default'].scrape_interval_s:g}s" == interval
    assert only(objects, "NetworkPolicy")["spec"]["egress"][2]["ports"] == [{"port": port["port"], "protocol": "TCP"}]


def test_the_ports_of_this_machine_lead_to_the_services() -> None:
    cluster = yaml.safe_load((KIND / "cluster.yaml").read_text())
    mapped = {each["containerPort"] for each in cluster["nodes"][0]["extraPortMappings"]}
    served = {port["nodePort"] for each in manifests("Service") for port in each["spec"]["ports"] if "nodePort" in port}

    assert mapped == served
    assert {each["listenAddress"] for each in cluster["nodes"][0]["extraPortMappings"]} == {"127.0.0.1"}


def test_the_versions_are_the_ones_that_the_local_stack_is_tried_with() -> None:
    images = {
        container["image"].partition(":")[0]: container["image"].partition(":")[2]
        for each in manifests("Deployment")
        for container in each["spec"]["template"]["spec"]["containers"]
    }
    traefik = versions.parse(images["traefik"])

    assert traefik is not None
    assert versions.accepted("traefik").accepts(traefik)
    assert images["prom/prometheus"] == f"v{versions.prometheus()}"
    found = re.search(r"gateway_api=\$\((sed .+)\)", (KIND / "up.sh").read_text())
    assert found is not None
    said = subprocess.run(["bash", "-c", found[1]], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == f"v{versions.gateway_api()}"


def test_the_minimal_example_finds_its_gateway_and_its_models() -> None:
    example = yaml.safe_load((REPOSITORY / "examples" / "minimal.yaml").read_text())
    there = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in manifests("Service")}
    gateways = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in manifests("Gateway")}
    namespace = example["metadata"]["namespace"]

    assert {(namespace, model["backendRef"]["name"]) for model in example["spec"]["models"]} <= there
    assert {(namespace, parent["name"]) for parent in example["spec"]["parentRefs"]} <= gateways


def test_every_pod_keeps_to_the_restricted_profile() -> None:
    for each in manifests("Deployment"):
        pod = each["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
