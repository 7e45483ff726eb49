"""The soak's stack: namespaces with gateways, one farm of model servers, the operator and the load as processes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import yaml
from tests.bench.soak.plan import FAULTS_OF, SERVERS, Fault, Json, Planned, Wanted, aimed, host_of, manifest

from devstack.cluster import path_of
from devstack.http import HttpError, fetch
from devstack.process import Process
from devstack.scene import MODEL_PORT, SETTLE_MIN_S, WINDOW_S
from devstack.stack import REPOSITORY, Stack
from devstack.waiting import wait_until

MERGE = "application/merge-patch+json"
END_GRACE_S = 15.0

Key = tuple[str, str]


class World:
    """Everything with a process or an address. What it starts ends with the stack, however that ends."""

    def __init__(self, stack: Stack, *, namespaces: int, scrape_interval_s: float, settings: Json) -> None:
        self.stack = stack
        self.namespaces = [f"soak-{number}" for number in range(namespaces)]
        self.dir = stack.dir / "soak"
        self.dir.mkdir()
        self.hosts, self.failed, self.totals = (
            self.dir / "hosts.json",
            self.dir / "failed.jsonl",
            self.dir / "totals.json",
        )
        self._scrape_interval_s, self._settings = scrape_interval_s, settings
        self._ips: dict[Key, str] = {}
        self._environment = {
            "PYTHONPATH": f"{REPOSITORY / 'operator'}:{REPOSITORY / 'hack'}:{REPOSITORY}",
            "PYTHONUNBUFFERED": "1",
        }
        self.metrics_port = stack.free_port()
        self.operator: Process | None = None
        self.load: Process | None = None
        self.operator_exit: int | None = None
        """With what the operator ended when it was last asked to."""

    def set_up(self) -> None:
        """Namespaces, gateways and model servers."""
        told = []
        for namespace in self.namespaces:
            self.stack.create_namespace(namespace)
            self.stack.create_gateway(namespace, "inference", hostname=f"*.{namespace}.example.com")
            for service, truth in SERVERS.items():
                ip = self.stack.create_service(namespace, service, port=MODEL_PORT)
                self._ips[namespace, service] = ip
                told.append({"ip": ip, "name": service, "faults": FAULTS_OF[truth]})
        self._spawn("farm", "tests.bench.soak.farm", json.dumps(told))
        for (namespace, service), ip in self._ips.items():
            wait_until(partial(_answers, ip), what=f"{namespace}/{service} answers")
            self.stack.add_scrape_target(f"{ip}:{MODEL_PORT}", namespace=namespace, service=service)

    def start_operator(self) -> None:
        content = {
            "prometheus": {
                "default": {"url": self.stack.prometheus_url, "scrapeInterval": f"{self._scrape_interval_s:g}s"}
            },
            "analysis": {"window": f"{WINDOW_S}s", "settleMin": f"{SETTLE_MIN_S}s"},
            "namespaces": self.namespaces,
            "telemetry": {
                "metrics": {"host": "127.0.0.1", "port": self.metrics_port},
                "health": {"host": "127.0.0.1", "port": self.metrics_port},
            },
            **self._settings,
        }
        config = self.dir / "operator.yaml"
        config.write_text(yaml.safe_dump(content), encoding="utf-8")
        folder, environment = self.stack.operator_pod()
        asked = [str(folder), "modelroute.cli.main", "operator", "--config", str(config)]
        self.operator = self._spawn("operator", "devstack.pod", *asked, environment=environment)

    def start_load(self, *, rate: float, duration_s: float, seed: int) -> None:
        self.weigh_hosts({})
        where = ["--url", self.stack.gateway_url, "--hosts", self.hosts, "--log", self.failed, "--totals", self.totals]
        how = ["--rate", str(rate), "--duration", str(duration_s), "--seed", str(seed)]
        self.load = self._spawn("load", "tests.bench.soak.load", *map(str, where), *how)

    def weigh_hosts(self, weights: Mapping[str, float]) -> None:
        part = self.hosts.with_suffix(".part")
        part.write_text(json.dumps(dict(weights)), encoding="utf-8")
        part.replace(self.hosts)

    # The API, as a user has it.

    def apply(self, key: Key, wanted: Wanted) -> Json:
        """The ModelRoute as it then is; made where there is none."""
        path, body = self._path("modelroutes", key), manifest(*key, wanted)
        try:
            return dict(self.stack.admin.call("PATCH", path, {"spec": body["spec"]}, content_type=MERGE))
        except HttpError as error:
            if error.status != 404:
                raise
        return dict(self.stack.admin.call("POST", path.rpartition("/")[0], body))

    def patch(self, key: Key, change: Json) -> Json:
        return dict(self.stack.admin.call("PATCH", self._path("modelroutes", key), change, content_type=MERGE))

    def get(self, kind: str, key: Key) -> Json:
        return dict(self.stack.admin.get(self._path(kind, key)))

    def list(self, kind: str) -> dict[Key, Json]:
        """By namespace and name, of all namespaces of the soak."""
        found: dict[Key, Json] = {}
        for namespace in self.namespaces:
            for item in self.stack.read_all(kind, namespace):
                found[namespace, item["metadata"]["name"]] = item
        return found

    def _path(self, kind: str, key: Key) -> str:
        return path_of(kind, *key)

    # What breaks.

    def begin(self, planned: Planned, at_rest: Sequence[Key]) -> Key | None:
        """Break it; answers the route or (namespace, Service) that was aimed at, where there is one."""
        assert self.operator is not None
        match planned.fault:
            case Fault.OPERATOR_KILLED:
                self.operator.kill()
            case Fault.OPERATOR_ENDED:
                self.operator.stop(grace_s=END_GRACE_S)
                self.operator_exit = self.operator.returncode
            case Fault.OPERATOR_STOPPED:
                self.operator.pause()
            case Fault.PROMETHEUS_PAUSED:
                self.stack.prometheus.pause()
            case Fault.API_PAUSED:
                self.stack.apiserver.pause()
            case Fault.ROUTE_EDITED:
                return self._edit(_one_of(planned.aim, at_rest))
            case Fault.ROUTE_DELETED:
                key = _one_of(planned.aim, at_rest)
                self.stack.admin.call("DELETE", self._path("httproutes", key))
                return key
            case Fault.ENDPOINTS_GONE:
                return self._endpoints(planned, ready=False)
        return None

    def end(self, planned: Planned) -> None:
        """Mend it."""
        assert self.operator is not None
        match planned.fault:
            case Fault.OPERATOR_KILLED | Fault.OPERATOR_ENDED:
                self.operator.start()
            case Fault.OPERATOR_STOPPED:
                self.operator.resume()
            case Fault.PROMETHEUS_PAUSED:
                self.stack.prometheus.resume()
            case Fault.API_PAUSED:
                self.stack.apiserver.resume()
            case Fault.ENDPOINTS_GONE:
                self._endpoints(planned, ready=True)
            case Fault.ROUTE_EDITED | Fault.ROUTE_DELETED:
                pass  # the operator's own to mend

    def _edit(self, key: Key) -> Key:
        """Somebody gives all arms the weight 100."""
        path = self._path("httproutes", key)
        route = self.stack.admin.get(path)
        for rule in route["spec"]["rules"]:
            for ref in rule["backendRefs"]:
                ref["weight"] = 100
        self.stack.admin.call("PATCH", path, {"spec": {"rules": route["spec"]["rules"]}}, content_type=MERGE)
        return key

    def _endpoints(self, planned: Planned, *, ready: bool) -> Key:
        victim = aimed(planned.aim, [f"{namespace}/{service}" for namespace, service in self._ips])
        namespace, _, service = victim.partition("/")
        self.stack.create_service(namespace, service, ip=self._ips[namespace, service], port=MODEL_PORT, ready=ready)
        return namespace, service

    def _spawn(self, name: str, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Process:
        argv = [sys.executable, "-m", module, *arguments]
        return self.stack.spawn(f"soak-{name}", argv, {**self._environment, **(environment or {})})


def _one_of(aim: float, keys: Sequence[Key]) -> Key:
    chosen = aimed(aim, ["/".join(key) for key in keys])
    namespace, _, name = chosen.partition("/")
    return namespace, name


def _answers(ip: str) -> bool:
    try:
        fetch(f"http://{ip}:{MODEL_PORT}/health", timeout_s=2.0)
    except (HttpError, OSError):
        return False
    return True


def hosts_of(weights: Mapping[Key, float]) -> dict[str, float]:
    return {host_of(*key): weight for key, weight in weights.items()}


def read_failed(path: Path) -> list[Json]:
    """The load's lines, without a last one that is still being written."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
