"""etcd, kube-apiserver and kube-controller-manager: what makes a control plane without nodes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack import credentials
from devstack.component import Component
from devstack.ground import Ground
from devstack.http import Api, answers
from devstack.ports import start_on_free_ports

# What is missing here would find nothing to do: there are no nodes, so Deployments and Jobs are stored and not run, and
# the addresses behind Services are written by the stack itself.
_CONTROLLERS = (
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "clusterrole-aggregation-controller",
)


@dataclass(frozen=True, slots=True)
class ControlPlane:
    etcd: Component
    apiserver: Component
    controller_manager: Component
    admin: Api


def start(ground: Ground, programs: Mapping[str, Path], *, flags: Sequence[str] = ()) -> ControlPlane:
    """etcd and kube-apiserver are ready when this returns, kube-controller-manager is on its way.

    `flags` are kube-apiserver's, beside those that it always has.
    """
    etcd_url = ""

    def make_etcd(free_port: Callable[[], int]) -> Component:
        nonlocal etcd_url
        port = free_port()
        etcd_url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
        argv: list[str | Path] = [
            programs["etcd"],
            f"--data-dir={ground.data / 'etcd'}",
            f"--listen-client-urls={etcd_url}",
            f"--advertise-client-urls={etcd_url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=default={peer_url}",
            "--unsafe-no-fsync",
            "--logger=zap",
            "--log-level=warn",
        ]
        url = f"{etcd_url}/health"
        return Component(ground.process("etcd", argv), lambda: answers(url), port=port, deadline_s=30)

    etcd = start_on_free_ports(make_etcd, ground.slot.free_port)
    ground.say("etcd is ready")

    admin_token, manager_token = credentials.new_token(), credentials.new_token()
    tokens = credentials.write_private(
        ground.config / "tokens.csv",
        f'{admin_token},stack-admin,stack-admin,"system:masters"\n'
        f'{manager_token},system:kube-controller-manager,kube-controller-manager,"system:masters"\n',
    )
    key = credentials.write_private(ground.config / "service-account.key", credentials.new_ec_key())
    certificates = ground.config / "certificates"
    admin = Api("", admin_token, certificates / "apiserver.crt")

    def make_apiserver(free_port: Callable[[], int]) -> Component:
        port = free_port()
        admin.url = f"https://127.0.0.1:{port}"
        argv: list[str | Path] = [
            programs["kube-apiserver"],
            f"--etcd-servers={etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={certificates}",
            "--endpoint-reconciler-type=none",
            f"--service-cluster-ip-range={ground.slot.service_network}",
            "--authorization-mode=RBAC",
            f"--token-auth-file={tokens}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            # Nothing here needs to be shielded from a neighbour's requests.
            "--enable-priority-and-fairness=false",
            "--profiling=false",
            "--v=1",
            *flags,
        ]
        return Component(ground.process("kube-apiserver", argv), lambda: _is_ready(admin), port=port, deadline_s=90)

    apiserver = start_on_free_ports(make_apiserver, ground.slot.free_port)
    ground.say(f"kube-apiserver is ready at {admin.url}")

    kubeconfig = credentials.write_kubeconfig(
        ground.config / "controller-manager.kubeconfig", server=admin.url, ca=admin.ca, token=manager_token
    )
    argv: list[str | Path] = [
        programs["kube-controller-manager"],
        f"--kubeconfig={kubeconfig}",
        f"--service-account-private-key-file={key}",
        f"--controllers={','.join(_CONTROLLERS)}",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
        "--v=1",
    ]
    controller_manager = Component(
        ground.process("kube-controller-manager", argv),
        # It is at work when it has made what every namespace gets.
        lambda: admin.exists("/api/v1/namespaces/default/serviceaccounts/default"),
        deadline_s=60,
    )
    # Not waited for here: nothing that comes next needs it.
    controller_manager.process.start()
    return ControlPlane(etcd, apiserver, controller_manager, admin)


def _is_ready(admin: Api) -> bool:
    # The server writes its certificate as it starts, and serves with it a moment later.
    if not admin.ca.exists():
        return False
    return answers(f"{admin.url}/readyz", headers={"Authorization": f"Bearer {admin.token}"}, ca=admin.ca)
