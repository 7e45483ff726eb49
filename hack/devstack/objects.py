"""The Kubernetes objects that the stack makes for its users, as plain data."""

from collections.abc import Mapping
from typing import Any

# EndpointSlices refuse loopback addresses. This one, from the range kept for documentation, is never dialled: Traefik
# is told to use the Service's own address. The slice is there because the operator asks for a ready endpoint.
_DOCUMENTATION_ADDRESS = "192.0.2.1"


def has_condition(item: Mapping[str, Any], kind: str) -> bool:
    """Whether a condition of this type is True for the object's present generation."""
    return any(
        condition["type"] == kind
        and condition["status"] == "True"
        and condition.get("observedGeneration", 0) >= item["metadata"].get("generation", 0)
        for condition in item.get("status", {}).get("conditions", [])
    )


def service(namespace: str, name: str, *, ip: str, port: int, ready: bool) -> list[dict[str, Any]]:
    """A Service at a loopback address and the EndpointSlice that says whether it has a ready endpoint."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": ip, "ports": [{"name": "http", "port": port, "protocol": "TCP"}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{name}-stack",
                "namespace": namespace,
                "labels": {
                    "kubernetes.io/service-name": name,
                    "endpointslice.kubernetes.io/managed-by": "modelroute-stack",
                },
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
            "endpoints": [{"addresses": [_DOCUMENTATION_ADDRESS], "conditions": {"ready": ready}}],
        },
    ]


def operator(namespace: str, account: str, role: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Who the operator is, with the role that the chart ships and nothing else."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace}},
        role,
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": role["metadata"]["name"]},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": role["metadata"]["name"],
            },
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        },
    ]
