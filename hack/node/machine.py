"""A node for a stack, on this machine, as root: containerd, kubelet, kube-scheduler and what controls pods."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import yaml

from controlplane import programs
from devstack import objects
from devstack.errors import StackError
from devstack.process import Process
from devstack.stack import REPOSITORY, Stack
from devstack.waiting import wait_until

ADDRESS, PODS = "10.77.0.1", "10.77.1.0/24"
"""The node's address, on one end of a pair of virtual interfaces: kubelet takes none on loopback. It is its name, too:
the API server asks kubelets by their names, and nobody knows names here."""
API, PROMETHEUS = f"{ADDRESS}:6443", f"{ADDRESS}:9090"
PAUSE = "docker.io/modelroute/pause:dev"
PLUGIN_FOLDER, PLUGINS = Path("/usr/lib/cni"), ("host-local", "loopback", "ptp")
"""Debian's place for what makes the interfaces of pods, and which of them are used: containerd asks for loopback."""
_LINK = "modelroute0"
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_NAMESPACES = Path("/run/netns")
_GROUPS = Path("/sys/fs/cgroup")
_LINKS = Path("/sys/class/net")
_KUBELETS = ("/var/lib/kubelet",)
_FOLDERS = ("/opt/containerd", "/run/containerd", "/usr/libexec/kubernetes", "/var/lib/cni", "/var/lib/kubelet",
            "/var/log/containers")  # fmt: skip
"""What containerd and kubelet make, wherever they are told to live."""
_CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "disruption-controller",
    "endpointslice-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "root-ca-certificate-publisher-controller",
)


class Node:
    """What runs on the node, by its containerd, which listens on `socket`."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def ctr(self, *arguments: str | Path) -> str:
        return run("ctr", "--address", self._socket, "--namespace=k8s.io", *arguments)

    def pid(self, container: str) -> int:
        """The process of a container, by the id that a pod's status has of it."""
        rows = [line.split() for line in self.ctr("tasks", "list").splitlines()[1:]]
        return next(int(pid) for name, pid, *_ in rows if name == container.removeprefix("containerd://"))


def in_the_way() -> str:
    """Why a node should not be started here, in one sentence; empty where nothing speaks against it.

    A kubelet removes the groups of processes that it does not know, and what appears in the places of a node while
    this one is there is taken for its own: of another kubelet, or another containerd with pods, little would be left.
    """
    namespaces = sorted(_NAMESPACES.glob("cni-*"))
    # As a shell finds them: with the first version of control groups, each is there a dozen times.
    groups = [f"{_GROUPS}/{each}" for each in ("kubepods*", "*/kubepods*") if any(_GROUPS.glob(each))]
    kubelets = [path for each in _KUBELETS if (path := Path(each)).exists()]
    found = [*kubelets, *namespaces, *groups]
    if (_LINKS / _LINK).exists():
        deleting = [f"ip link delete {_LINK}"]
        deleting += [f"ip netns delete {each.name}" for each in namespaces]
        deleting += [f"rm -r {each}" for each in kubelets]
        deleting += [f"find {each} -depth -type d -delete" for each in groups]
        return (
            f"Another `make node` runs, or was killed and left {_LINK} here: then end its containerd-shim processes "
            f"and what runs in them, unmount what they leave mounted, and delete it: {'; '.join(deleting)}"
        )
    if found:
        return (
            "`make node` would start a second kubelet beside one that is or was here, and take its pods away: "
            f"there is {', '.join(map(str, found))} (to be deleted if no kubelet and no containerd needs it any more)."
        )
    return ""


@contextmanager
def node(stack: Stack, images: Sequence[Path], apiserver: Path) -> Iterator[Node]:
    """A node that is Ready, with the images of these archives, for as long as the block runs; nothing stays.

    Its kubelet answers whoever has the certificate `apiserver`, and what hands connections on takes those of pods.
    """
    place = stack.dir / "data" / "node"
    place.mkdir()
    with ExitStack() as after:
        after.callback(_leave_nothing, place, _own_places())
        run("ip", "link", "add", _LINK, "type", "veth", "peer", "name", f"{_LINK}p")
        after.callback(run, "ip", "link", "delete", _LINK)
        run("ip", "address", "add", f"{ADDRESS}/32", "dev", _LINK)
        for link in (_LINK, f"{_LINK}p"):
            run("ip", "link", "set", link, "up")
        # The plugin for the pods' interfaces switches it on.
        after.callback(_FORWARDING.write_text, _FORWARDING.read_text())

        socket = place / "containerd.sock"
        containerd = stack.spawn("containerd", ["containerd", "--config", _containerd(place, socket)])
        made = Node(socket)
        after.callback(containerd.stop)
        after.callback(_end_pods, made)
        wait_until(socket.exists, what="containerd listens")
        for image in images:
            made.ctr("images", "import", image)

        api, prometheus = (url.rpartition("//")[2] for url in (stack.apiserver_url, stack.prometheus_url))
        forward = [sys.executable, "-m", "node.forward", PODS, f"{API}={api}", f"{PROMETHEUS}={prometheus}"]
        stack.spawn("forward", forward, {"PYTHONPATH": str(REPOSITORY / "hack")})
        _start_controllers(stack)
        # Ended first: it would start anew what ends.
        after.callback(_start_kubelet(stack, place, socket, apiserver).kill)
        path = f"/api/v1/nodes/{ADDRESS}"
        wait_until(
            lambda: stack.admin.exists(path) and objects.has_condition(stack.admin.get(path), "Ready"),
            what="the node is Ready",
            timeout_s=90,
        )
        yield made


def run(*command: str | Path) -> str:
    """What a program prints; StackError, with what it said, where it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def _containerd(place: Path, socket: Path) -> Path:
    network = place / "cni"
    network.mkdir()
    address = {"type": "host-local", "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]}
    plugin = {"type": "ptp", "ipam": {**address, "dataDir": str(place / "addresses")}}
    listed = {"cniVersion": "0.4.0", "name": "modelroute", "plugins": [plugin]}
    (network / "10-modelroute.conflist").write_text(json.dumps(listed))
    config = place / "containerd.toml"
    config.write_text(f"""
version = 2
root = "{place}/containerd"
state = "{place}/state"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  stream_server_address = "127.0.0.1"
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{PLUGIN_FOLDER}"
  conf_dir = "{network}"
""")
    return config


def _start_controllers(stack: Stack) -> None:
    config = stack.dir / "config"
    stack.spawn(
        "node-controllers",
        [
            programs.locate("kube-controller-manager").path,
            f"--kubeconfig={config / 'controller-manager.kubeconfig'}",
            f"--root-ca-file={config / 'certificates' / 'apiserver.crt'}",
            f"--controllers={','.join(_CONTROLLERS)}",
            "--leader-elect=false",
            "--secure-port=0",
            "--v=1",
        ],
    )
    scheduler = programs.locate("kube-scheduler").path
    settings = [f"--kubeconfig={stack.kubeconfig}", "--leader-elect=false", "--secure-port=0", "--v=1"]
    stack.spawn("kube-scheduler", [scheduler, *settings])


def _start_kubelet(stack: Stack, place: Path, socket: Path, apiserver: Path) -> Process:
    config = place / "kubelet.yaml"
    config.write_text(yaml.safe_dump(kubelet_settings(place, socket, apiserver)))
    argv: list[str | Path] = [
        programs.locate("kubelet").path,
        f"--config={config}",
        f"--kubeconfig={stack.kubeconfig}",
        f"--root-dir={place / 'kubelet'}",
        f"--cert-dir={place / 'certificates'}",
        f"--node-ip={ADDRESS}",
        f"--hostname-override={ADDRESS}",
        "--v=2",
    ]
    return stack.spawn("kubelet", argv)


def kubelet_settings(place: Path, socket: Path, apiserver: Path) -> dict[str, object]:
    """Whoever it knows may do anything, and it knows the one certificate: it listens where neighbours may reach it."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(apiserver)},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "enableSystemLogHandler": False,
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": f"unix://{socket}",
        # What this machine may lack, and a test of pods does without.
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
        "resolvConf": "",
        "podLogsDir": str(place / "pods"),
        "volumePluginDir": str(place / "plugins"),
    }


def _end_pods(made: Node) -> None:
    """What containerd runs outlives it."""
    for container in made.ctr("containers", "list", "--quiet").split():
        for last in (
            ("tasks", "kill", "--all", "--signal=SIGKILL"),
            ("tasks", "delete", "--force"),
            ("containers", "delete"),
        ):
            with suppress(StackError):
                made.ctr(*last, container)


def _own_places() -> list[Path]:
    """What a node leaves on a machine: namespaces of its pods' networks, folders, and groups of processes."""
    groups = [path for pattern in ("kubepods", "*/kubepods") for path in _GROUPS.glob(pattern)]
    return [*_NAMESPACES.glob("cni-*"), *(path for each in _FOLDERS if (path := Path(each)).exists()), *groups]


def _leave_nothing(place: Path, found: Sequence[Path]) -> None:
    """What was not `found` before goes; what is mounted below `place` is let go of first."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    new = [each for each in _own_places() if each not in found]
    for mount in reversed(mounted):
        if any(Path(mount).is_relative_to(each) for each in (place, *new)):
            run("umount", "--lazy", mount)
    for each in new:
        if each.is_relative_to(_GROUPS):
            for folder in sorted(each.rglob("*/"), reverse=True):
                folder.rmdir()
            each.rmdir()
        elif each.is_dir():
            shutil.rmtree(each)
        else:
            each.unlink()
