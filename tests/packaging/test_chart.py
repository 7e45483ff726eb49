"""The chart: one source for everything that it repeats, and no surprise in what it renders."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.packaging.chart import CHART, REPOSITORY, Json, Render, Template, only, with_image

import package_files
from controlplane import programs
from modelroute import __version__
from modelroute.controller.settings import read_settings

GOLDEN = Path(__file__).parent / "golden"
CASES = ["default", "namespaced", "everything"]
WATCHED = ["chat", "search"]


def rules_of_the_role() -> list[Json]:
    role: Json = yaml.safe_load((CHART / "files" / "clusterrole.yaml").read_text())
    return list(role["rules"])


def is_a_copy(each: Json) -> bool:
    """Whole files of other folders, which tests of their own hold against their sources."""
    copied = ("CustomResourceDefinition", "PrometheusRule")
    return each["kind"] in copied or each["metadata"]["name"].endswith("-dashboards")


def test_what_the_chart_repeats_is_what_its_sources_make_of_it() -> None:
    assert package_files.main(["--check"]) == 0


def test_the_chart_installs_the_version_that_it_lies_beside() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_helm_lints_it_without_a_warning(helm: Path) -> None:
    done = subprocess.run([helm, "lint", "--strict", CHART], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("case", CASES)
def test_what_is_rendered_is_what_was_looked_at(render: Render, case: str) -> None:
    """MODELROUTE_GOLDEN=write writes the files anew; look at the difference before you commit it."""
    objects = [each for each in render(case) if not is_a_copy(each)]
    objects.sort(key=lambda each: (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]))
    actual = yaml.safe_dump_all(objects, sort_keys=False, width=120, allow_unicode=True)
    place = GOLDEN / f"{case}.yaml"
    if os.environ.get("MODELROUTE_GOLDEN") == "write":
        place.write_text(actual)

    expected = place.read_text()
    assert expected == actual


def test_the_crds_are_the_generated_ones_and_outlive_the_release(render: Render) -> None:
    rendered = [each for each in render() if each["kind"] == "CustomResourceDefinition"]
    for each in rendered:
        assert each["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
        assert each["metadata"].pop("labels")["app.kubernetes.io/managed-by"] == "Helm"

    expected = [yaml.safe_load(path.read_text()) for path in sorted((REPOSITORY / "crds").glob("*.yaml"))]
    assert expected == rendered


def test_the_crds_go_with_the_release_only_if_that_is_asked_for(render: Render) -> None:
    rendered = render({"crds": {"keep": False}})

    assert {"annotations" in each["metadata"] for each in rendered if each["kind"] == "CustomResourceDefinition"} == {
        False
    }


def test_the_cluster_wide_role_is_the_one_that_the_end_to_end_tests_run_with(render: Render) -> None:
    (role,) = (
        each for each in render() if each["kind"] == "ClusterRole" and each["metadata"]["name"] == "rel-modelroute"
    )

    assert role["rules"] == rules_of_the_role()


def test_the_page_on_security_names_every_right_and_no_other() -> None:
    page = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?`) \| ([a-z, ]+) \|", page, re.MULTILINE)
    named = {
        (each, verb) for names, verbs in rows for each in re.findall(r"`(.+?)`", names) for verb in verbs.split(", ")
    }
    lease = yaml.safe_load((CHART / "files" / "lease-role.yaml").read_text())

    rules = (*rules_of_the_role(), *lease["rules"])
    assert named == {(each, verb) for rule in rules for each in rule["resources"] for verb in rule["verbs"]}


def test_a_namespaced_installation_has_the_same_rights_in_its_namespaces_and_none_elsewhere(render: Render) -> None:
    objects = render({"watch": {"namespaces": WATCHED}})
    roles = [each for each in objects if each["kind"] == "Role"]

    lease, *others = roles
    assert [role["metadata"]["namespace"] for role in others] == WATCHED
    assert [role["rules"] for role in others] == [rules_of_the_role()] * 2
    assert {resource for rule in lease["rules"] for resource in rule["resources"]} == {"leases"}
    assert [each["kind"] for each in objects if each["kind"].startswith("ClusterRole")] == []


@pytest.mark.parametrize("case", CASES)
def test_every_binding_names_a_role_and_an_account_that_are_there(render: Render, case: str) -> None:
    objects = render(case)
    there = {(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in objects}
    (account,) = {
        (subject["kind"], subject["namespace"], subject["name"])
        for each in objects
        if each["kind"].endswith("Binding")
        for subject in each["subjects"]
    }

    for binding in (each for each in objects if each["kind"].endswith("Binding")):
        role = binding["roleRef"]
        assert (role["kind"], binding["metadata"].get("namespace"), role["name"]) in there
    assert account[2] == only(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    assert account in there or case == "namespaced"


@pytest.mark.parametrize("case", CASES)
def test_the_operator_can_read_the_configuration(render: Render, case: str, tmp_path: Path) -> None:
    (text,) = (each["data"]["operator.yaml"] for each in render(case) if "operator.yaml" in each.get("data", {}))
    place = tmp_path / "operator.yaml"
    place.write_text(text)

    settings = read_settings(place)

    assert settings.namespaces == (tuple(WATCHED) if case == "namespaced" else ())
    assert set(settings.prometheus) == ({"default", "thanos"} if case == "everything" else set())


@pytest.mark.parametrize("case", CASES)
def test_the_pod_keeps_to_the_restricted_profile(render: Render, case: str) -> None:
    pod = only(render(case), "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert {kind for volume in pod["volumes"] for kind in volume} <= {"name", "configMap", "emptyDir", "secret"}


def test_nobody_can_take_the_restricted_profile_away(render: Render) -> None:
    loosened = {"runAsNonRoot": False, "seccompProfile": {"type": "Unconfined"}}
    pod = only(render({"podSecurityContext": loosened}), "Deployment")["spec"]["template"]["spec"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_another_configuration_makes_another_pod(render: Render) -> None:
    def checksum(url: str) -> str:
        values = {"config": {"prometheus": {"default": {"url": url}}}}
        template = only(render(values), "Deployment")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/config"])

    assert checksum("http://a") == checksum("http://a") != checksum("http://b")


def test_a_second_replica_without_a_lease_is_refused(template: Template) -> None:
    done = template(values={"replicas": 2, "leaderElection": {"enabled": False}})

    assert done.returncode != 0
    assert "two operators would both move weights" in done.stderr


@pytest.mark.parametrize(("elects", "strategy"), [(False, "Recreate"), (True, "RollingUpdate")])
def test_without_a_lease_the_old_operator_goes_before_the_new_one_comes(
    render: Render, elects: bool, strategy: str
) -> None:
    deployment = only(render({"leaderElection": {"enabled": elects}}), "Deployment")

    assert deployment["spec"]["strategy"] == {"type": strategy}


def test_only_the_lease_that_is_named_may_be_written(render: Render) -> None:
    objects = render({"leaderElection": {"enabled": True, "namespace": "leases", "name": "one"}})
    (role,) = (each for each in objects if each["kind"] == "Role")

    assert role["metadata"]["namespace"] == "leases"
    assert [rule.get("resourceNames") for rule in role["rules"] if "create" not in rule["verbs"]] == [["one"]]


def test_the_ports_are_those_of_the_configuration(helm: Path) -> None:
    def ports(telemetry: Json) -> list[tuple[str, int]]:
        values = yaml.safe_dump(with_image({"config": {"prometheus": {}, "telemetry": telemetry}}))
        done = subprocess.run(
            [helm, "template", "rel", CHART, "--values=-"], input=values, capture_output=True, text=True, check=True
        )
        deployment = only([each for each in yaml.safe_load_all(done.stdout) if each], "Deployment")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        return [(port["name"], port["containerPort"]) for port in container["ports"]]

    assert ports({}) == [("metrics", 8080), ("probes", 8081)]
    assert ports({"metrics": {"port": 9000}, "health": {"port": 9001}}) == [("metrics", 9000), ("probes", 9001)]
    assert ports({"metrics": {"port": 0}}) == [("probes", 8081)]


@pytest.mark.parametrize("metrics", [0, 8080])
def test_an_endpoint_that_is_off_is_no_port_and_no_probe(render: Render, metrics: int) -> None:
    telemetry = {"metrics": {"port": metrics}, "health": {"port": 0}}
    objects = render({"config": {"telemetry": telemetry}, "networkPolicy": {"enabled": True}})
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]

    named = {"metrics"} if metrics else set()
    assert {port["name"] for port in container.get("ports", ())} == named
    assert not {"livenessProbe", "readinessProbe"} & container.keys()
    ingress = only(objects, "NetworkPolicy")["spec"]["ingress"] or ()
    assert {each["port"] for rule in ingress for each in rule["ports"]} == named


def test_the_terms_of_the_lease_reach_the_operator(render: Render, tmp_path: Path) -> None:
    given = {"leaseDuration": "60s", "renewDeadline": 40, "retryPeriod": "5s"}
    (text,) = (
        each["data"]["operator.yaml"]
        for each in render({"leaderElection": given})
        if "operator.yaml" in each.get("data", {})
    )
    place = tmp_path / "operator.yaml"
    place.write_text(text)

    settings = read_settings(place).leader_election
    assert settings.enabled
    assert (settings.namespace, settings.name) == ("modelroute-system", "rel-modelroute")
    assert (settings.lease_duration_s, settings.renew_deadline_s, settings.retry_period_s) == (60, 40, 5)


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://prometheus.monitoring:9090", 9090),
        ("http://prometheus.monitoring", 80),
        ("https://thanos.example.com/tenant", 443),
        ("https://thanos.example.com:8443/tenant", 8443),
        ("http://[fd00::1]:9090", 9090),
    ],
)
def test_the_network_policy_lets_the_operator_reach_its_prometheus(render: Render, url: str, port: int) -> None:
    values = {"networkPolicy": {"enabled": True}, "config": {"prometheus": {"default": {"url": url}}}}
    egress = only(render(values), "NetworkPolicy")["spec"]["egress"]

    assert [each["port"] for rule in egress for each in rule["ports"]] == [53, 53, 443, 6443, port]


def test_alerts_and_dashboards_are_rendered_as_they_were_written(render: Render) -> None:
    objects = render("everything")
    alerts = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    boards = sorted((CHART / "files").glob("dashboard*.json"))
    for rule in (each for group in alerts["groups"] for each in group["rules"]):
        del rule["annotations"]["runbook_url"]
        if rule["alert"] == "ModelRouteOperatorDown":
            rule["expr"] = 'absent(modelroute_build_info{job="modelroute-system/modelroute"})'
    rules = [each["spec"] for each in objects if each["kind"] == "PrometheusRule"]
    data = {
        name: text
        for each in objects
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == "modelroute-dashboards"
        for name, text in each["data"].items()
    }

    assert rules == [alerts]
    assert data == {f"modelroute-{board.name}": board.read_text() for board in boards}


@pytest.mark.parametrize(("monitor", "job"), [("podMonitor", "modelroute-system/{}"), ("serviceMonitor", "{}-metrics")])
def test_of_two_releases_the_one_that_vanishes_is_told(render: Render, tmp_path: Path, monitor: str, job: str) -> None:
    """With the labels that the Prometheus Operator gives to what each one's monitor finds."""
    files, series = [], []
    for name, values in (("chat", "1x5 stale"), ("search", "1x30")):
        chosen = {"prometheusRule": {"enabled": True}, "metrics": {monitor: {"enabled": True}}}
        files.append(tmp_path / f"{name}.yaml")
        rendered = render({"fullnameOverride": name, **chosen})
        files[-1].write_text(yaml.safe_dump(only(rendered, "PrometheusRule")["spec"]))
        labels = f'job="{job.format(name)}", namespace="modelroute-system"'
        series.append({"series": f"modelroute_build_info{{{labels}}}", "values": values})
    firing = 'count by (job) (ALERTS{alertname="ModelRouteOperatorDown", alertstate="firing"})'
    told = [{"labels": f'{{job="{job.format("chat")}"}}', "value": 1}]
    expected: list[Json] = [
        {"expr": firing, "eval_time": "5m", "exp_samples": []},
        {"expr": firing, "eval_time": "20m", "exp_samples": told},
    ]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": expected}
    place = tmp_path / "test.yaml"
    place.write_text(yaml.safe_dump({"rule_files": [str(file) for file in files], "tests": [test]}))
    promtool = programs.locate("promtool").path

    done = subprocess.run([promtool, "test", "rules", place], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_name_the_page_that_is_configured(render: Render) -> None:
    page = "https://git.example.com/modelroute/blob/main/docs/alerts.md?plain=$1"
    (rules,) = (
        each["spec"]
        for each in render({"prometheusRule": {"enabled": True, "runbookUrl": page}})
        if each["kind"] == "PrometheusRule"
    )

    written = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    for rule in (each for group in written["groups"] for each in group["rules"]):
        rule["annotations"]["runbook_url"] = f"{page}#{rule['alert'].lower()}"
    assert rules == written


def test_without_an_image_it_says_which_value_is_needed_and_how_one_is_built(helm: Path, template: Template) -> None:
    for done in (
        template(values={"image": {"repository": ""}}),
        subprocess.run([helm, "template", "rel", CHART], capture_output=True, text=True, timeout=60, check=False),
    ):
        assert done.returncode != 0
        assert "image.repository is needed" in done.stderr
        assert f"make image IMAGE=<your registry>/modelroute:{__version__}" in done.stderr
        assert "make release REGISTRY=<your registry>" in done.stderr


def test_the_charts_own_tests_pass() -> None:
    unittest = programs.locate("helm-unittest").path
    done = subprocess.run([unittest, CHART], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
