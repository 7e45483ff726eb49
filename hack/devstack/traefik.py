"""Traefik as the Gateway API's controller and its data plane, with an identity and rights of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from devstack import credentials, objects
from devstack.cluster import Cluster
from devstack.component import Component
from devstack.ground import Ground
from devstack.http import Api, answers
from devstack.ports import start_on_free_ports
from devstack.waiting import wait_until

GATEWAY_CLASS = "traefik"
NAMESPACE = "traefik"
SERVICE_ACCOUNT = "traefik"

# Seconds. From a cached small answer to a client that has given up; Traefik's own four are too coarse to judge by.
LATENCY_BUCKETS = (0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 30, 60)

_READ = ["get", "list", "watch"]


def manifests() -> list[dict[str, Any]]:
    """Who Traefik is and what it may do: read what it routes by, and report on it."""
    group = "gateway.networking.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": SERVICE_ACCOUNT, "namespace": NAMESPACE},
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "traefik-gateway"},
            "rules": [
                {"apiGroups": [""], "resources": ["namespaces", "services", "configmaps"], "verbs": _READ},
                {"apiGroups": [""], "resources": ["secrets", "nodes"], "verbs": _READ},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
                {"apiGroups": [group], "resources": ["*"], "verbs": _READ},
                {
                    "apiGroups": [group],
                    "resources": [
                        f"{kind}/status"
                        for kind in (
                            "backendtlspolicies",
                            "gatewayclasses",
                            "gateways",
                            "grpcroutes",
                            "httproutes",
                            "tcproutes",
                            "tlsroutes",
                        )
                    ],
                    "verbs": ["update"],
                },
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "traefik-gateway"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "traefik-gateway",
            },
            "subjects": [{"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": NAMESPACE}],
        },
    ]


def gateway_class() -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": GATEWAY_CLASS},
        "spec": {"controllerName": "traefik.io/gateway-controller"},
    }


def gateway(namespace: str, name: str, *, port: int, hostname: str | None) -> dict[str, Any]:
    """A Gateway with one listener, whose port must be the entry point's."""
    listener: dict[str, Any] = {
        "name": "http",
        "protocol": "HTTP",
        "port": port,
        "allowedRoutes": {"namespaces": {"from": "Same"}},
    }
    if hostname is not None:
        listener["hostname"] = hostname
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"gatewayClassName": GATEWAY_CLASS, "listeners": [listener]},
    }


class Traefik(Component):
    """`port` is where traffic comes in, `metrics_port` where it is scraped."""

    def __init__(
        self,
        program: Path,
        *,
        port: int,
        metrics_port: int,
        api: Api,
        token_file: Path,
        ground: Ground,
    ) -> None:
        self.port, self.metrics_port = port, metrics_port
        argv: list[str | Path] = [
            program,
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
            "--log.level=INFO",
            "--log.nocolor=true",
            f"--entrypoints.web.address=127.0.0.1:{port}",
            "--entrypoints.web.transport.lifecycle.gracetimeout=2s",
            f"--entrypoints.metrics.address=127.0.0.1:{metrics_port}",
            "--ping=true",
            "--ping.entrypoint=metrics",
            "--metrics.prometheus=true",
            "--metrics.prometheus.entrypoint=metrics",
            "--metrics.prometheus.addentrypointslabels=false",
            "--metrics.prometheus.addserviceslabels=true",
            "--metrics.prometheus.addrouterslabels=true",
            f"--metrics.prometheus.buckets={','.join(map(str, LATENCY_BUCKETS))}",
            # Weights act at once, not up to two seconds later.
            "--providers.providersthrottleduration=50ms",
            "--providers.kubernetesgateway=true",
            f"--providers.kubernetesgateway.endpoint={api.url}",
            f"--providers.kubernetesgateway.certauthfilepath={api.ca}",
            f"--providers.kubernetesgateway.token={token_file}",
            "--providers.kubernetesgateway.nativelbbydefault=true",
            "--providers.kubernetesgateway.statusaddress.ip=127.0.0.1",
        ]
        ping = f"http://127.0.0.1:{metrics_port}/ping"
        super().__init__(ground.process("traefik", argv), lambda: answers(ping), port=port, deadline_s=30)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def start(ground: Ground, program: Path, cluster: Cluster) -> Traefik:
    """Ready when Traefik answers and has accepted the GatewayClass."""
    token = cluster.service_account_token(NAMESPACE, SERVICE_ACCOUNT)
    token_file = credentials.write_private(ground.config / "traefik.token", token)

    def make(free_port: Callable[[], int]) -> Traefik:
        return Traefik(
            program,
            port=free_port(),
            metrics_port=free_port(),
            api=cluster.admin,
            token_file=token_file,
            ground=ground,
        )

    traefik = start_on_free_ports(make, ground.slot.free_port)
    path = f"/apis/gateway.networking.k8s.io/v1/gatewayclasses/{GATEWAY_CLASS}"
    wait_until(
        lambda: objects.has_condition(cluster.admin.get(path), "Accepted"),
        what=f"Traefik accepts GatewayClass {GATEWAY_CLASS}; its log is {traefik.process.log}",
    )
    ground.say(f"Traefik is ready at {traefik.url}")
    return traefik
