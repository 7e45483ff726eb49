"""The stack: one context manager that brings up everything, and takes it down again."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from controlplane import build, programs
from devstack import apiserver, objects, prometheus, space, traefik
from devstack.cluster import OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, Cluster
from devstack.ground import Ground
from devstack.process import Process
from devstack.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def _silent(_line: str) -> None:
    """The default for `report`: a stack says nothing by itself."""


class Stack(Cluster):
    """A running stack; hack/README.md says what is in it. Made by `Stack.start`, ended by `with` or `close`.

    `etcd`, `apiserver`, `controller_manager`, `traefik` and `prometheus` are components, which can be stopped, started,
    restarted, killed, paused and resumed; `dir` holds everything that the stack writes, `logs` what the programs said.
    """

    def __init__(
        self,
        ground: Ground,
        cluster: Cluster,
        control_plane: apiserver.ControlPlane,
        *,
        traefik: traefik.Traefik,
        prometheus: prometheus.Prometheus,
    ) -> None:
        super().__init__(cluster.dir, admin=cluster.admin, kubectl=cluster.kubectl_program, cache=cluster.cache)
        self._ground = ground
        self.etcd, self.apiserver = control_plane.etcd, control_plane.apiserver
        self.controller_manager = control_plane.controller_manager
        self.traefik, self.prometheus = traefik, prometheus

    @classmethod
    def start(
        cls,
        directory: Path | None = None,
        *,
        scrape_interval_s: float = 1.0,
        apiserver_flags: Sequence[str] = (),
        report: Callable[[str], None] = _silent,
    ) -> Self:
        """Brings everything up and returns when all of it is ready (10 to 20 s on 2 cores).

        `directory` must be empty or not there yet; without it a temporary one is made.
        `apiserver_flags` are added to those that kube-apiserver always has.
        `report` is given a line for each thing that is ready.
        """
        found = programs.locate_all(say=_silent)
        gateway_api = build.gateway_api_crds()
        ground = Ground(directory, report=report)
        try:
            space.check(ground.dir)
            control_plane = apiserver.start(ground, found, flags=apiserver_flags)
            cluster = Cluster(
                ground.dir, admin=control_plane.admin, kubectl=found["kubectl"], cache=ground.data / "kubectl"
            )
            _install(cluster, ground, gateway_api)
            gateway = traefik.start(ground, found["traefik"], cluster)
            metrics = prometheus.start(
                ground,
                found["prometheus"],
                traefik=f"127.0.0.1:{gateway.metrics_port}",
                scrape_interval_s=scrape_interval_s,
            )
            control_plane.controller_manager.wait_until_ready()
            ground.say("kube-controller-manager is ready")
            return cls(ground, cluster, control_plane, traefik=gateway, prometheus=metrics)
        except BaseException as error:
            full = space.cause_of(error, ground.dir) if isinstance(error, Exception) else None
            if isinstance(error, Exception) and ground.has_logs:
                ground.keep_logs("the stack did not start")
            ground.close()
            if full is not None:
                raise full from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self.keep_logs("something failed")
        self.close()

    @property
    def logs(self) -> Path:
        return self._ground.logs

    @property
    def gateway_url(self) -> str:
        return self.traefik.url

    @property
    def prometheus_url(self) -> str:
        return self.prometheus.url

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
        """A loopback address within the Services' network, never given twice; all its ports are free."""
        return self._ground.slot.free_service_ip()

    def free_port(self) -> int:
        """A port of 127.0.0.1 that nothing listens on at this moment."""
        return self._ground.slot.free_port()

    def add_scrape_target(self, address: str, *, namespace: str, service: str, **labels: str) -> None:
        """Has Prometheus scrape http://`address`/metrics, from some seconds later on (it looks at its list every 5 s).

        The labels are on every series from there.
        """
        self.prometheus.targets.add(address, {"namespace": namespace, "service": service, **labels})

    def remove_scrape_target(self, address: str) -> None:
        self.prometheus.targets.remove(address)

    def spawn(
        self,
        name: str,
        argv: Sequence[str | Path],
        env: Mapping[str, str] | None = None,
        *,
        cwd: Path | None = None,
    ) -> Process:
        """Starts a program that ends with the stack; its log is logs/`name`.log. `env` adds to os.environ."""
        process = self._ground.process(name, argv, env=env, cwd=cwd)
        process.start()
        return process

    def keep_logs(self, reason: str) -> None:
        """Has `close` leave the logs behind, and say where they are and why."""
        self._ground.keep_logs(reason)

    def close(self) -> None:
        """Ends all processes and removes the directory, but for the logs if they are to be kept."""
        self._ground.close()


def _install(cluster: Cluster, ground: Ground, gateway_api: Path) -> None:
    """The CRDs, ours too, who may do what, and the GatewayClass."""
    crds = [path for folder in (gateway_api, REPOSITORY / "crds") for path in sorted(folder.glob("*.yaml"))]
    role_file = REPOSITORY / "charts" / "modelroute" / "files" / "clusterrole.yaml"
    role = yaml.safe_load(role_file.read_text(encoding="utf-8"))
    items = [*traefik.manifests(), *objects.operator(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT, role)]
    first = ground.config / "first.json"
    first.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), encoding="utf-8")
    cluster.kubectl("apply", "--server-side", *(f"--filename={path}" for path in (first, *crds)))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
    cluster.apply(traefik.gateway_class())
    ground.say(f"{len(crds)} CRDs and the roles are in place")
