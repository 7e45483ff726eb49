"""The stack: one context manager that brings up everything, and takes it down again."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from controlplane import build, programs
from devstack import apiserver, credentials, objects, prometheus, traefik
from devstack.component import Component
from devstack.errors import StackError
from devstack.ports import Slot, start_on_free_ports
from devstack.process import Keeper, Process
from devstack.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parent.parent.parent
OPERATOR_NAMESPACE, OPERATOR_ACCOUNT = "modelroute-system", "modelroute"
_TOKEN_LIFETIME_S = 7 * 24 * 3600


def _silent(_line: str) -> None:
    """The default for `report`: a stack says nothing by itself."""


class Stack:
    """A running stack; see hack/README.md for what is in it. Made by `Stack.start`, ended by `close` or `with`.

    Attributes: `dir`, `logs`, `kubeconfig` (the admin's), `admin` (requests as the admin), and the components `etcd`,
    `apiserver`, `controller_manager`, `traefik` and `prometheus`, which can each be stopped, started, killed and paused.
    """

    etcd: Component
    apiserver: Component
    controller_manager: Component
    traefik: traefik.Traefik
    prometheus: prometheus.Prometheus

    def __init__(self, directory: Path, *, report: Callable[[str], None]) -> None:
        self.dir = directory
        self.logs, self._config, self._data = directory / "logs", directory / "config", directory / "data"
        for folder in (self.logs, self._config, self._data):
            folder.mkdir(mode=0o700)
        self.kubeconfig = directory / "kubeconfig"
        self._report, self._started_at = report, time.monotonic()
        self._processes: list[Process] = []
        self._keep_reason: str | None = None
        self._closed = False
        self._slot = Slot.take()
        self._keeper = Keeper(self._data)

    @classmethod
    def start(
        cls,
        directory: Path | None = None,
        *,
        scrape_interval_s: float = 1.0,
        report: Callable[[str], None] = _silent,
    ) -> "Stack":
        """Brings everything up and returns when all of it is ready (15 to 20 s on 2 cores).

        `directory` must be empty or not there yet; without it a temporary one is made.
        `report` is given a line for each thing that is ready.
        """
        found = programs.locate_all(say=report)
        manifests = build.gateway_api_crds()
        if directory is None:
            directory = Path(tempfile.mkdtemp(prefix="modelroute-stack-"))
        else:
            directory = directory.resolve()
            directory.mkdir(parents=True, exist_ok=True)
        stack = cls(directory, report=report)
        try:
            stack._start_all(found, manifests, scrape_interval_s)
        except BaseException as error:
            stack.keep_logs("the stack did not start")
            stack.close()
            if isinstance(error, Exception):
                error.add_note(f"All logs of the stack are in {stack.logs}.")
            raise
        return stack

    def __enter__(self) -> "Stack":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and not issubclass(kind, (SystemExit, KeyboardInterrupt)):
            self.keep_logs("something failed")
        self.close()

    # What it is made of, and how to reach it.

    @property
    def apiserver_url(self) -> str:
        return self.admin.url

    @property
    def gateway_url(self) -> str:
        return self.traefik.url

    @property
    def prometheus_url(self) -> str:
        return self.prometheus.url

    def operator_kubeconfig(self) -> Path:
        """A kubeconfig with a token of the operator's ServiceAccount: it has the chart's role and no other rights."""
        return self.service_account_kubeconfig(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT)

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        return credentials.write_kubeconfig(
            self.dir / f"{name}.kubeconfig",
            server=self.admin.url,
            ca=self.admin.ca,
            token=self.service_account_token(namespace, name),
        )

    def service_account_token(self, namespace: str, name: str) -> str:
        answer = self.admin.call(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            {"spec": {"expirationSeconds": _TOKEN_LIFETIME_S}},
        )
        return str(answer["status"]["token"])

    def kubectl(self, *args: str, input: str | None = None, kubeconfig: Path | None = None) -> str:
        """What kubectl prints, run as the admin or with another kubeconfig; StackError if it fails."""
        answer = subprocess.run(
            [str(self._kubectl), *args],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={
                **os.environ,
                "KUBECONFIG": str(kubeconfig or self.kubeconfig),
                "KUBECACHEDIR": str(self._data / "kubectl"),
                "KUBERC": "off",
            },
        )
        if answer.returncode != 0:
            raise StackError(f"kubectl {' '.join(args)}: {answer.stderr.strip()}")
        return answer.stdout

    def apply(self, *manifests: Mapping[str, Any], kubeconfig: Path | None = None) -> str:
        """Server-side apply of these objects."""
        items = {"apiVersion": "v1", "kind": "List", "items": manifests}
        return self.kubectl(
            "apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(items), kubeconfig=kubeconfig
        )

    # What tests and the demo put into it.

    def create_namespace(self, name: str) -> str:
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    def create_gateway(self, namespace: str, name: str = "inference", *, hostname: str | None = None) -> str:
        """A Gateway on the entry point of Traefik, waited for until it is programmed.

        All Gateways of a stack share one address: give them hostnames where their routes would overlap.
        """
        self.apply(traefik.gateway(namespace, name, port=self.traefik.port, hostname=hostname))
        path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/gateways/{name}"
        wait_until(
            lambda: objects.has_condition(self.admin.get(path), "Programmed"),
            what=f"Gateway {namespace}/{name} is programmed",
        )
        return name

    def create_service(
        self, namespace: str, name: str, *, ip: str | None = None, port: int = 8000, ready: bool = True
    ) -> str:
        """A Service with a loopback address, on which its server is to listen; returns the address.

        `ready` is what its EndpointSlice says; call again with the same `ip` to change it.
        """
        ip = ip or self.free_service_ip()
        self.apply(*objects.service(namespace, name, ip=ip, port=port, ready=ready))
        return ip

    def free_service_ip(self) -> str:
        return self._slot.free_service_ip()

    def free_port(self) -> int:
        return self._slot.free_port()

    def add_scrape_target(self, address: str, *, namespace: str, service: str, **labels: str) -> None:
        """Has Prometheus scrape http://`address`/metrics; the labels are on every series from there."""
        self._targets.add(address, {"namespace": namespace, "service": service, **labels})

    def remove_scrape_target(self, address: str) -> None:
        self._targets.remove(address)

    def spawn(
        self,
        name: str,
        argv: Sequence[str | Path],
        env: Mapping[str, str] | None = None,
        *,
        cwd: Path | None = None,
    ) -> Process:
        """Starts a program that ends with the stack; its log is logs/`name`.log. `env` is added to the stack's own."""
        process = self._new_process(name, argv, env=env, cwd=cwd)
        process.start()
        return process

    # Its end.

    def keep_logs(self, reason: str) -> None:
        """Has `close` leave the logs behind, and say where they are and why."""
        self._keep_reason = self._keep_reason or reason

    def close(self) -> None:
        """Ends all processes and removes the directory, but for the logs if they are to be kept."""
        if self._closed:
            return
        self._closed = True
        for process in reversed(self._processes):
            process.stop(grace_s=3.0) if process.name not in _KILLED else process.kill()
        self._keeper.close()
        self._slot.release()
        shutil.rmtree(self._data, ignore_errors=True)
        if self._keep_reason is None:
            shutil.rmtree(self.dir, ignore_errors=True)
        else:
            print(f"The stack's logs are kept, because {self._keep_reason}: {self.logs}", file=sys.stderr)

    # Its start.

    def _start_all(self, found: Mapping[str, Path], gateway_api: Path, scrape_interval_s: float) -> None:
        self._kubectl = found["kubectl"]
        control_plane = apiserver.start(
            found,
            data=self._data,
            config=self._config,
            slot=self._slot,
            new_process=self._new_process,
            report=self._say,
        )
        self.etcd, self.apiserver = control_plane.etcd, control_plane.apiserver
        self.controller_manager, self.admin = control_plane.controller_manager, control_plane.admin
        credentials.write_kubeconfig(self.kubeconfig, server=self.admin.url, ca=self.admin.ca, token=self.admin.token)
        self._install(gateway_api)
        self._start_traefik(found["traefik"])
        self._start_prometheus(found["prometheus"], scrape_interval_s)
        self.controller_manager.wait_until_ready()
        self._say("kube-controller-manager is ready")
        path = f"/apis/gateway.networking.k8s.io/v1/gatewayclasses/{traefik.GATEWAY_CLASS}"
        wait_until(
            lambda: objects.has_condition(self.admin.get(path), "Accepted"),
            what=f"Traefik accepts GatewayClass {traefik.GATEWAY_CLASS}; its log is {self.traefik.process.log}",
        )

    def _install(self, gateway_api: Path) -> None:
        """The CRDs, ours too, and everything that needs none."""
        crds = [path for folder in (gateway_api, REPOSITORY / "crds") for path in sorted(folder.glob("*.yaml"))]
        role = yaml.safe_load((REPOSITORY / "charts/modelroute/files/clusterrole.yaml").read_text(encoding="utf-8"))
        first = self._config / "first.json"
        items = [*traefik.manifests(), *objects.operator(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT, role)]
        first.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), encoding="utf-8")
        self.kubectl("apply", "--server-side", *(f"--filename={path}" for path in [first, *crds]))
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
        self.apply(traefik.gateway_class())
        self._say(f"{len(crds)} CRDs and the roles are in place")

    def _start_traefik(self, program: Path) -> None:
        token = credentials.write_private(
            self._config / "traefik.token",
            self.service_account_token(traefik.NAMESPACE, traefik.SERVICE_ACCOUNT),
        )

        def make(free_port: Callable[[], int]) -> traefik.Traefik:
            return traefik.Traefik(
                program,
                port=free_port(),
                metrics_port=free_port(),
                apiserver_url=self.admin.url,
                ca=self.admin.ca,
                token_file=token,
                new_process=self._new_process,
            )

        self.traefik = start_on_free_ports(make, self.free_port)
        self._say(f"Traefik is ready at {self.gateway_url}")

    def _start_prometheus(self, program: Path, scrape_interval_s: float) -> None:
        self._targets = prometheus.Targets(self._config / "targets.json")
        config_file = prometheus.write_config(
            self._config / "prometheus.json",
            scrape_interval_s=scrape_interval_s,
            traefik=f"127.0.0.1:{self.traefik.metrics_port}",
            targets=self._targets.file,
        )

        def make(free_port: Callable[[], int]) -> prometheus.Prometheus:
            return prometheus.Prometheus(
                program, port=free_port(), config_file=config_file, data=self._data, new_process=self._new_process
            )

        self.prometheus = start_on_free_ports(make, self.free_port)
        self._say(f"Prometheus is ready at {self.prometheus_url}")

    def _new_process(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Process:
        process = Process(
            name,
            argv,
            log=self.logs / f"{name}.log",
            keeper=self._keeper,
            env=None if env is None else {**os.environ, **env},
            cwd=cwd,
        )
        self._processes.append(process)
        return process

    def _say(self, line: str) -> None:
        self._report(f"{line} ({time.monotonic() - self._started_at:.1f} s)")


# What keeps nothing that outlives the stack has no use for an orderly end.
_KILLED = frozenset({"etcd", "kube-apiserver", "kube-controller-manager", "prometheus"})
