"""A scene on the stack: a namespace with a gateway, model servers, the operator and load, each a real process."""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from devstack.cluster import Json
from devstack.process import Process
from devstack.request_record import RequestRecord, read_log
from devstack.stack import REPOSITORY, Stack
from devstack.waiting import wait_until

MODEL_PORT = 8000
SERVED_MODEL = "support"
SCRAPE_INTERVAL_S = 1.0
WINDOW_S = 5
SETTLE_MIN_S = 5


@dataclass(frozen=True, slots=True)
class ModelServer:
    """A model server behind its Service. `name` is the Service's name and what it calls itself in x-served-by."""

    name: str
    ip: str
    process: Process

    def control(self, **faults: object) -> None:
        """Change how it behaves from now on; see devstack.model_faults.Faults for what there is."""
        request = urllib.request.Request(
            f"http://{self.ip}:{MODEL_PORT}/control", data=json.dumps(faults).encode(), method="PUT"
        )
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=5) as answer:
            answer.read()

    def seen(self) -> tuple[int, float]:
        """How many requests have reached it, and when the last one did (unix seconds)."""
        with urllib.request.urlopen(f"http://{self.ip}:{MODEL_PORT}/seen", timeout=5) as answer:
            found = json.load(answer)
        return int(found["requests"]), float(found["last_request_at"] or 0.0)

    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.ip}:{MODEL_PORT}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


class Load:
    """The load generator as a process, and its log as it grows."""

    def __init__(self, process: Process, log: Path) -> None:
        self.process = process
        self.log = log

    def records(self) -> list[RequestRecord]:
        return list(read_log(self.log)) if self.log.exists() else []


class Scene:
    """What tests and the demo put on a stack. Everything in it ends with the stack."""

    def __init__(self, stack: Stack, namespace: str) -> None:
        self.stack = stack
        self.namespace = namespace
        self.host = f"{namespace}.example.com"
        self._directory = stack.dir / namespace
        self._directory.mkdir(exist_ok=True)
        self._started = 0
        self._processes: list[Process] = []
        self.operator: Process | None = None
        self.metrics_port, self.health_port = stack.free_port(), stack.free_port()
        """Of the operator, for as long as there is the scene: a restarted one is scraped as the same target."""

    def set_up(self) -> None:
        self.stack.create_gateway(self.namespace, "inference", hostname=self.host)

    def add_model(self, name: str, *, seed: int = 0, **faults: object) -> ModelServer:
        """Start a model server behind a new Service `name`; returns when it answers."""
        ip = self.stack.create_service(self.namespace, name, port=MODEL_PORT)
        argv = [sys.executable, "-m", "devstack.model_server", "--host", ip, "--port", str(MODEL_PORT)]
        argv += ["--model", SERVED_MODEL, "--name", name, "--seed", str(seed)]
        process = self._spawn(name, argv)
        server = ModelServer(name, ip, process)
        wait_until(server.is_up, what=f"model server {name} answers; its log is {process.log}")
        if faults:
            server.control(**faults)
        self.stack.add_scrape_target(f"{ip}:{MODEL_PORT}", namespace=self.namespace, service=name)
        return server

    def start_operator(
        self,
        *,
        kubeconfig: Path | None = None,
        also: Sequence["Scene"] = (),
        settings: Mapping[str, object] | None = None,
        **analysis: object,
    ) -> Process:
        """The operator as a process, as a pod with the role that the chart ships would run it; or with `kubeconfig`.

        It watches this scene's namespace and those of `also`; `settings` go into its configuration as they are.
        """
        second = self.operator is not None and self.operator.running
        content = {
            "prometheus": {"default": {"url": self.stack.prometheus_url, "scrapeInterval": "1s"}},
            "analysis": {"window": f"{WINDOW_S}s", "settleMin": f"{SETTLE_MIN_S}s", **analysis},
            "namespaces": [scene.namespace for scene in (self, *also)],
            "telemetry": {
                "metrics": {"host": "127.0.0.1", "port": 0 if second else self.metrics_port},
                "health": {"host": "127.0.0.1", "port": 0 if second else self.health_port},
            },
            **(settings or {}),
        }
        config = self._directory / f"operator-{self._started}.yaml"
        config.write_text(yaml.safe_dump(content))
        asked: list[str | Path] = ["modelroute.cli.main", "operator", "--config", config]
        if kubeconfig is None:
            folder, environment = self.stack.operator_pod()
            self.operator = self._spawn("operator", [sys.executable, "-m", "devstack.pod", folder, *asked], environment)
        else:
            self.operator = self._spawn("operator", [sys.executable, "-m", *asked, "--kubeconfig", kubeconfig])
        target = f"127.0.0.1:{self.metrics_port}"
        self.stack.add_scrape_target(target, namespace="modelroute-system", service=self.namespace)
        return self.operator

    def start_load(self, *, rate: float, duration_s: float, seed: int = 0) -> Load:
        log = self._directory / f"load-{len(self._processes)}.jsonl"
        argv = [sys.executable, "-m", "devstack.load", "--url", self.stack.gateway_url, "--host", self.host]
        argv += ["--model", SERVED_MODEL, "--rate", str(rate), "--duration", str(duration_s)]
        argv += ["--log", str(log), "--seed", str(seed)]
        return Load(self._spawn("load", argv), log)

    # The API, as a user has it.

    def apply(self, manifest: Mapping[str, Any]) -> str:
        return self.stack.kubectl("apply", "-n", self.namespace, "-f", "-", input=yaml.safe_dump(dict(manifest)))

    def patch(self, name: str, change: Mapping[str, Any]) -> None:
        self.stack.kubectl(
            "patch", "modelroute", name, "-n", self.namespace, "--type=merge", "-p", json.dumps(dict(change))
        )

    def get(self, resource: str, name: str) -> Json:
        """The object, or {} where there is none; `resource` in the plural."""
        return self.stack.read(resource, self.namespace, name)

    def status(self, name: str) -> Json:
        status: Json = self.get("modelroutes", name).get("status") or {}
        return status

    def rollouts(self) -> list[Json]:
        found = self.stack.read_all("modelrollouts", self.namespace)
        return sorted(found, key=lambda item: int(item["spec"]["attempt"]))

    def weights(self, name: str) -> dict[str, int]:
        """The weights that the HTTPRoute carries, by Service."""
        rules = self.get("httproutes", name).get("spec", {}).get("rules") or [{}]
        return {ref["name"]: ref["weight"] for ref in rules[0].get("backendRefs") or []}

    def events(self) -> Iterator[tuple[str, str, str]]:
        """Type, reason and note of every event, oldest first."""
        for item in sorted(self.stack.read_all("events", self.namespace), key=lambda item: item["eventTime"] or ""):
            yield item["type"], item["reason"], item["note"]

    def tear_down(self) -> None:
        """End the scene's processes, where the stack goes on for others."""
        self.stack.remove_scrape_target(f"127.0.0.1:{self.metrics_port}")
        for process in reversed(self._processes):
            process.kill()

    def _spawn(self, of: str, argv: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Process:
        self._started += 1
        name = f"{self.namespace}-{self._started}-{of}"
        path = f"{REPOSITORY / 'operator'}:{REPOSITORY / 'hack'}"
        process = self.stack.spawn(name, argv, {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(environment or {})})
        self._processes.append(process)
        return process
