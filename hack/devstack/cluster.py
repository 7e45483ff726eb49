"""What tests and the demo do with a stack's API server."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devstack import credentials, pod
from devstack.errors import StackError
from devstack.http import Api, HttpError

OPERATOR_NAMESPACE, OPERATOR_ACCOUNT = "modelroute-system", "modelroute"
_TOKEN_LIFETIME_S = 7 * 24 * 3600

Json = dict[str, Any]

_GROUPS: Mapping[str, str] = {
    "modelroutes": "modelroute.dev/v1alpha1",
    "modelrollouts": "modelroute.dev/v1alpha1",
    "httproutes": "gateway.networking.k8s.io/v1",
    "leases": "coordination.k8s.io/v1",
    "events": "events.k8s.io/v1",
}


def path_of(resource: str, namespace: str, name: str = "") -> str:
    """Where the API server has an object, or without a `name` all of the namespace's; `resource` in the plural."""
    return f"/apis/{_GROUPS[resource]}/namespaces/{namespace}/{resource}/{name}".rstrip("/")


class Cluster:
    """`admin` makes requests with all rights, and `kubeconfig` gives them to a program."""

    def __init__(self, directory: Path, *, admin: Api, kubectl: Path, cache: Path) -> None:
        self.dir, self.admin = directory, admin
        self.kubectl_program, self.cache = kubectl, cache
        self.kubeconfig = credentials.write_kubeconfig(
            directory / "kubeconfig", server=admin.url, ca=admin.ca, token=admin.token
        )

    @property
    def apiserver_url(self) -> str:
        return self.admin.url

    def operator_kubeconfig(self) -> Path:
        """A kubeconfig with a token of the operator's ServiceAccount: it has the chart's role and no other rights."""
        return self.service_account_kubeconfig(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT)

    def operator_pod(self) -> tuple[Path, Mapping[str, str]]:
        """`service_account_pod` of the operator."""
        return self.service_account_pod(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT)

    def service_account_pod(self, namespace: str, name: str) -> tuple[Path, Mapping[str, str]]:
        """What a pod with that ServiceAccount finds, for `devstack.pod`: its token's folder, and its environment."""
        folder = self.dir / f"{namespace}-{name}.pod"
        folder.mkdir(exist_ok=True)
        (folder / pod.TOKEN).write_text(self.service_account_token(namespace, name))
        (folder / pod.CA).write_bytes(Path(self.admin.ca).read_bytes())
        host, _, port = self.admin.url.rpartition("//")[2].partition(":")
        return folder, {**pod.OF_THE_IMAGE, "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}

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

    def read(self, resource: str, namespace: str, name: str) -> Json:
        """The object, or {} where there is none; see `path_of`.

        For whoever waits for something: a kubectl twenty times a second takes a core.
        """
        try:
            return dict(self.admin.get(path_of(resource, namespace, name)))
        except HttpError as error:
            if error.status == 404:
                return {}
            raise

    def read_all(self, resource: str, namespace: str) -> list[Json]:
        """All of the namespace's; see `path_of`."""
        return list(self.admin.get(path_of(resource, namespace))["items"])

    def kubectl(self, *args: str, input: str | None = None, kubeconfig: Path | None = None) -> str:
        """What kubectl prints, run as the admin or with another kubeconfig; StackError with its words if it fails."""
        answer = subprocess.run(
            [str(self.kubectl_program), *args],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={
                **os.environ,
                "KUBECONFIG": str(kubeconfig or self.kubeconfig),
                "KUBECACHEDIR": str(self.cache),
                "KUBERC": "off",  # the user's own aliases and defaults
            },
        )
        if answer.returncode != 0:
            raise StackError(f"kubectl {' '.join(args)}: {answer.stderr.strip()}")
        return answer.stdout

    def apply(self, *manifests: Mapping[str, Any], kubeconfig: Path | None = None) -> str:
        """Server-side apply of these objects."""
        return self.kubectl(
            "apply", "--server-side", "--force-conflicts", "-f", "-",
            input=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}),
            kubeconfig=kubeconfig,
        )  # fmt: skip

    def create_namespace(self, name: str) -> str:
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name
